//! The statements whose cost must not depend on how much there is, for tests of their plans.

use crate::sql::kind::Type;
use crate::sql::load::ROWS;
use crate::sql::walk::{self, FEED};
use crate::sql::{index, read, rows};

/// The statements that commits, pulls and reads by id consist of, over an unrestricted type, with a
/// value for each place, and the index that each is to go by: a test of a driver asks its server
/// for their plans. None of them sorts, but those that lock may. `schema` is that of [`Dialect::spell`](crate::sql::Dialect::spell).
#[must_use]
pub fn hot_statements(kind: &Type, schema: &str) -> Vec<(String, &'static str)> {
    let dialect = kind.dialect();
    let [list, unlisted] = if dialect.has_arrays() {
        [" = ANY (ARRAY['a', 'b'])", "<> ALL (ARRAY[120, 130])"]
    } else {
        [" IN ('a', 'b')", "NOT IN (120, 130)"]
    };
    let filled = |sql: String| sql.replace('?', "1");
    let ids = |sql: String| filled(sql) + list;
    let order = " AND r.type = 1 ORDER BY r.position, r.type, r.id LIMIT 1001";
    let (of_feed, pending, tombstones) = if dialect.has_few_tables() {
        ("r.zone = 1", ROWS, ROWS)
    } else {
        ("r.zone = 1 AND r.position > 0", "fastsync_pending", "fastsync_tombstones")
    };
    let feed = |place: &str| (format!("{}{of_feed} AND {place}{order}", walk::select(kind, FEED)), FEED);
    let load = "r.zone = 1 AND r.type = 1 AND r.id > 'x' AND r.position > 0 ORDER BY r.id LIMIT 1001";
    let within = if dialect.forms.compares_rows {
        "(r.position, r.type, r.id) > (100, 1, 'x')"
    } else {
        "(r.position > 100 OR (r.position = 100 AND r.type > 1) \
         OR (r.position = 100 AND r.type = 1 AND r.id > 'x'))"
    };
    let statements = [
        feed("r.position > 100"),
        feed("r.position > 200"),
        feed(within),
        feed(&format!("r.position > 100 AND r.position {unlisted}")),
        (walk::select(kind, ROWS) + load, ROWS),
        (filled(walk::own_statement(dialect)), "fastsync_own"),
        (filled(read::pending_statement(dialect)), pending),
        (filled(dialect.forms.purge.to_owned()), tombstones),
        (ids(read::get_statement(kind)), ROWS),
        (ids(read::bodies_statement(kind)), ROWS),
        (ids(index::look_up_statement(dialect)) + &dialect.locking("r.id"), ROWS),
        (ids(rows::delete_statement(kind)), ROWS),
    ];
    statements.map(|(sql, index)| (dialect.spell(sql, schema), index)).into()
}
