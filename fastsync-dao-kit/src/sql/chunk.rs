//! How large statements about many rows are.

use crate::sql::dialect::{Dialect, Lists};

/// How many of `left` rows the next statement writes, within the limits of rows and places: as many as it may. With a place
/// for each value, a power of two below that, so that few statements are prepared.
#[must_use]
pub fn rows_at_once(dialect: &Dialect, left: usize, columns: usize) -> usize {
    match dialect.lists {
        Lists::Arrays => left.min(dialect.most_rows).max(1),
        Lists::Places(most) => {
            let most = most.checked_div(columns).unwrap_or(dialect.most_rows);
            let limit = dialect.most_rows.min(most).max(1);
            if left >= limit { limit } else { 1 << left.max(1).ilog2() }
        }
    }
}

/// The next rows that one statement writes, and those after them: as [`rows_at_once`], and no more
/// than have so many bytes together, but at least one.
pub fn split_rows<'r, R>(
    dialect: &Dialect,
    rows: &'r [R],
    columns: usize,
    (most, bytes): (usize, impl Fn(&R) -> usize),
) -> (&'r [R], &'r [R]) {
    let mut held = 0_usize;
    let fit = rows.iter().take(dialect.most_rows).take_while(|row| {
        held = held.saturating_add(bytes(row));
        held <= most
    });
    let count = rows_at_once(dialect, fit.count().max(1), columns).min(rows.len());
    rows.split_at(count)
}
