//! The audit trail: who committed what, when and where.

use std::collections::HashMap;

use fastsync_core::source::{AuditRequest, Receipt};
use fastsync_core::{Author, DeviceId, Position, SessionId, SessionKind, SessionSummary, Timestamp, Zone};
use uuid::Uuid;

use crate::sql::driver::{Database, Link as _, Row as _, RowOf};
use crate::sql::fail::{Fail, Run};
use crate::sql::statement::Sql;
use crate::sql::store::Store;

// What is read here is written once, in one commit, and never changed, so it needs no snapshot: whoever sees
// the session sees all of it.
const SESSION: &str = "s.id, s.kind, s.`user`, d.id, s.number, s.committed_at, s.counts";

pub(crate) async fn sessions<D: Database>(
    store: &Store<D>,
    request: &AuditRequest,
) -> Run<Vec<SessionSummary>> {
    let mut link = store.database.link().await?;
    let sql = match request {
        AuditRequest::Session(id) => {
            let select = format!(
                "SELECT {SESSION} FROM fastsync_sessions AS s JOIN fastsync_devices AS d ON d.n = s.device \
                 WHERE s.id = ?"
            );
            Sql::new(select).bind(id.as_uuid())
        }
        AuditRequest::Zone { zone, after, limit } => {
            let Some(zone) = store.zone(&mut link, zone).await? else { return Ok(Vec::new()) };
            let join = link.dialect().forms.join;
            let select = format!(
                "SELECT {SESSION} FROM fastsync_positions AS p {join} fastsync_sessions AS s ON s.id = p.session \
                 {join} fastsync_devices AS d ON d.n = s.device \
                 WHERE p.zone = ? AND p.position > ? ORDER BY p.position LIMIT ?"
            );
            let limit = u64::try_from(*limit).unwrap_or(u64::MAX);
            Sql::new(select).bind(zone).bind(after.0).bind(limit)
        }
    };
    let rows = sql.all(&mut link).await?;
    summaries(store, &mut link, &rows).await
}

async fn summaries<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    rows: &[RowOf<D>],
) -> Run<Vec<SessionSummary>> {
    let ids = rows.iter().map(|row| row.uuid(0)).collect::<Run<Vec<_>>>()?;
    let mut positions = positions(store, link, &ids).await?;
    let mut summaries = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(ids) {
        let mut counts = Vec::new();
        let stored: Vec<(u64, u64)> = serde_json::from_slice(row.bytes(6)?.unwrap_or_default())
            .map_err(|_| Fail::corrupt("a session's counts are malformed"))?;
        for (n, count) in stored {
            counts.push((store.kind_at(link, n).await?.schema.name().clone(), count));
        }
        counts.sort();
        let user = row.bytes(2)?.map(|user| String::from_utf8(user.to_vec())).transpose();
        summaries.push(SessionSummary {
            id: SessionId::from_uuid(id),
            kind: SessionKind::from_name(row.text(1)?)?,
            author: Author {
                user: user.map_err(|_| Fail::corrupt("a session's user is not UTF-8"))?,
                device: DeviceId::from_uuid(row.uuid(3)?),
                number: row.number(4)?,
            },
            committed_at: Timestamp::from_millis(row.number(5)?),
            positions: positions.remove(&id).unwrap_or_default(),
            counts,
        });
    }
    Ok(summaries)
}

/// The places of sessions, by zone.
async fn positions<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    sessions: &[Uuid],
) -> Run<HashMap<Uuid, Vec<(Zone, Position)>>> {
    let mut positions: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(sessions.len());
    let dialect = link.dialect();
    for sessions in sessions.chunks(dialect.most_keys) {
        let mut sql = Sql::new("SELECT session, zone, position FROM fastsync_positions WHERE session");
        sql.push_list(dialect, sessions.iter());
        for row in sql.all(link).await? {
            let zone = store.zone_of(link, row.number(1)?).await?;
            positions.entry(row.uuid(0)?).or_default().push((zone, Position(row.number(2)?)));
        }
    }
    positions.values_mut().for_each(|places| places.sort());
    Ok(positions)
}

/// The receipt of a session that was committed before.
pub(crate) async fn receipt<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    session: SessionId,
) -> Run<Option<Receipt>> {
    let session = session.as_uuid();
    let sql = Sql::new("SELECT `change` FROM fastsync_sessions WHERE id = ?").bind(session);
    let Some(row) = sql.first(link).await? else { return Ok(None) };
    let positions = positions(store, link, &[session]).await?.remove(&session).unwrap_or_default();
    Ok(Some(Receipt { positions, change: row.number(0)?, skipped: Vec::new() }))
}
