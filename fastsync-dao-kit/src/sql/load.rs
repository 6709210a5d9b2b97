//! The first reading of a zone by type and id: the order of the tables, so that neighbours are read together.
//!
//! A page is bounded by bytes. How many rows fit is guessed from those before; what was read too much is dropped.

use std::sync::Arc;

use fastsync_core::ObjectId;
use fastsync_core::source::PageLimits;
use fastsync_core::source::rules::Room;

use crate::sql::driver::{Database, Link as _, Row, RowOf};
use crate::sql::entry::Entry;
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::statement::Sql;
use crate::sql::walk::{Found, Walk, found, rows_by, select};

/// The index that goes by type and id.
pub(crate) const ROWS: &str = "PRIMARY";

/// How many rows the first statement of a page reads.
const FIRST: usize = 64;

/// How many times as many the next one reads at most.
const GROWTH: usize = 16;

/// What a page has so far.
struct Page {
    limits: PageLimits,
    found: Vec<Found>,
    taken: Room,
    /// Whether a row came that it has no room for.
    is_full: bool,
    /// How many rows were asked for last.
    asked: usize,
}

impl Page {
    /// How many rows to ask for: one more than there is room for tells whether more follow.
    fn ask(&mut self) -> usize {
        let room = self.limits.records.saturating_sub(self.found.len());
        let left = self.limits.bytes.saturating_sub(self.taken.bytes());
        let fit = match self.taken.bytes().checked_div(self.found.len()) {
            Some(average) => left.checked_div(average).unwrap_or(left),
            None => FIRST,
        };
        let most = if self.asked == 0 { FIRST } else { self.asked.saturating_mul(GROWTH) };
        self.asked = room.min(fit).saturating_add(1).min(most);
        self.asked
    }

    fn take(&mut self, row: &impl Row, kind: &Arc<Type>) -> Run<()> {
        if self.is_full {
            return Ok(());
        }
        let size = usize::try_from(Entry::read(row, 0)?.bytes).unwrap_or(usize::MAX);
        if !self.taken.takes(size) {
            self.is_full = true;
            return Ok(());
        }
        self.found.push(found(row, kind)?);
        Ok(())
    }
}

impl<D: Database> Walk<'_, D> {
    /// The next entries of a load, after the one that was given last, and whether more follow.
    pub(crate) async fn load(
        &self,
        link: &mut D::Link,
        within: Option<(u64, ObjectId)>,
    ) -> Run<(Vec<Found>, bool)> {
        let limits = self.request.limits;
        let mut page = Page { limits, found: Vec::new(), taken: Room::new(limits), is_full: false, asked: 0 };
        let (from, id) = within.map_or((0, None), |(kind, id)| (kind, Some(id)));
        for n in self.kinds(link, from).await? {
            let kind = self.store.kind_at(link, n).await?;
            if !kind.schema.fits(&self.request.zone) {
                continue;
            }
            let mut after = id.clone().filter(|_| n == from);
            loop {
                let asked = page.ask();
                let mut sql = Sql::new(select(&kind, ROWS));
                if kind.is_restricted() {
                    sql.add(self.request.zone.key().unwrap_or_default());
                }
                sql.push("r.zone = ").push_bind(self.zone).push(" AND r.type = ").push_bind(n);
                if let Some(after) = &after {
                    sql.push(" AND r.id > ").push_bind(after.as_str());
                }
                sql.push(" AND r.position > 0 ORDER BY r.id LIMIT ");
                sql.push_bind(u64::try_from(asked).unwrap_or(u64::MAX));
                let mut came = 0_usize;
                let take = |row: &RowOf<D>| {
                    came = came.saturating_add(1);
                    page.take(row, &kind)
                };
                link.each(sql, take).await?;
                if page.is_full {
                    return Ok((page.found, true));
                }
                if came < asked {
                    break;
                }
                after = page.found.last().map(|last| last.id.clone());
            }
        }
        Ok((page.found, false))
    }

    /// The types that are asked for, from this one on.
    async fn kinds(&self, link: &mut D::Link, from: u64) -> Run<Vec<u64>> {
        let sql = Sql::new("SELECT n FROM fastsync_types WHERE n >= ? ORDER BY n").bind(from);
        let all = sql.all(link).await?;
        let all = all.iter().map(|row| row.number(0)).collect::<Run<Vec<_>>>()?;
        Ok(all.into_iter().filter(|n| self.types.as_ref().is_none_or(|types| types.contains(n))).collect())
    }

    /// How many entries of a load follow this one.
    pub(crate) async fn left_to_load(&self, link: &mut D::Link, last: &Found) -> Run<u64> {
        let rows = rows_by(self.dialect, ROWS);
        let mut sql = Sql::new(format!("SELECT COUNT(*) FROM {rows} WHERE r.position > 0 AND "));
        sql.push("r.zone = ").push_bind(self.zone);
        if self.dialect.forms.compares_rows {
            sql.push(" AND (r.type, r.id) > (").push_bind(last.kind.n);
            sql.push(", ").push_bind(last.id.as_str()).push(")");
        } else {
            sql.push(" AND (r.type > ").push_bind(last.kind.n);
            sql.push(" OR (r.type = ").push_bind(last.kind.n);
            sql.push(" AND r.id > ").push_bind(last.id.as_str()).push("))");
        }
        self.of_types(&mut sql);
        sql.count(link).await
    }
}
