//! The audit trail: who committed what, when and where.

use std::collections::HashMap;

use fastsync_core::source::{AuditRequest, Receipt};
use fastsync_core::{Author, DeviceId, Position, SessionId, SessionKind, SessionSummary, Timestamp, Zone};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::sql::{MAX_ROWS, bytes, number, text, uuid};
use crate::store::Store;

// What is read here is written once, in one commit, and never changed, so it needs no snapshot: whoever sees
// the session sees all of it.
const SESSION: &str = "s.id, s.kind, s.\"user\", d.id, s.number, s.committed_at, s.counts";

pub(crate) async fn sessions(store: &Store, request: &AuditRequest) -> Run<Vec<SessionSummary>> {
    let mut connection = store.connection().await?;
    let sql = match request {
        AuditRequest::Session(id) => {
            let select = format!(
                "SELECT {SESSION} FROM @sessions AS s JOIN @devices AS d ON d.n = s.device WHERE s.id = ?"
            );
            store.schema.sql(select).bind(id.as_uuid())
        }
        AuditRequest::Zone { zone, after, limit } => {
            let Some(zone) = store.zone(&mut connection, zone).await? else { return Ok(Vec::new()) };
            let select = format!(
                "SELECT {SESSION} FROM @positions AS p JOIN @sessions AS s ON s.id = p.session \
                 JOIN @devices AS d ON d.n = s.device WHERE p.zone = ? AND p.position > ? ORDER BY p.position LIMIT ?"
            );
            let limit = u64::try_from(*limit).unwrap_or(u64::MAX);
            store.schema.sql(select).bind(zone).bind(after.0).bind(limit)
        }
    };
    let rows = sql.all(&mut connection).await?;
    summaries(store, &mut connection, &rows).await
}

async fn summaries(store: &Store, connection: &mut PgConnection, rows: &[PgRow]) -> Run<Vec<SessionSummary>> {
    let ids = rows.iter().map(|row| uuid(row, 0)).collect::<Run<Vec<_>>>()?;
    let mut positions = positions(store, connection, &ids).await?;
    let mut summaries = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(ids) {
        let mut counts = Vec::new();
        let stored: Vec<(u64, u64)> = serde_json::from_slice(bytes(row, 6)?.unwrap_or_default())
            .map_err(|_| Fail::corrupt("a session's counts are malformed"))?;
        for (n, count) in stored {
            counts.push((store.kind_at(connection, n).await?.schema.name().clone(), count));
        }
        counts.sort();
        let user = bytes(row, 2)?.map(|user| String::from_utf8(user.to_vec())).transpose();
        summaries.push(SessionSummary {
            id: SessionId::from_uuid(id),
            kind: SessionKind::from_name(text(row, 1)?)?,
            author: Author {
                user: user.map_err(|_| Fail::corrupt("a session's user is not UTF-8"))?,
                device: DeviceId::from_uuid(uuid(row, 3)?),
                number: number(row, 4)?,
            },
            committed_at: Timestamp::from_millis(number(row, 5)?),
            positions: positions.remove(&id).unwrap_or_default(),
            counts,
        });
    }
    Ok(summaries)
}

/// The places of sessions, by zone.
async fn positions(
    store: &Store,
    connection: &mut PgConnection,
    sessions: &[Uuid],
) -> Run<HashMap<Uuid, Vec<(Zone, Position)>>> {
    let mut positions: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(sessions.len());
    for sessions in sessions.chunks(MAX_ROWS) {
        let select = "SELECT session, zone, position FROM @positions WHERE session = ANY (?)";
        let mut sql = store.schema.sql(select);
        sql.add_array(sessions.iter().copied());
        for row in sql.all(connection).await? {
            let zone = store.zone_of(connection, number(&row, 1)?).await?;
            positions.entry(uuid(&row, 0)?).or_default().push((zone, Position(number(&row, 2)?)));
        }
    }
    positions.values_mut().for_each(|places| places.sort());
    Ok(positions)
}

/// The receipt of a session that was committed before.
pub(crate) async fn receipt(
    store: &Store,
    connection: &mut PgConnection,
    session: SessionId,
) -> Run<Option<Receipt>> {
    let session = session.as_uuid();
    let sql = store.schema.sql("SELECT change FROM @sessions WHERE id = ?").bind(session);
    let Some(row) = sql.first(connection).await? else { return Ok(None) };
    let positions = positions(store, connection, &[session]).await?.remove(&session).unwrap_or_default();
    Ok(Some(Receipt { positions, change: number(&row, 0)?, skipped: Vec::new() }))
}
