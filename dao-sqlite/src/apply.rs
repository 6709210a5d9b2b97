//! Writing records: the index rows with their expectation, and the rows in the user's table.

use std::sync::Arc;

use fastsync_core::source::Expect;
use fastsync_core::source::rules::{Tally, change_of_put};
use fastsync_core::{DeviceId, Incarnation, Record, RecordKey, Revision, Zone};
use rusqlite::{CachedStatement, OptionalExtension, Row};

use crate::acknowledge::{Acknowledgement, acknowledge};
use crate::codec::{Bind, Meta, signed, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::key::Key;
use crate::put::{self, Put, UPDATE_CHANGE, UPDATE_REVISION, rows_at_once};
use crate::read::{Bodies, GET};
use crate::registry::Type;

/// A statement that is prepared when it is first needed.
struct Lazy<'a> {
    sql: &'static str,
    statement: Option<CachedStatement<'a>>,
}

impl<'a> Lazy<'a> {
    const fn new(sql: &'static str) -> Self {
        Self { sql, statement: None }
    }

    fn get(&mut self, store: &'a Store) -> rusqlite::Result<&mut CachedStatement<'a>> {
        Ok(match &mut self.statement {
            Some(statement) => statement,
            none => none.insert(store.connection.prepare_cached(self.sql)?),
        })
    }
}

const LOOK_UP: &str =
    "SELECT revision, change FROM fastsync_records WHERE zone = ?1 AND type = ?2 AND id = ?3";

/// How many acknowledgements are collected.
const MAX_ACKNOWLEDGEMENTS: usize = 16_384;

/// Writes the records of one commit.
pub(crate) struct Writer<'a> {
    store: &'a Store,
    /// The session's number, for the feed; 0 if the commit takes no position.
    feed: i64,
    /// The change of pending records.
    change: i64,
    tables: Vec<Table<'a>>,
    puts: Vec<(Put, usize, CachedStatement<'a>)>,
    update_revision: Lazy<'a>,
    update_change: Lazy<'a>,
    acknowledgements: Vec<Acknowledgement>,
    look_up: Lazy<'a>,
    zone: Option<(Zone, i64)>,
    device: Option<(DeviceId, i64)>,
    /// What was put, by the numbers of zones and types.
    pub(crate) tally: Tally<i64, i64>,
}

struct Table<'a> {
    kind: Arc<Type>,
    upserts: Vec<(usize, CachedStatement<'a>)>,
    delete: Option<CachedStatement<'a>>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a Store, session: i64, positioned: bool) -> Self {
        Self {
            store,
            feed: if positioned { session } else { 0 },
            change: session,
            tables: Vec::new(),
            puts: Vec::new(),
            update_revision: Lazy::new(UPDATE_REVISION),
            update_change: Lazy::new(UPDATE_CHANGE),
            acknowledgements: Vec::new(),
            look_up: Lazy::new(LOOK_UP),
            zone: None,
            device: None,
            tally: Tally::default(),
        }
    }

