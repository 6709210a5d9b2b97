//! How large statements about many rows are.

use crate::sql::dialect::Dialect;

/// The most rows that one statement asks for by their keys, and the most keys that one removes.
pub const MAX_ROWS: usize = 512;

/// The most rows that one statement writes: a quarter of a thousand. Every connection prepares its
/// statements for itself and is told of every placeholder then, so a statement of thousands of them
/// costs as much as what it writes.
const MAX_WRITTEN: usize = 250;

/// How many of `left` rows the next statement writes: as many as it may, or a power of two, so that
/// few statements are prepared; within the limits of rows and placeholders.
#[must_use]
pub fn rows_at_once(dialect: &Dialect, left: usize, columns: usize) -> usize {
    let most = dialect.most_placeholders.checked_div(columns).unwrap_or(MAX_WRITTEN);
    let limit = MAX_WRITTEN.min(most).max(1);
    if left >= limit { limit } else { 1 << left.max(1).ilog2() }
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
    let fit = rows.iter().take(MAX_WRITTEN).take_while(|row| {
        held = held.saturating_add(bytes(row));
        held <= most
    });
    let count = rows_at_once(dialect, fit.count().max(1), columns).min(rows.len());
    rows.split_at(count)
}
