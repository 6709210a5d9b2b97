//! One walk over the feed of a zone: which entries a page has, and these with their bodies.
//!
//! A page is bounded by bytes, so it is cut before bodies are read: the server adds up the index entries by type, and
//! says how many of each the page has. Then each type's entries are read together with their rows of the user's table,
//! in one walk over the same index. Both see one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::ChangesRequest;
use fastsync_core::{ObjectId, Value};

use crate::sql::dialect::Dialect;
use crate::sql::driver::{ArgumentsOf, Database, Link as _, Row, RowOf};
use crate::sql::entry::{ENTRY, ENTRY_COLUMNS, Entry};
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::statement::Sql;
use crate::sql::store::Store;

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
pub(crate) struct Walk<'a, D: Database> {
    pub(crate) store: &'a Store<D>,
    pub(crate) request: &'a ChangesRequest,
    pub(crate) dialect: &'static Dialect,
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

impl<D: Database> Walk<'_, D> {
    /// The entries of a page; if more follow, the position of the next one.
    pub(crate) async fn collect(
        &self,
        link: &mut D::Link,
        mut from: Place,
    ) -> Run<(Vec<Found>, Option<u64>)> {
        let limits = self.request.limits;
        let limit = limits.records.max(1);
        let mut found: Vec<Found> = Vec::with_capacity(limit.min(10_000));
        let mut bytes = 0_usize;
        loop {
            let own = self.own(link, &from).await?;
            // Beyond the last of many own sessions there may be others; they are asked for in the next round.
            let bound = if own.len() >= MAX_OWN { own.last().copied() } else { None };
            let span = Span { from, own, bound };
            let room = limit.saturating_sub(found.len());
            // One more than there is room for tells whether more follow.
            let mut cut = self.sum(link, &span, room.saturating_add(1)).await?;
            if bytes.saturating_add(cut.bytes) > limits.bytes {
                cut = self.cut(link, &span, room, (bytes, found.is_empty())).await?;
            }
            bytes = bytes.saturating_add(cut.bytes);
            self.read(link, &span, &cut, &mut found).await?;
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
    async fn own(&self, link: &mut D::Link, from: &Place) -> Run<Vec<u64>> {
        let Some(own) = self.request.skip_own else { return Ok(Vec::new()) };
        let Some(device) = self.store.device(link, own.device.as_uuid()).await? else {
            return Ok(Vec::new());
        };
        let own_statement = own_statement(self.dialect);
        let sql = Sql::new(own_statement).bind(self.zone).bind(device).bind(from.position).bind(own.through);
        let rows = sql.bind(u64::try_from(MAX_OWN).unwrap_or(u64::MAX)).all(link).await?;
        rows.iter().map(|row| row.number(0)).collect()
    }

    /// The next entries, at most so many, added up by the server.
    async fn sum(&self, link: &mut D::Link, span: &Span, limit: usize) -> Run<Cut> {
        let sum = self.dialect.forms.whole_sum.replace("{}", "SUM(t.bytes)");
        let mut sql = Sql::new(format!("SELECT t.type, COUNT(*), {sum} FROM (SELECT r.type, r.bytes FROM "));
        self.entries(&mut sql, span, limit);
        sql.push(") AS t GROUP BY t.type");
        let mut cut = Cut::default();
        for row in sql.all(link).await? {
            cut.counts.insert(row.number(0)?, row.number(1)?);
            cut.bytes = cut.bytes.saturating_add(usize::try_from(row.number(2)?).unwrap_or(usize::MAX));
        }
        Ok(cut)
    }

    /// The next entries that fit on the page, which has so many bytes already and may be empty: it takes one then.
    async fn cut(
        &self,
        link: &mut D::Link,
        span: &Span,
        room: usize,
        (bytes, is_empty): (usize, bool),
    ) -> Run<Cut> {
        let mut sql = Sql::new("SELECT r.type, r.position, r.bytes FROM ");
        self.entries(&mut sql, span, room.saturating_add(1));
        let mut cut = Cut::default();
        for (at, row) in sql.all(link).await?.iter().enumerate() {
            let sum = cut.bytes.saturating_add(usize::try_from(row.number(2)?).unwrap_or(usize::MAX));
            let is_full = at >= room || bytes.saturating_add(sum) > self.request.limits.bytes;
            if is_full && !(at == 0 && is_empty) {
                cut.next = Some(row.number(1)?);
                break;
            }
            cut.bytes = sum;
            let count = cut.counts.entry(row.number(0)?).or_default();
            *count = count.saturating_add(1);
        }
        Ok(cut)
    }

    /// Reads the counted entries with their bodies, and appends them in the order of the feed.
    async fn read(&self, link: &mut D::Link, span: &Span, cut: &Cut, found: &mut Vec<Found>) -> Run<()> {
        let begin = found.len();
        for (n, count) in &cut.counts {
            let kind = self.store.kind_at(link, *n).await?;
            let mut sql = Sql::new(select(&kind, FEED));
            if kind.is_restricted() {
                sql.add(self.request.zone.key().unwrap_or_default());
            }
            self.span(&mut sql, span);
            sql.push(" AND r.type = ").push_bind(*n).push(ORDER).push_bind(*count);
            let take = |row: &RowOf<D>| {
                found.push(self::found(row, &kind)?);
                Ok(())
            };
            link.each(sql, take).await?;
        }
        if cut.counts.len() > 1 {
            let place = |found: &Found| (found.entry.position, found.kind.n);
            let new = found.get_mut(begin..).unwrap_or_default();
            new.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
        }
        Ok(())
    }

    /// The index, the conditions and the order of a span's entries.
    fn entries(&self, sql: &mut Sql<ArgumentsOf<D>>, span: &Span, limit: usize) {
        sql.push(&rows_by(self.dialect, FEED)).push(" WHERE ");
        self.span(sql, span);
        sql.push(ORDER).push_bind(u64::try_from(limit).unwrap_or(u64::MAX));
    }

    fn span(&self, sql: &mut Sql<ArgumentsOf<D>>, span: &Span) {
        self.after(sql, &span.from);
        if let Some(bound) = span.bound {
            sql.push(" AND r.position <= ").push_bind(bound);
        }
        if !span.own.is_empty() {
            sql.push(" AND r.position").push_unlisted(self.dialect, span.own.iter().copied());
        }
    }

    /// The entries of the asked types after a place.
    fn after(&self, sql: &mut Sql<ArgumentsOf<D>>, from: &Place) {
        sql.push("r.zone = ").push_bind(self.zone);
        if !self.dialect.has_few_tables() {
            // As the index of the feed has it.
            sql.push(" AND r.position > 0");
        }
        match &from.within {
            None => drop(sql.push(" AND r.position > ").push_bind(from.position)),
            Some((kind, id)) if self.dialect.forms.compares_rows => {
                sql.push(" AND (r.position, r.type, r.id) > (").push_bind(from.position);
                sql.push(", ").push_bind(*kind).push(", ").push_bind(id.as_str()).push(")");
            }
            Some((kind, id)) => {
                sql.push(" AND (r.position > ").push_bind(from.position);
                sql.push(" OR (r.position = ")
                    .push_bind(from.position)
                    .push(" AND r.type > ")
                    .push_bind(*kind);
                sql.push(") OR (r.position = ")
                    .push_bind(from.position)
                    .push(" AND r.type = ")
                    .push_bind(*kind);
                sql.push(" AND r.id > ").push_bind(id.as_str()).push("))");
            }
        }
        self.of_types(sql);
    }

    pub(crate) fn of_types(&self, sql: &mut Sql<ArgumentsOf<D>>) {
        if let Some(types) = &self.types {
            // No type has the number 0, and the list is not empty by it.
            let types = [&[0], types.as_slice()].concat();
            sql.push(" AND r.type").push_list(self.dialect, types.iter().copied());
        }
    }

    /// How many entries follow; own pushes are counted with them.
    pub(crate) async fn remaining(&self, link: &mut D::Link, last: &Place) -> Run<u64> {
        let feed = rows_by(self.dialect, FEED);
        let mut sql = Sql::new(format!("SELECT COUNT(*) FROM {feed} WHERE "));
        self.after(&mut sql, last);
        sql.count(link).await
    }
}

/// The index of the feed, which has all of an entry.
pub(crate) const FEED: &str = "fastsync_feed";

/// The rows of the index, called `r`, to be read by one of its indexes.
pub(crate) fn rows_by(dialect: &Dialect, index: &str) -> String {
    format!("fastsync_records AS r{}", dialect.by_index(index))
}

const ORDER: &str = " ORDER BY r.position, r.type, r.id LIMIT ";

/// An entry with its body, from a row of [`select`].
pub(crate) fn found(row: &impl Row, kind: &Arc<Type>) -> Run<Found> {
    let is_there = row.number(ENTRY_COLUMNS.saturating_add(1))? == 1;
    let body = match is_there {
        true => Some(row.body(ENTRY_COLUMNS.saturating_add(2), kind)?),
        false => None,
    };
    let (entry, id) = (Entry::read(row, 0)?, row.id(ENTRY_COLUMNS)?);
    Ok(Found { kind: Arc::clone(kind), id, entry, body })
}

/// The start of a statement that reads entries of a type with their bodies; its first parameter is the zone key if the
/// type is restricted.
pub(crate) fn select(kind: &Type, index: &str) -> String {
    let from = rows_by(kind.dialect(), index);
    let (table, id, of_entry) = (kind.table(), kind.id(), kind.id_of_entry());
    let (zone, live) = (kind.if_restricted(" AND u.zone = ?"), kind.dialect().truth(false));
    format!(
        "SELECT {ENTRY}, r.id, u.{id} IS NOT NULL{} FROM {from} \
         LEFT JOIN {table} AS u ON u.{id} = {of_entry}{zone} AND r.deleted = {live} WHERE ",
        kind.selected
    )
}

/// Parameters: the zone, the device, the first position, the last push, the most rows.
pub(crate) fn own_statement(dialect: &Dialect) -> String {
    format!(
        "SELECT position FROM fastsync_positions{} \
         WHERE zone = ? AND device = ? AND position >= ? AND number BETWEEN 1 AND ? ORDER BY position LIMIT ?",
        dialect.by_index("fastsync_own")
    )
}
