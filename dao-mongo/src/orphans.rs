//! Transactions that a dead process has left open.
//!
//! The server keeps such a transaction, and with it the zone's document, for a minute
//! (`transactionLifetimeLimitSeconds`). Whoever is held up ends it earlier: every server session that writes is
//! noted in `fastsync_writers`, and one of those whose transaction has been idle for seconds belongs to nobody,
//! since a commit never waits for anything but the server. If its owner lives after all, its commit fails as a whole
//! and it tries again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use tokio::time::Instant;

use crate::error::Run;
use crate::store::{META, Store, WRITERS};

/// After this long without an operation a transaction counts as abandoned.
pub(crate) const IDLE: Duration = Duration::from_secs(3);

/// How long a session stays noted before it is noted again; the note itself lives for 30 days.
const NOTED: Duration = Duration::from_secs(24 * 3600);

/// The server sessions of this process that are noted, by their id.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    noted: Mutex<HashMap<Vec<u8>, Instant>>,
}

impl Writers {
    /// A session for a transaction.
    pub(crate) async fn session(&self, store: &Store) -> Run<ClientSession> {
        let session = store.database.client().start_session().await?;
        let Some(Bson::Binary(id)) = session.id().get("id").cloned() else { return Ok(session) };
        let is_noted = {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.get(&id.bytes).is_some_and(|at| at.elapsed() < NOTED)
        };
        if !is_noted {
            let writers = store.database.collection::<Document>(WRITERS);
            let seen = vec![doc! { "$set": { "seen": "$$NOW" } }];
            writers.update_one(doc! { "_id": id.clone() }, seen).upsert(true).await?;
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.bytes, Instant::now());
        }
        Ok(session)
    }
}

impl Writers {
    /// Waits until everything that was written so far is kept by a majority.
    pub(crate) async fn wait_for_majority(&self, store: &Store) -> Run<()> {
        let meta = store.database.collection::<Document>(META);
        meta.update_one(doc! { "_id": "barrier" }, doc! { "$inc": { "count": 1_i64 } }).upsert(true).await?;
        Ok(())
    }
}

/// Ends the transactions of this library's writers that have been idle for longer; tells how many.
///
/// Only sessions of the same database user are seen and ended, for which no privilege is needed.
pub(crate) async fn end_abandoned(store: &Store, idle: Duration) -> Run<usize> {
    let admin = store.database.client().database("admin");
    let idle = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
    let pipeline = [
        doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
        doc! { "$match": { "type": "idleSession", "transaction.timeInactiveMicros": { "$gt": idle } } },
        doc! { "$project": { "session": "$lsid.id" } },
    ];
    let found: Vec<_> = admin.aggregate(pipeline).await?.try_collect().await?;
    let ids: Vec<_> = found.iter().filter_map(|found| found.get("session")).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Bson> = ids.into_iter().cloned().collect();
    let writers = store.database.collection::<Document>(WRITERS);
    let ours: Vec<_> = writers.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?;
    let ours: Vec<_> =
        ours.iter().filter_map(|writer| Some(doc! { "id": writer.get("_id")?.clone() })).collect();
    if !ours.is_empty() {
        admin.run_command(doc! { "killSessions": ours.clone() }).await?;
    }
    Ok(ours.len())
}
