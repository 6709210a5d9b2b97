//! Batches of large sessions: in parts, so that a commit reads them one at a time.

use std::collections::BTreeSet;

use fastsync_core::source::rules::cut;
use fastsync_core::source::{Write, entry};
use fastsync_core::{SessionId, TypeName};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::error::failed;
use crate::sql::{Schema, bytes, number};
use crate::store::Store;

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

/// About how large a part is: a commit holds a few in memory.
const PART_BYTES: usize = 1 << 20;

pub(crate) async fn stage(store: &Store, session: SessionId, sequence: u64, writes: &[Write]) -> Run<()> {
    let mut writes = writes.to_vec();
    let mut transaction = store.write().await?;
    let connection = &mut *transaction;
    for write in &mut writes {
        let kind = store.kind(connection, &write.action.key().type_name).await?;
        write.admit(&kind.schema)?;
    }
    for (number, part) in (0..).zip(cut(&writes, PART_BYTES, 0)) {
        if !insert(&store.schema, connection, (session, sequence, number), part).await? {
            break;
        }
    }
    transaction.commit().await.map_err(failed)?;
    Ok(())
}

/// Keeps a part; `false` if one of this number is there already.
async fn insert(
    schema: &Schema,
    connection: &mut PgConnection,
    (session, sequence, part): (SessionId, u64, u64),
    writes: &[Write],
) -> Run<bool> {
    let types: BTreeSet<_> =
        writes.iter().map(|write| (write.action.key().type_name.clone(), write.is_deletion())).collect();
    let types = entry::encode_json(&types)?;
    let blob = entry::encode(writes)?;
    let sql = "INSERT INTO @staged (session, sequence, part, types, writes) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let sql = schema.sql(sql).bind(session.as_uuid()).bind(sequence).bind(part).bind(types).bind(blob);
    Ok(sql.execute(connection).await?.rows_affected() == 1)
}

pub(crate) async fn unstage(
    schema: &Schema,
    connection: &mut PgConnection,
    session: Option<SessionId>,
) -> Run<()> {
    let sql = match session {
        Some(session) => schema.sql("DELETE FROM @staged WHERE session = ?").bind(session.as_uuid()),
        None => schema.sql("DELETE FROM @staged"),
    };
    sql.execute(connection).await?;
    Ok(())
}

/// The parts of a session in order, without their writes.
pub(crate) async fn parts(
    schema: &Schema,
    connection: &mut PgConnection,
    session: SessionId,
) -> Run<Vec<Part>> {
    let sql =
        "SELECT sequence, part, types, length(writes) FROM @staged WHERE session = ? ORDER BY sequence, part";
    let rows = schema.sql(sql).bind(session.as_uuid()).all(connection).await?;
    let mut parts = Vec::with_capacity(rows.len());
    for row in rows {
        let types = entry::decode_json(bytes(&row, 2)?.unwrap_or_default())?;
        parts.push(Part {
            sequence: number(&row, 0)?,
            part: number(&row, 1)?,
            types,
            bytes: number(&row, 3)?,
        });
    }
    Ok(parts)
}

pub(crate) async fn load(
    schema: &Schema,
    connection: &mut PgConnection,
    session: SessionId,
    part: &Part,
) -> Run<Vec<Write>> {
    let sql = schema.sql("SELECT writes FROM @staged WHERE session = ? AND sequence = ? AND part = ?");
    let sql = sql.bind(session.as_uuid()).bind(part.sequence).bind(part.part);
    let row = sql.first(connection).await?.ok_or_else(unreadable)?;
    Ok(entry::decode(bytes(&row, 0)?.unwrap_or_default())?)
}

fn unreadable() -> Fail {
    Fail::corrupt("a staged batch cannot be read")
}