    /// What expectations are about.
    pub(crate) fn current(&mut self, kind: &Type, key: &RecordKey) -> Run<Option<(Revision, u64)>> {
        let Some(zone) = self.store.zone(&key.zone)? else { return Ok(None) };
        let statement = self.look_up.get(self.store)?;
        let row = statement
            .query_row((zone, kind.n, Key::new(key.id.as_str())), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        Ok(row.map(|(revision, change)| (Revision::from_bits(unsigned(revision)), unsigned(change))))
    }

    /// Puts the index rows of these records of one type; answers whether what is expected held for each of them.
    pub(crate) fn put_index(&mut self, kind: &Arc<Type>, put: Put, records: &[(&Record, bool)]) -> Run<bool> {
        let mut rows = Vec::with_capacity(records.len());
        for (record, pending) in records {
            rows.push(self.index_row(kind, record, *pending)?);
        }
        let store = self.store;
        let mut left = rows.as_slice();
        while let Some((now, later)) = left.split_at_checked(rows_at_once(left.len(), put::COLUMNS)) {
            let statement = lazily(
                &mut self.puts,
                |(of, n, _)| (*of, *n) == (put, now.len()),
                || Ok((put, now.len(), store.connection.prepare_cached(&put.sql(now.len()))?)),
            )?;
            for (at, row) in now.iter().enumerate() {
                row.bind(&mut statement.2, at * put::COLUMNS)?;
            }
            if statement.2.raw_execute()? < now.len() {
                return Ok(false);
            }
            left = later;
        }
        self.note(&rows);
        Ok(true)
    }

    /// Updates the index row of a record if what is expected of it holds; answers whether it did.
    pub(crate) fn update_index(
        &mut self,
        kind: &Arc<Type>,
        record: &Record,
        pending: bool,
        expect: Expect,
    ) -> Run<bool> {
        let row = self.index_row(kind, record, pending)?;
        let (statement, expected) = match expect {
            Expect::Revision(revision) => (&mut self.update_revision, signed(revision.to_bits())),
            Expect::Change(change) => (&mut self.update_change, signed(change)),
            Expect::Anything | Expect::Absent => return Err(Fail::invalid("commit", "not an update")),
        };
        let statement = statement.get(self.store)?;
        row.bind(statement, 0)?;
        statement.raw_bind_parameter(put::COLUMNS + 1, expected)?;
        if statement.raw_execute()? == 0 {
            return Ok(false);
        }
        self.note(&[row]);
        Ok(true)
    }

    fn index_row<'r>(&mut self, kind: &Type, record: &'r Record, pending: bool) -> Run<IndexRow<'r>> {
        let change = signed(change_of_put(pending, record.metadata.change, unsigned(self.change)));
        Ok(IndexRow {
            zone: self.zone(&record.key.zone)?,
            kind: kind.n,
            device: self.device(record.metadata.modified_by)?,
            feed: self.feed,
            change,
            record,
        })
    }

    fn note(&mut self, rows: &[IndexRow<'_>]) {
        let sort = |row: &IndexRow<'_>| (row.zone, row.kind, row.change != 0);
        for some in rows.chunk_by(|a, b| sort(a) == sort(b)) {
            if let Some((zone, kind, pending)) = some.first().map(sort) {
                self.tally.puts(&zone, &kind, some.len() as u64, pending);
            }
        }
    }

    /// Writes live records of one type into the user's table.
    pub(crate) fn put_rows<'r>(
        &mut self,
        kind: &Arc<Type>,
        records: impl ExactSizeIterator<Item = &'r Record>,
    ) -> Run<()> {
        let store = self.store;
        let upserts = &mut self.table(kind).upserts;
        let mut records = records;
        while records.len() > 0 {
            let rows = rows_at_once(records.len(), kind.columns);
            let (_, statement) = lazily(
                upserts,
                |(n, _)| *n == rows,
                || Ok((rows, store.connection.prepare_cached(&kind.upsert(rows))?)),
            )?;
            let mut next = 1;
            for record in records.by_ref().take(rows) {
                statement.raw_bind_parameter(next, record.key.id.as_str())?;
                next += 1;
                if let Some(key) = record.key.zone.key() {
                    statement.raw_bind_parameter(next, key)?;
                    next += 1;
                }
                for value in record.body.iter().flatten() {
                    statement.raw_bind_parameter(next, Bind(value))?;
                    next += 1;
                }
            }
            statement.raw_execute()?;
        }
        Ok(())
    }

    /// Writes or removes the row of a record in the user's table.
    pub(crate) fn put_row(&mut self, kind: &Arc<Type>, record: &Record) -> Run<()> {
        if !record.is_deleted() {
            return self.put_rows(kind, std::iter::once(record));
        }
        let store = self.store;
        let statement = match &mut self.table(kind).delete {
            Some(statement) => statement,
            none => none.insert(store.connection.prepare_cached(&kind.delete)?),
        };
        statement.raw_bind_parameter(1, record.key.id.as_str())?;
        if let Some(key) = record.key.zone.key() {
            statement.raw_bind_parameter(2, key)?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    /// Takes an acknowledgement; it is stored by [`Self::flush`] at the latest.
    pub(crate) fn acknowledge(
        &mut self,
        kind: &Type,
        key: &RecordKey,
        change: u64,
        revision: Revision,
        incarnation: Incarnation,
    ) -> Run<()> {
        let Some(zone) = self.store.zone(&key.zone)? else { return Ok(()) };
        self.acknowledgements.push(Acknowledgement {
            key: (zone, kind.n, Key::new(key.id.as_str()).into_owned()),
            change: signed(change),
            revision: signed(revision.to_bits()),
            incarnation: signed(incarnation.to_bits()),
        });
        if self.acknowledgements.len() < MAX_ACKNOWLEDGEMENTS { Ok(()) } else { self.flush() }
    }

    /// Stores the acknowledgements that were taken.
    pub(crate) fn flush(&mut self) -> Run<()> {
        acknowledge(self.store, std::mem::take(&mut self.acknowledgements))
    }

    fn zone(&mut self, zone: &Zone) -> Run<i64> {
        match &self.zone {
            Some((last, n)) if last == zone => Ok(*n),
            _ => {
                let n = self.store.zone_or_new(zone)?;
                self.zone = Some((zone.clone(), n));
                Ok(n)
            }
        }
    }

    fn device(&mut self, device: DeviceId) -> Run<i64> {
        match self.device {
            Some((last, n)) if last == device => Ok(n),
            _ => {
                let n = self.store.device_or_new(device.as_uuid())?;
                self.device = Some((device, n));
                Ok(n)
            }
        }
    }

    fn table(&mut self, kind: &Arc<Type>) -> &mut Table<'a> {
        let at = self.tables.iter().position(|table| table.kind.n == kind.n).unwrap_or(self.tables.len());
        if at == self.tables.len() {
            self.tables.push(Table { kind: Arc::clone(kind), upserts: Vec::new(), delete: None });
        }
        // The row at `at` is there by the lines above.
        #[allow(clippy::indexing_slicing)]
        &mut self.tables[at]
    }
}

