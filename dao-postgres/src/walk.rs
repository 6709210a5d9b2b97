//! One walk over the feed of a zone: which entries a page has, and these with their bodies.
//!
//! A page is bounded by bytes, so it is cut before bodies are read: the server adds up the index entries by type, and
//! says how many of each the page has. Then each type's entries are read together with their rows of the user's table,
//! in one walk over the same index. Both see one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::ChangesRequest;
use fastsync_core::{ObjectId, Value};
use fastsync_dao_kit::sql::Run;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::codec::{ENTRY, ENTRY_COLUMNS, Entry, read_body, read_id};
use crate::registry::Type;
use crate::sql::{Sql, number, truth};
use crate::store::Store;

/// The most own sessions that one statement leaves out.
const MAX_OWN: usize = 500;

/// Where a walk over the feed stands: everything up to this entry was delivered.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// Inside the session at that position: the type and id of the entry; otherwise all of it was delivered.
    pub(crate) within: Option<(u64, ObjectId)>,
}

/// An entry of the feed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: Arc<Type>,
    pub(crate) id: ObjectId,
    pub(crate) entry: Entry,
    /// The row of the user's table; `None` if it is not there.
    pub(crate) body: Option<Vec<Value>>,
}

/// One call's walk over the feed of a zone.
pub(crate) struct Walk<'a> {
    pub(crate) store: &'a Store,
    pub(crate) request: &'a ChangesRequest,
    pub(crate) zone: u64,
    /// The numbers of the types asked for, if not all are.
    pub(crate) types: Option<Vec<u64>>,
}

/// The part of the feed that one round is about: after `from`, without the reader's own sessions.
struct Span {
    from: Place,
    own: Vec<u64>,
    /// The last position of it, if it does not go to the end.
    bound: Option<u64>,
}

/// How many entries of each type are next, and how many bytes they are about.
#[derive(Default)]
struct Cut {
    counts: BTreeMap<u64, u64>,
    bytes: usize,
    /// The position of the entry after them, if that is known.
    next: Option<u64>,
}

