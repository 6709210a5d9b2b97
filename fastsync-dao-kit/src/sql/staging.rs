//! Batches of large sessions: in parts that fit a packet, so a commit reads them one at a time.

use std::collections::BTreeSet;

use fastsync_core::source::rules::cut;
use fastsync_core::source::{Write, entry};
use fastsync_core::{SessionId, TypeName};

use crate::sql::driver::{Access, Database, Link, Row as _};
use crate::sql::fail::{Fail, Run};
use crate::sql::statement::{Name, Sql};
use crate::sql::store::Store;

/// A part of a batch: which types it has, with and without deletions.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    sequence: u64,
    part: u64,
    pub(crate) types: BTreeSet<(TypeName, bool)>,
    /// How many bytes it has as it is stored.
    pub(crate) bytes: u64,
}

impl Part {
    /// Whether this is the same part.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.sequence, self.part, self.bytes) == (other.sequence, other.part, other.bytes)
    }
}

/// About how large a part is: far below the smallest packet, and a commit holds a few in memory.
const PART_BYTES: usize = 1 << 20;

pub(crate) async fn stage<D: Database>(
    store: &Store<D>,
    session: SessionId,
    sequence: u64,
    writes: &[Write],
) -> Run<()> {
    let mut link = store.begin(Access::Write).await?;
    let staged = stage_in(store, &mut link, session, sequence, writes).await;
    Store::<D>::have_written(link, staged).await
}

async fn stage_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    session: SessionId,
    sequence: u64,
    writes: &[Write],
) -> Run<()> {
    let mut writes = writes.to_vec();
    for write in &mut writes {
        let kind = store.kind(link, &write.action.key().type_name).await?;
        write.admit(&kind.schema)?;
    }
    for (number, part) in (0..).zip(cut(&writes, PART_BYTES, 0)) {
        if !insert(link, session, sequence, number, part).await? {
            break;
        }
    }
    Ok(())
}

/// Keeps a part; `false` if one of this number is there already.
async fn insert<L: Link>(
    link: &mut L,
    session: SessionId,
    sequence: u64,
    part: u64,
    writes: &[Write],
) -> Run<bool> {
    let types: BTreeSet<_> =
        writes.iter().map(|write| (write.action.key().type_name.clone(), write.is_deletion())).collect();
    let types = entry::encode_json(&types)?;
    let blob = entry::encode(writes)?;
    let sql = "INSERT INTO fastsync_staged (session, sequence, part, types, writes) VALUES (?, ?, ?, ?, ?)";
    let sql = sql.to_owned() + link.dialect().passing_over();
    let sql = Sql::new(sql).bind(session.as_uuid()).bind(sequence).bind(part);
    match sql.bind(Name(&types)).bind(blob).execute(link).await {
        Ok(done) => Ok(done.rows > 0),
        Err(fail) if fail.is_duplicate() => Ok(false),
        Err(fail) => Err(fail),
    }
}

pub(crate) async fn unstage<L: Link>(link: &mut L, session: Option<SessionId>) -> Run<()> {
    let sql = match session {
        Some(session) => Sql::new("DELETE FROM fastsync_staged WHERE session = ?").bind(session.as_uuid()),
        None => Sql::new("DELETE FROM fastsync_staged"),
    };
    sql.execute(link).await?;
    Ok(())
}

/// The parts of a session in order, without their writes.
pub(crate) async fn parts<L: Link>(link: &mut L, session: SessionId) -> Run<Vec<Part>> {
    let sql = "SELECT sequence, part, types, LENGTH(writes) FROM fastsync_staged WHERE session = ? \
               ORDER BY sequence, part";
    let rows = Sql::new(sql).bind(session.as_uuid()).all(link).await?;
    let mut parts = Vec::with_capacity(rows.len());
    for row in rows {
        let types = entry::decode_json(row.bytes(2)?.unwrap_or_default())?;
        parts.push(Part { sequence: row.number(0)?, part: row.number(1)?, types, bytes: row.number(3)? });
    }
    Ok(parts)
}

pub(crate) async fn load<L: Link>(link: &mut L, session: SessionId, part: &Part) -> Run<Vec<Write>> {
    let sql = "SELECT writes FROM fastsync_staged WHERE session = ? AND sequence = ? AND part = ?";
    let sql = Sql::new(sql).bind(session.as_uuid()).bind(part.sequence).bind(part.part);
    let row = sql.first(link).await?.ok_or_else(unreadable)?;
    Ok(entry::decode(row.bytes(0)?.unwrap_or_default())?)
}

fn unreadable() -> Fail {
    Fail::corrupt("a staged batch cannot be read")
}
