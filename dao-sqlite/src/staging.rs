//! Batches of large sessions before their commit.

use std::collections::BTreeSet;

use fastsync_core::source::Write;
use fastsync_core::{SessionId, TypeName};

use crate::codec::{signed, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::merge;

/// A batch of a session: where it is, and which types it has, with and without deletions.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) row: i64,
    sequence: u64,
    pub(crate) types: BTreeSet<(TypeName, bool)>,
}

pub(crate) fn stage(store: &Store, session: SessionId, sequence: u64, mut writes: Vec<Write>) -> Run<()> {
    let mut types = BTreeSet::new();
    for write in &mut writes {
        let name = write.action.key().type_name.clone();
        write.admit_signed(&store.kind(&name)?.schema)?;
        types.insert((name, write.is_deletion()));
    }
    let types = serde_json::to_string(&types).map_err(|_| unreadable())?;
    let blob = merge::encode(&mut writes)?;
    let sql = "INSERT INTO fastsync_staged (session, sequence, types, writes) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (session, sequence) DO NOTHING";
    store.run(sql, (session.as_uuid().as_bytes(), signed(sequence), types, blob)).map(drop)
}

pub(crate) fn unstage(store: &Store, session: Option<SessionId>) -> Run<()> {
    let done = match session {
        Some(session) => {
            store.run("DELETE FROM fastsync_staged WHERE session = ?1", [session.as_uuid().as_bytes()])
        }
        None => store.run("DELETE FROM fastsync_staged", []),
    };
    done.map(drop)
}

/// The batches of a session by sequence, without their writes.
pub(crate) fn batches(store: &Store, session: SessionId) -> Run<Vec<Batch>> {
    let sql = "SELECT sequence, types, rowid FROM fastsync_staged WHERE session = ?1";
    let mut batches = store.all(sql, [session.as_uuid().as_bytes()], |row| {
        let types = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let types = serde_json::from_str(types).map_err(|_| unreadable())?;
        Ok(Batch { row: row.get(2)?, sequence: unsigned(row.get(0)?), types })
    })?;
    // Signed integers order otherwise.
    batches.sort_by_key(|batch| batch.sequence);
    Ok(batches)
}

pub(crate) fn unreadable() -> Fail {
    Fail::corrupt("a staged batch cannot be read")
}
