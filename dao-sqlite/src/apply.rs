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
use crate::statements::{Statements, Which};

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
    statements: Statements<'a>,
    acknowledgements: Vec<Acknowledgement>,
    zone: Option<(Zone, i64)>,
    device: Option<(DeviceId, i64)>,
    /// What was put, by the numbers of zones and types.
    pub(crate) tally: Tally<i64, i64>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a Store, session: i64, positioned: bool) -> Self {
        Self {
            store,
            feed: if positioned { session } else { 0 },
            change: session,
            statements: Statements::new(store),
            acknowledgements: Vec::new(),
            zone: None,
            device: None,
            tally: Tally::default(),
        }
    }

    /// What expectations are about.
    pub(crate) fn current(&mut self, kind: &Type, key: &RecordKey) -> Run<Option<(Revision, u64)>> {
        let Some(zone) = self.store.zone(&key.zone)? else { return Ok(None) };
        let statement = self.statements.get(Which::LookUp, || LOOK_UP.to_owned())?;
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
        let mut left = rows.as_slice();
        while let Some((now, later)) = left.split_at_checked(rows_at_once(left.len(), put::COLUMNS)) {
            let statement = self.statements.get(Which::Put(put, now.len()), || put.sql(now.len()))?;
            for (at, row) in now.iter().enumerate() {
                row.bind(statement, at * put::COLUMNS)?;
            }
            if statement.raw_execute()? < now.len() {
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
        let (which, sql, expected) = match expect {
            Expect::Revision(revision) => {
                (Which::UpdateRevision, UPDATE_REVISION, signed(revision.to_bits()))
            }
            Expect::Change(change) => (Which::UpdateChange, UPDATE_CHANGE, signed(change)),
            Expect::Anything | Expect::Absent => return Err(Fail::invalid("commit", "not an update")),
        };
        let statement = self.statements.get(which, || sql.to_owned())?;
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
        let mut records = records;
        while records.len() > 0 {
            let rows = rows_at_once(records.len(), kind.columns);
            let statement = self.statements.get(Which::Upsert(kind.n, rows), || kind.upsert(rows))?;
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
        let statement = self.statements.get(Which::Delete(kind.n), || kind.delete.clone())?;
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
