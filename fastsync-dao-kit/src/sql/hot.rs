//! The statements whose cost must not depend on how much there is, for tests of their plans.

use crate::sql::kind::Type;
use crate::sql::load::ROWS;
use crate::sql::walk::{self, FEED};
use crate::sql::{index, read, rows};

/// The statements that commits, pulls and reads by id consist of, over an unrestricted type, with a
/// value for each place, and the index that each is to go by: a test of a driver asks its server
/// for their plans. None of them sorts.
#[must_use]
pub fn hot_statements(kind: &Type) -> Vec<(String, &'static str)> {
    let dialect = kind.dialect();
    let filled = |sql: String| sql.replace('?', "1");
    let ids = |sql: String| filled(sql) + "('a', 'b')";
    let order = " AND r.type = 1 ORDER BY r.position, r.type, r.id LIMIT 1001";
    let feed = |place: &str| (format!("{}r.zone = 1 AND {place}{order}", walk::select(kind, FEED)), FEED);
    let load = "r.zone = 1 AND r.type = 1 AND r.id > 'x' AND r.position > 0 ORDER BY r.id LIMIT 1001";
    let within = "(r.position > 100 OR (r.position = 100 AND r.type > 1) \
                  OR (r.position = 100 AND r.type = 1 AND r.id > 'x'))";
    let statements = [
        feed("r.position > 100"),
        feed("r.position > 200"),
        feed(within),
        feed("r.position > 100 AND r.position NOT IN (120, 130)"),
        (walk::select(kind, ROWS) + load, ROWS),
        (filled(walk::own_statement(dialect)), "fastsync_own"),
        (filled(read::pending_statement(dialect)), ROWS),
        (filled(dialect.forms.purge.to_owned()), ROWS),
        (ids(read::get_statement(kind)), ROWS),
        (ids(read::bodies_statement(kind)), ROWS),
        (ids(index::look_up_statement(dialect)) + " FOR UPDATE", ROWS),
        (ids(rows::delete_statement(kind)), ROWS),
    ];
    statements.map(|(sql, index)| (dialect.spell(sql), index)).into()
}
