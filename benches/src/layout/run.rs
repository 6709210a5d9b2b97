//! Running a layout.

use std::path::Path;

use anyhow::{Result, ensure};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};
use uuid::Uuid;

use super::Layout;
use crate::process::written;
use crate::records::{Item, Made};
use crate::time::{now, since};

/// What a layout took: seconds, and bytes handed to the system to write.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// A server's commits.
    pub write_seconds: f64,
    /// A server's feed, all of it.
    pub pull_seconds: f64,
    /// A client's commits of pending rows.
    pub edit_seconds: f64,
    /// A client's reading of its pending rows and its noting that they were confirmed.
    pub confirm_seconds: f64,
    /// Bytes of a server's commits.
    pub write_bytes: Option<u64>,
    /// Bytes of a client's notes of confirmation.
    pub confirm_bytes: Option<u64>,
}

/// A row with its key in both forms.
struct Row {
    item: Item,
    key: [u8; 16],
    token: i64,
}

/// Measures a layout with `rows` new rows, `per_session` at a time, in databases at `server` and `client`.
///
/// # Errors
/// Those of SQLite; rows are missing.
pub fn measure(
    layout: &Layout,
    server: &Path,
    client: &Path,
    rows: u64,
    per_session: usize,
) -> Result<Figures> {
    let mut made: Vec<Row> = (0..rows).map(row).collect::<Result<_>>()?;
    // Each session goes in the order of its keys, as fastsync-dao-sqlite writes it.
    made.chunks_mut(per_session).for_each(|session| session.sort_by_key(|row| row.key));

    let database = open(layout, server)?;
    let (before, start) = (written(), now());
    store(layout, &database, &made, per_session, false)?;
    let write_seconds = since(start);
    let write_bytes = written().zip(before).map(|(after, before)| after - before);
    let start = now();
    let read = read(layout, &database, layout.feed, None)?;
    let pull_seconds = since(start);
    ensure!(read == rows, "{}: {read} of {rows} rows in the feed", layout.name);
    drop(database);

    let database = open(layout, client)?;
    let start = now();
    store(layout, &database, &made, per_session, true)?;
    let edit_seconds = since(start);
    let (before, start) = (written(), now());
    confirm(layout, &database, &made, per_session)?;
    let confirm_seconds = since(start);
    let confirm_bytes = written().zip(before).map(|(after, before)| after - before);
    Ok(Figures { write_seconds, pull_seconds, edit_seconds, confirm_seconds, write_bytes, confirm_bytes })
}

fn row(n: u64) -> Result<Row> {
    let item = Item::make(n);
    let id: Uuid = item.id.parse()?;
    Ok(Row { key: id.into_bytes(), token: id.as_u64_pair().0.cast_signed(), item })
}

fn open(layout: &Layout, path: &Path) -> Result<Connection> {
    let database = Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; \
         PRAGMA wal_autocheckpoint = 16000;",
    )?;
    database.execute_batch(layout.create)?;
    Ok(database)
}

/// Binds as many parameters as the statement has.
fn bind(statement: &mut CachedStatement<'_>, row: &Row, session: i64, change: i64) -> Result<()> {
    let Row { item, key, token } = row;
    for at in 1..=statement.parameter_count() {
        match at {
            1 => statement.raw_bind_parameter(at, &item.id),
            2 => statement.raw_bind_parameter(at, key),
            3 => statement.raw_bind_parameter(at, &item.name),
            4 => statement.raw_bind_parameter(at, &item.description),
            5 => statement.raw_bind_parameter(at, item.quantity),
            6 => statement.raw_bind_parameter(at, item.updated_at),
            7 => statement.raw_bind_parameter(at, session),
            11 => statement.raw_bind_parameter(at, change),
            // Revision, incarnation and time: random 64-bit numbers for all that SQLite knows.
            _ => statement.raw_bind_parameter(at, token),
        }?;
    }
    Ok(())
}

fn transaction(database: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    database.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    work()?;
    database.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn store(
    layout: &Layout,
    database: &Connection,
    rows: &[Row],
    per_session: usize,
    pending: bool,
) -> Result<()> {
    for (n, session) in (1_i64..).zip(rows.chunks(per_session)) {
        let (session_number, change) = if pending { (0, n) } else { (n, 0) };
        transaction(database, || {
            let mut statements =
                layout.write.iter().map(|sql| database.prepare_cached(sql)).collect::<Result<Vec<_>, _>>()?;
            for row in session {
                for statement in &mut statements {
                    bind(statement, row, session_number, change)?;
                    statement.raw_execute()?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads rows with all their fields, as an end would to send them; gives how many.
fn read(layout: &Layout, database: &Connection, sql: &str, change: Option<i64>) -> Result<u64> {
    let mut statement = database.prepare_cached(sql)?;
    if let Some(change) = change {
        statement.raw_bind_parameter(11, change)?;
    }
    let mut body = layout.body.map(|sql| database.prepare_cached(sql)).transpose()?;
    let mut rows = statement.raw_query();
    let mut count = 0;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.clear();
        take(row, &mut values)?;
        if let Some(body) = &mut body {
            let id = Uuid::from_slice(row.get_ref(0)?.as_blob()?)?;
            body.raw_bind_parameter(1, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) as &str)?;
            let mut found = body.raw_query();
            let Some(fields) = found.next()? else { continue };
            take(fields, &mut values)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Copies every column out of SQLite.
fn take(row: &rusqlite::Row<'_>, values: &mut Vec<rusqlite::types::Value>) -> Result<()> {
    for at in 0..row.as_ref().column_count() {
        let value: ValueRef<'_> = row.get_ref(at)?;
        values.push(value.try_into()?);
    }
    Ok(())
}

fn confirm(layout: &Layout, database: &Connection, rows: &[Row], per_session: usize) -> Result<()> {
    for (n, session) in (1_i64..).zip(rows.chunks(per_session)) {
        let read = read(layout, database, layout.pending, Some(n))?;
        ensure!(read == session.len() as u64, "{}: {read} of {} rows pending", layout.name, session.len());
        transaction(database, || {
            let mut statement = database.prepare_cached(layout.acknowledge)?;
            for row in session {
                bind(&mut statement, row, 0, 0)?;
                statement.raw_execute()?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
