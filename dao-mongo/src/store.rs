//! The database: its collections, its types, and how commands are run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fastsync_core::source::rules::unknown_type;
use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};
use fastsync_core::{ErrorKind, TypeName, Zone};
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc};
use mongodb::options::{
    Acknowledgment, DatabaseOptions, ReadConcern, ReadPreference, RunCursorCommandOptions, SelectionCriteria,
    TransactionOptions, WriteConcern,
};
use mongodb::{ClientSession, Collection, Database};

use crate::error::{Fail, Run, WriteError};
use crate::lane::Lanes;
use crate::orphans::Writers;
use crate::prepare::stored_types;
use crate::registry::{Registry, Type, add_stored};
use crate::upgrade::Upgrade;

pub(crate) const RECORDS: &str = "fastsync_records";
pub(crate) const ZONES: &str = "fastsync_zones";
pub(crate) const SESSIONS: &str = "fastsync_sessions";
pub(crate) const STATE: &str = "fastsync_state";
pub(crate) const STAGED: &str = "fastsync_staged";
pub(crate) const META: &str = "fastsync_meta";
pub(crate) const WRITERS: &str = "fastsync_writers";

/// How many documents a cursor brings at a time; the server also cuts at 16 MiB.
pub(crate) const BATCH: i32 = 10_000;

/// How many keys one command names: about a megabyte with long ids.
pub(crate) const KEYS_PER_COMMAND: usize = 5_000;

/// The wire version of MongoDB 5.0, the first with snapshot reads outside of transactions.
const WIRE_VERSION_5_0: i32 = 13;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) registry: RwLock<Registry>,
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
            registry: RwLock::default(),
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

    pub(crate) fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    pub(crate) fn kind(&self, name: &TypeName) -> Run<Arc<Type>> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.get(name).cloned().ok_or_else(|| unknown_type(name).into())
    }

    /// The type with this number; another process may have prepared it after this one began.
    pub(crate) async fn kind_at(&self, n: i32) -> Run<Arc<Type>> {
        let known = || self.registry.read().unwrap_or_else(PoisonError::into_inner).at(n).cloned();
        if let Some(kind) = known() {
            return Ok(kind);
        }
        let (stored, _) = stored_types(self).await?;
        add_stored(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner), stored);
        known().ok_or_else(|| Fail::corrupt(format!("the index names type {n}, which was never prepared")))
    }

    /// A session whose reads all see one committed state, the one that its first read sees.
    pub(crate) async fn snapshot(&self) -> Run<ClientSession> {
        Ok(self.database.client().start_session().snapshot(true).await?)
    }

    /// Runs a `find` or `aggregate` and gives each document.
    pub(crate) async fn each(
        &self,
        session: &mut ClientSession,
        command: RawDocumentBuf,
        work: &mut (dyn FnMut(&RawDocument) -> Run<()> + Send),
    ) -> Run<()> {
        let options = RunCursorCommandOptions::builder().batch_size(BATCH.unsigned_abs()).build();
        let cursor = self.database.run_raw_cursor_command(command).with_options(options);
        let mut cursor = cursor.session(&mut *session).await?.with_type::<RawDocumentBuf>();
        while cursor.advance(session).await? {
            work(cursor.current())?;
        }
        Ok(())
    }

    /// Documents that the transaction under way has removed, as they were, by their `_id`. Nobody else can change them until
    /// it ends.
    pub(crate) async fn before(
        &self,
        collection: &str,
        keys: &[RawDocumentBuf],
    ) -> Run<HashMap<Vec<u8>, RawDocumentBuf>> {
        let mut all = RawArrayBuf::new();
        keys.iter().for_each(|key| all.push(key.clone()));
        let mut command = find(collection, &any_of(all));
        // What is committed, also while the majority does not have it yet.
        let mut local = RawDocumentBuf::new();
        local.append_ref("level", "local");
        command.append("readConcern", local);
        let options = RunCursorCommandOptions::builder().batch_size(BATCH.unsigned_abs()).build();
        let cursor = self.database.run_raw_cursor_command(command).with_options(options).await?;
        let mut cursor = cursor.with_type::<RawDocumentBuf>();
        let mut found = HashMap::with_capacity(keys.len());
        while cursor.advance().await? {
            let document = cursor.current();
            let id = document.get_document("_id")?.as_bytes().to_vec();
            found.insert(id, document.to_owned());
        }
        Ok(found)
    }

    /// Runs a write command in a transaction.
    pub(crate) async fn write(&self, session: &mut ClientSession, command: RawDocumentBuf) -> Run<Document> {
        let reply = self.database.run_raw_command(command).session(session).await?;
        // Such an error comes in a reply that says `ok`.
        if let Some(error) =
            reply.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document())
        {
            return Err(Fail::Write(WriteError {
                index: whole(error.get("index")).and_then(|index| usize::try_from(index).ok()).unwrap_or(0),
                code: whole(error.get("code")).and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
                message: error.get_str("errmsg").unwrap_or_default().to_owned(),
            }));
        }
        Ok(reply)
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

/// A whole number of a reply, of whatever kind the server chose.
pub(crate) fn whole(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        // Counts come as doubles from old versions.
        Bson::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "checked by the guard")]
            Some(*number as i64)
        }
        _ => None,
    }
}

/// `{ find: collection, filter, batchSize }`; options can be appended.
pub(crate) fn find(collection: &str, filter: &RawDocumentBuf) -> RawDocumentBuf {
    let mut command = RawDocumentBuf::new();
    command.append_ref("find", collection);
    command.append_ref("filter", filter);
    command.append_ref("batchSize", BATCH);
    command
}

/// `{ _id: { $in: keys } }`
pub(crate) fn any_of(keys: RawArrayBuf) -> RawDocumentBuf {
    let mut condition = RawDocumentBuf::new();
    condition.append("$in", keys);
    by_id(condition)
}

/// `{ _id: condition }`
pub(crate) fn by_id(condition: RawDocumentBuf) -> RawDocumentBuf {
    let mut filter = RawDocumentBuf::new();
    filter.append("_id", condition);
    filter
}

/// Every `_id` of the index of one type in a zone, or of every object in a zone: their last part varies.
pub(crate) fn within(zone: &Zone, n: Option<i32>) -> Document {
    let key = |last: Bson| match n {
        Some(n) => doc! { "zone": zone.to_string(), "type": n, "id": last },
        None => doc! { "zone": zone.to_string(), "id": last },
    };
    doc! { "$gt": key(Bson::MinKey), "$lt": key(Bson::MaxKey) }
}

pub(crate) fn raw(document: &Document) -> Run<RawDocumentBuf> {
    Ok(RawDocumentBuf::from_document(document)?)
}

/// Sleeps for a time between `low` and `high`: whoever collided should not collide again.
pub(crate) async fn pause(low: Duration, high: Duration) {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8) & 0xffff;
    let spread = high.saturating_sub(low).as_micros().saturating_mul(random.into()) >> 16;
    tokio::time::sleep(low + Duration::from_micros(u64::try_from(spread).unwrap_or(0))).await;
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