/// A row of the index as it is to be.
struct IndexRow<'r> {
    zone: i64,
    kind: i64,
    device: i64,
    feed: i64,
    change: i64,
    record: &'r Record,
}

impl IndexRow<'_> {
    /// Binds the row to the parameters after so many.
    fn bind(&self, statement: &mut CachedStatement<'_>, after: usize) -> rusqlite::Result<()> {
        let Record { key, metadata, .. } = self.record;
        statement.raw_bind_parameter(after + 1, self.zone)?;
        statement.raw_bind_parameter(after + 2, self.kind)?;
        statement.raw_bind_parameter(after + 3, Key::new(key.id.as_str()))?;
        statement.raw_bind_parameter(after + 4, self.feed)?;
        statement.raw_bind_parameter(after + 5, signed(metadata.revision.to_bits()))?;
        statement.raw_bind_parameter(after + 6, signed(metadata.incarnation.to_bits()))?;
        statement.raw_bind_parameter(after + 7, i64::from(self.record.is_deleted()))?;
        statement.raw_bind_parameter(after + 8, signed(metadata.modified_at.to_bits()))?;
        statement.raw_bind_parameter(after + 9, self.device)?;
        statement.raw_bind_parameter(after + 10, self.change)
    }
}

/// The one of these that fits, made if it is not there.
fn lazily<T>(all: &mut Vec<T>, fits: impl Fn(&T) -> bool, make: impl FnOnce() -> Run<T>) -> Run<&mut T> {
    let at = match all.iter().position(fits) {
        Some(at) => at,
        None => {
            all.push(make()?);
            all.len() - 1
        }
    };
    all.get_mut(at).ok_or_else(|| Fail::corrupt("no statement"))
}

/// The record of a key as it is now.
pub(crate) fn record_now(store: &Store, kind: &Type, key: &RecordKey) -> Run<Option<Record>> {
    let Some(zone) = store.zone(&key.zone)? else { return Ok(None) };
    let read = |row: &Row<'_>| Meta::read(store, row, 0);
    match store.all(GET, (zone, kind.n, Key::new(key.id.as_str())), read)?.pop() {
        Some(meta) => Bodies::new(store).record(kind.n, &key.zone, key.id.clone(), meta),
        None => Ok(None),
    }
}

/// A failure that only means that the row is refused.
pub(crate) fn refusal(result: Run<()>) -> Run<Option<String>> {
    match result {
        Ok(()) => Ok(None),
        Err(fail) => match Fail::constraint(&fail) {
            Some(text) => Ok(Some(text)),
            None => Err(fail),
        },
    }
}
