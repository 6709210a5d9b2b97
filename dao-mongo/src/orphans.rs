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
use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};
use tokio::time::Instant;

use crate::command::WRITERS;
use crate::error::Run;

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
    pub(crate) async fn session(&self, database: &Database) -> Run<ClientSession> {
        let session = database.client().start_session().await?;
        let Some(Bson::Binary(id)) = session.id().get("id").cloned() else { return Ok(session) };
        let is_noted = {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.get(&id.bytes).is_some_and(|at| at.elapsed() < NOTED)
        };
        if !is_noted {
            let writers = database.collection::<Document>(WRITERS);
            let seen = vec![doc! { "$set": { "seen": "$$NOW" } }];
            writers.update_one(doc! { "_id": id.clone() }, seen).upsert(true).await?;
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.bytes, Instant::now());
        }
        Ok(session)
    }
}

/// Ends the transactions of this library's writers that have been idle for longer; tells how many.
///
/// Only sessions of the same database user are seen and ended, for which no privilege is needed.
pub(crate) async fn end_abandoned(database: &Database, idle: Duration) -> Run<usize> {
    let admin = database.client().database("admin");
    let idle = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
    let pipeline = [
        doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
        doc! { "$match": { "type": "idleSession", "transaction.timeInactiveMicros": { "$gt": idle } } },
        doc! { "$project": { "session": "$lsid.id" } },
    ];
    let found: Vec<_> = admin.aggregate(pipeline).await?.try_collect().await?;
    let ids: Vec<Bson> = found.iter().filter_map(|found| found.get("session").cloned()).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let writers = database.collection::<Document>(WRITERS);
    let ours: Vec<_> = writers.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?;
    let ours: Vec<_> = ours.iter().map(|writer| doc! { "id": writer.get("_id").cloned() }).collect();
    let ended = ours.len();
    if ended > 0 {
        admin.run_command(doc! { "killSessions": ours }).await?;
    }
    Ok(ended)
}