impl Walk<'_> {
    /// The entries of a page; if more follow, the position of the next one.
    pub(crate) async fn collect(
        &self,
        connection: &mut PgConnection,
        mut from: Place,
    ) -> Run<(Vec<Found>, Option<u64>)> {
        let limits = self.request.limits;
        let limit = limits.records.max(1);
        let mut found: Vec<Found> = Vec::with_capacity(limit.min(10_000));
        let mut bytes = 0_usize;
        loop {
            let own = self.own(connection, &from).await?;
            // Beyond the last of many own sessions there may be others; they are asked for in the next round.
            let bound = if own.len() >= MAX_OWN { own.last().copied() } else { None };
            let span = Span { from, own, bound };
            let room = limit.saturating_sub(found.len());
            // One more than there is room for tells whether more follow.
            let mut cut = self.sum(connection, &span, room.saturating_add(1)).await?;
            if bytes.saturating_add(cut.bytes) > limits.bytes {
                cut = self.cut(connection, &span, room, (bytes, found.is_empty())).await?;
            }
            bytes = bytes.saturating_add(cut.bytes);
            self.read(connection, &span, &cut, &mut found).await?;
            if found.len() > limit {
                let next = found.pop().map(|extra| extra.entry.position);
                return Ok((found, next));
            }
            match (cut.next, bound) {
                (None, Some(position)) => from = Place { position, within: None },
                (next, _) => return Ok((found, next)),
            }
        }
    }

    /// The first sessions after a place that the reader itself has pushed.
    async fn own(&self, connection: &mut PgConnection, from: &Place) -> Run<Vec<u64>> {
        let Some(own) = self.request.skip_own else { return Ok(Vec::new()) };
        let Some(device) = self.store.device(connection, own.device.as_uuid()).await? else {
            return Ok(Vec::new());
        };
        let sql =
            self.store.schema.sql(OWN).bind(self.zone).bind(device).bind(from.position).bind(own.through);
        let rows = sql.bind(u64::try_from(MAX_OWN).unwrap_or(u64::MAX)).all(connection).await?;
        rows.iter().map(|row| number(row, 0)).collect()
    }

    /// The next entries, at most so many, added up by the server.
    async fn sum(&self, connection: &mut PgConnection, span: &Span, limit: usize) -> Run<Cut> {
        let mut sql =
            self.store.schema.sql("SELECT t.type, COUNT(*), SUM(t.bytes) FROM (SELECT r.type, r.bytes FROM ");
        self.entries(&mut sql, span, limit);
        sql.push(") AS t GROUP BY t.type");
        let mut cut = Cut::default();
        for row in sql.all(connection).await? {
            cut.counts.insert(number(&row, 0)?, number(&row, 1)?);
            cut.bytes = cut.bytes.saturating_add(usize::try_from(number(&row, 2)?).unwrap_or(usize::MAX));
        }
        Ok(cut)
    }

    /// The next entries that fit on the page, which has so many bytes already and may be empty: it takes one then.
    async fn cut(
        &self,
        connection: &mut PgConnection,
        span: &Span,
        room: usize,
        (bytes, is_empty): (usize, bool),
    ) -> Run<Cut> {
        let mut sql = self.store.schema.sql("SELECT r.type, r.position, r.bytes FROM ");
        self.entries(&mut sql, span, room.saturating_add(1));
        let mut cut = Cut::default();
        for (at, row) in sql.all(connection).await?.iter().enumerate() {
            let sum = cut.bytes.saturating_add(usize::try_from(number(row, 2)?).unwrap_or(usize::MAX));
            let is_full = at >= room || bytes.saturating_add(sum) > self.request.limits.bytes;
            if is_full && !(at == 0 && is_empty) {
                cut.next = Some(number(row, 1)?);
                break;
            }
            cut.bytes = sum;
            let count = cut.counts.entry(number(row, 0)?).or_default();
            *count = count.saturating_add(1);
        }
        Ok(cut)
    }

    /// Reads the counted entries with their bodies, and appends them in the order of the feed.
    async fn read(
        &self,
        connection: &mut PgConnection,
        span: &Span,
        cut: &Cut,
        found: &mut Vec<Found>,
    ) -> Run<()> {
        let begin = found.len();
        for (n, count) in &cut.counts {
            let kind = self.store.kind_at(connection, *n).await?;
            let mut sql = self.store.schema.sql(select(&kind));
            if kind.is_restricted() {
                sql.add(self.request.zone.key().unwrap_or_default());
            }
            self.span(&mut sql, span);
            sql.push(" AND r.type = ").push_bind(*n).push(ORDER).push_bind(*count);
            let take = |row: &PgRow| {
                found.push(self::found(row, &kind)?);
                Ok(())
            };
            sql.each(connection, take).await?;
        }
        if cut.counts.len() > 1 {
            let place = |found: &Found| (found.entry.position, found.kind.n);
            let new = found.get_mut(begin..).unwrap_or_default();
            new.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
        }
        Ok(())
    }

    /// The index, the conditions and the order of a span's entries.
    fn entries(&self, sql: &mut Sql, span: &Span, limit: usize) {
        sql.push(FEED).push(" WHERE ");
        self.span(sql, span);
        sql.push(ORDER).push_bind(u64::try_from(limit).unwrap_or(u64::MAX));
    }

    fn span(&self, sql: &mut Sql, span: &Span) {
        self.after(sql, &span.from);
        if let Some(bound) = span.bound {
            sql.push(" AND r.position <= ").push_bind(bound);
        }
        if !span.own.is_empty() {
            sql.push(" AND r.position <> ALL (?)").add_array(span.own.iter().copied());
        }
    }

    /// The entries of the asked types after a place.
    fn after(&self, sql: &mut Sql, from: &Place) {
        // As the index of the feed has it.
        sql.push("r.position > 0 AND r.zone = ").push_bind(self.zone);
        match &from.within {
            None => drop(sql.push(" AND r.position > ").push_bind(from.position)),
            Some((kind, id)) => {
                sql.push(" AND (r.position, r.type, r.id) > (").push_bind(from.position);
                sql.push(", ").push_bind(*kind).push(", ").push_bind(id.as_str()).push(")");
            }
        }
        self.of_types(sql);
    }

    pub(crate) fn of_types(&self, sql: &mut Sql) {
        if let Some(types) = &self.types {
            sql.push(" AND r.type = ANY (?)").add_array(types.iter().copied());
        }
    }

    /// How many entries follow; own pushes are counted with them.
    pub(crate) async fn remaining(&self, connection: &mut PgConnection, last: &Place) -> Run<u64> {
        let mut sql = self.store.schema.sql(format!("SELECT COUNT(*) FROM {FEED} WHERE "));
        self.after(&mut sql, last);
        let row = sql.first(connection).await?;
        row.map_or(Ok(0), |row| number(&row, 0))
    }
}

/// The feed, as statements name it.
pub(crate) const FEED: &str = "@records AS r";

const ORDER: &str = " ORDER BY r.position, r.type, r.id LIMIT ";

/// An entry with its body, from a row of [`select`].
pub(crate) fn found(row: &PgRow, kind: &Arc<Type>) -> Run<Found> {
    let is_there = truth(row, ENTRY_COLUMNS.saturating_add(1))?;
    let body = match is_there {
        true => Some(read_body(row, ENTRY_COLUMNS.saturating_add(2), kind)?),
        false => None,
    };
    let (entry, id) = (Entry::read(row, 0)?, read_id(row, ENTRY_COLUMNS)?);
    Ok(Found { kind: Arc::clone(kind), id, entry, body })
}

/// The start of a statement that reads entries of a type with their bodies; its first parameter is the zone key if the
/// type is restricted.
pub(crate) fn select(kind: &Type) -> String {
    let (table, id, selected) = (&kind.table, kind.id(), &kind.selected);
    let zone = if kind.is_restricted() { " AND u.zone = ?" } else { "" };
    format!(
        "SELECT {ENTRY}, r.id, {id} IS NOT NULL{selected} FROM {FEED} \
         LEFT JOIN {table} AS u ON {}{zone} AND NOT r.deleted WHERE ",
        kind.is_of_entry()
    )
}

pub(crate) const OWN: &str = "SELECT position FROM @positions \
     WHERE zone = ? AND device = ? AND position >= ? AND number BETWEEN 1 AND ? ORDER BY position LIMIT ?";
