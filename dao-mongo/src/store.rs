//! The database: its collections, its types, and how commands are run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastsync_core::ErrorKind;
use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};
use fastsync_dao_kit::retry::Pauses;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{
    Acknowledgment, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions,
    WriteConcern,
};
use mongodb::{Collection, Database};

use crate::command::{META, whole};
use crate::error::{Fail, Run};
use crate::lane::Lanes;
use crate::orphans::Writers;
use crate::registry::{Type, Types};
use crate::upgrade::Upgrade;

/// How often a read begins anew because its snapshot is not there.
const READ_ATTEMPTS: u32 = 20;

/// The wire version of MongoDB 5.0, the first with snapshot reads outside of transactions.
const WIRE_VERSION_5_0: i32 = 13;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) types: Types,
    pub(crate) lanes: Lanes,
    pub(crate) writers: Writers,
    pub(crate) upgrades: Upgrades<Upgrade>,
    /// The version that the sync collections had when this was opened or prepared last.
    version: AtomicU32,
}

impl Store {
    /// Takes a database with its name and client, and sets what this crate relies on: reads and writes go to the
    /// primary, and nothing is read or acknowledged that a majority has not journaled.
    pub(crate) fn new(database: &Database, upgrades: Upgrades<Upgrade>) -> Self {
        let options = DatabaseOptions::builder()
            .read_concern(ReadConcern::majority())
            .write_concern(majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        Self {
            database: database.client().database_with_options(database.name(), options),
            types: Types::default(),
            lanes: Lanes::default(),
            writers: Writers::default(),
            upgrades,
            version: AtomicU32::new(FIRST_VERSION),
        }
    }

    pub(crate) fn note_version(&self, version: u32) {
        self.version.store(version, Ordering::Release);
    }

    /// Refuses to work with collections that `prepare` has not upgraded yet.
    pub(crate) fn check_version(&self) -> Run<()> {
        Ok(self.upgrades.check(self.version.load(Ordering::Acquire))?)
    }

    /// Refuses a server that cannot keep the contract.
    pub(crate) async fn check_server(&self) -> Run<()> {
        judge(&self.database.run_command(doc! { "hello": 1 }).await?)
    }

    /// Waits until everything that was written so far is kept by a majority.
    pub(crate) async fn wait_for_majority(&self) -> Run<()> {
        let meta = self.database.collection::<Document>(META);
        meta.update_one(doc! { "_id": "barrier" }, doc! { "$inc": { "count": 1_i64 } }).upsert(true).await?;
        Ok(())
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// The type with this number; another process may have prepared it after this one began.
    pub(crate) async fn kind_at(&self, n: i32) -> Run<Arc<Type>> {
        if let Some(kind) = self.types.at(n) {
            return Ok(kind);
        }
        self.types.load(&self.database).await?;
        let known = self.types.at(n);
        known.ok_or_else(|| Fail::corrupt(format!("the index names type {n}, which was never prepared")))
    }

    /// Runs a read again whose snapshot is not there.
    pub(crate) async fn retried<T, F: Future<Output = Run<T>>>(&self, read: impl Fn() -> F) -> Run<T> {
        let mut pauses = Pauses::new(Duration::from_millis(20), Duration::from_millis(20));
        for _ in 0..READ_ATTEMPTS {
            match read().await {
                Err(fail) if fail.is_snapshot_gone() => tokio::time::sleep(pauses.next_pause()).await,
                result => return result,
            }
        }
        read().await
    }
}

/// Whether a server that introduces itself so can keep the contract.
fn judge(hello: &Document) -> Run<()> {
    let refuse = |message: &str| Err(Fail::new(ErrorKind::Config, "connect", message));
    if whole(hello.get("maxWireVersion")).unwrap_or(0) < i64::from(WIRE_VERSION_5_0) {
        return refuse("MongoDB 5.0 or later is needed: older servers have no snapshot reads");
    }
    let is_replica_set = hello.contains_key("setName");
    let is_router = hello.get_str("msg").is_ok_and(|text| text == "isdbgrid");
    if !is_replica_set && !is_router {
        return refuse(
            "the server is a standalone, which has no transactions, so commits over several documents would not \
             be atomic. Make it a replica set of one: start mongod with `--replSet rs0` and run \
             `rs.initiate()` once in mongosh",
        );
    }
    Ok(())
}

pub(crate) fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// A transaction that reads one snapshot on the primary, whatever the client's defaults are.
pub(crate) fn transaction(write_concern: WriteConcern) -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(write_concern)
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if an old server or a standalone one is taken.
    #[test]
    fn servers_are_judged_by_what_they_say() {
        let set = doc! { "maxWireVersion": 13, "setName": "rs0" };
        let router = doc! { "maxWireVersion": 21, "msg": "isdbgrid" };
        assert!(judge(&set).is_ok() && judge(&router).is_ok());
        for (hello, part) in [
            (doc! { "maxWireVersion": 12, "setName": "rs0" }, "5.0"),
            (doc! { "setName": "rs0" }, "5.0"),
            (doc! { "maxWireVersion": 13 }, "rs.initiate()"),
            (doc! { "maxWireVersion": 13, "msg": "hello" }, "rs.initiate()"),
        ] {
            let error = judge(&hello).unwrap_err().into_error("connect");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(part), "{hello}: {error}");
        }
    }
}
