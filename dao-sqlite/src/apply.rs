//! Writing single records: the index row with its expectation, and the row in the user's table.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastsync_core::source::Expect;
use fastsync_core::{DeviceId, Incarnation, Record, RecordKey, Revision, Zone};
use rusqlite::{CachedStatement, OptionalExtension};

use crate::acknowledge::{Acknowledgement, acknowledge};
use crate::codec::{Bind, Meta, signed, unsigned};
use crate::connection::Store;
use crate::error::{Fail, Run};
use crate::key::Key;
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

macro_rules! insert {
    ($($on_conflict:expr),+) => {
        concat!(
            "INSERT INTO fastsync_records AS r (zone, type, id, session, revision, incarnation, deleted, ",
            "modified_at, modified_by, change) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ",
            "ON CONFLICT (zone, type, id) DO ",
            $($on_conflict),+
        )
    };
}

macro_rules! set {
    () => {
        "UPDATE SET session = max(session, excluded.session), revision = excluded.revision, \
         incarnation = excluded.incarnation, deleted = excluded.deleted, modified_at = excluded.modified_at, \
         modified_by = excluded.modified_by, change = excluded.change"
    };
}

macro_rules! update {
    ($where:literal) => {
        concat!(
            "UPDATE fastsync_records SET session = max(session, ?4), revision = ?5, incarnation = ?6, ",
            "deleted = ?7, modified_at = ?8, modified_by = ?9, change = ?10 ",
            "WHERE zone = ?1 AND type = ?2 AND id = ?3 AND ",
            $where
        )
    };
}

// One statement per expectation: what is expected is checked by the write itself.
const UPSERT: &str = insert!(set!());
const UPSERT_CLEAN: &str = insert!(set!(), " WHERE r.change = 0");
const INSERT: &str = insert!("NOTHING");
const UPDATE_REVISION: &str = update!("revision = ?11 AND change = 0");
const UPDATE_CHANGE: &str = update!("change = ?11");
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
    upsert: Lazy<'a>,
    upsert_clean: Lazy<'a>,
    insert: Lazy<'a>,
    update_revision: Lazy<'a>,
    update_change: Lazy<'a>,
    acknowledgements: Vec<Acknowledgement>,
    look_up: Lazy<'a>,
    zone: Option<(Zone, i64)>,
    device: Option<(DeviceId, i64)>,
    /// The zones that records were put into.
    pub(crate) zones: BTreeSet<i64>,
    pub(crate) put_pending: bool,
}

struct Table<'a> {
    kind: Arc<Type>,
    upsert: Option<CachedStatement<'a>>,
    delete: Option<CachedStatement<'a>>,
    count: i64,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a Store, session: i64, positioned: bool) -> Self {
        Self {
            store,
            feed: if positioned { session } else { 0 },
            change: session,
            tables: Vec::new(),
            upsert: Lazy::new(UPSERT),
            upsert_clean: Lazy::new(UPSERT_CLEAN),
            insert: Lazy::new(INSERT),
            update_revision: Lazy::new(UPDATE_REVISION),
            update_change: Lazy::new(UPDATE_CHANGE),
            acknowledgements: Vec::new(),
            look_up: Lazy::new(LOOK_UP),
            zone: None,
            device: None,
            zones: BTreeSet::new(),
            put_pending: false,
        }
    }

    /// How many records of each type were put.
    pub(crate) fn counts(&self) -> Vec<(i64, i64)> {
        let counted = self.tables.iter().filter(|table| table.count > 0);
        counted.map(|table| (table.kind.n, table.count)).collect()
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

    /// Writes the index row if `expect` holds; answers whether it did.
    pub(crate) fn put_index(
        &mut self,
        kind: &Arc<Type>,
        record: &Record,
        pending: bool,
        expect: Expect,
    ) -> Run<bool> {
        let zone = self.zone(&record.key.zone)?;
        let device = self.device(record.metadata.modified_by)?;
        let store = self.store;
        let change = match record.metadata.change {
            _ if !pending => 0,
            0 => self.change,
            kept => signed(kept),
        };
        let (statement, expected) = match expect {
            Expect::Anything => (self.upsert.get(store)?, None),
            Expect::Absent => (self.insert.get(store)?, None),
            Expect::Revision(revision) => (self.update_revision.get(store)?, Some(revision.to_bits())),
            Expect::Change(0) => (self.upsert_clean.get(store)?, None),
            Expect::Change(change) => (self.update_change.get(store)?, Some(change)),
        };
        let metadata = &record.metadata;
        statement.raw_bind_parameter(1, zone)?;
        statement.raw_bind_parameter(2, kind.n)?;
        statement.raw_bind_parameter(3, Key::new(record.key.id.as_str()))?;
        statement.raw_bind_parameter(4, self.feed)?;
        statement.raw_bind_parameter(5, signed(metadata.revision.to_bits()))?;
        statement.raw_bind_parameter(6, signed(metadata.incarnation.to_bits()))?;
        statement.raw_bind_parameter(7, i64::from(record.is_deleted()))?;
        statement.raw_bind_parameter(8, signed(metadata.modified_at.to_bits()))?;
        statement.raw_bind_parameter(9, device)?;
        statement.raw_bind_parameter(10, change)?;
        if let Some(expected) = expected {
            statement.raw_bind_parameter(11, signed(expected))?;
        }
        if statement.raw_execute()? == 0 {
            return Ok(false);
        }
        self.zones.insert(zone);
        self.put_pending |= pending;
        self.table(kind).count += 1;
        Ok(true)
    }

    /// Writes or removes the row in the user's table.
    pub(crate) fn put_row(&mut self, kind: &Arc<Type>, record: &Record) -> Run<()> {
        let store = self.store;
        let table = self.table(kind);
        let (slot, sql) = match record.body {
            Some(_) => (&mut table.upsert, &kind.upsert),
            None => (&mut table.delete, &kind.delete),
        };
        let statement = match slot {
            Some(statement) => statement,
            none => none.insert(store.connection.prepare_cached(sql)?),
        };
        statement.raw_bind_parameter(1, record.key.id.as_str())?;
        let mut next = 2;
        if let Some(key) = record.key.zone.key() {
            statement.raw_bind_parameter(next, key)?;
            next += 1;
        }
        for value in record.body.iter().flatten() {
            statement.raw_bind_parameter(next, Bind(value))?;
            next += 1;
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
            self.tables.push(Table { kind: Arc::clone(kind), upsert: None, delete: None, count: 0 });
        }
        // The row at `at` is there by the lines above.
        #[allow(clippy::indexing_slicing)]
        &mut self.tables[at]
    }
}

/// The record of a key as it is now.
pub(crate) fn record_now(store: &Store, kind: &Type, key: &RecordKey) -> Run<Option<Record>> {
    let Some(zone) = store.zone(&key.zone)? else { return Ok(None) };
    let mut statement = store.connection.prepare_cached(GET)?;
    let mut rows = statement.query((zone, kind.n, Key::new(key.id.as_str())))?;
    match rows.next()? {
        Some(row) => {
            let meta = Meta::read(store, row, 0)?;
            Bodies::new(store).record(kind.n, &key.zone, key.id.clone(), meta)
        }
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
