//! A connection with its settings checked, and the small integers that stand for zones and devices.

use std::cmp::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fastsync_core::source::rules::unknown_type;
use fastsync_core::{Decimal, ErrorKind, TypeName, Zone};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Params, Row};
use uuid::Uuid;

use crate::config::{SqliteConfig, Synchronous};
use crate::error::{Fail, Run};
use crate::key::Key;
use crate::names::Names;
use crate::registry::{Registry, Type, load};

/// The oldest SQLite without the bug by which two connections can damage a file in WAL mode.
pub(crate) const MIN_SQLITE: (i32, &str) = (3_051_003, "3.51.3");

/// How many pages the log grows to before they are copied into the file (about 64 MiB): large commits
/// dirty the same pages again and again, and each copy of the log writes a page once.
const CHECKPOINT_PAGES: u32 = 16_000;

/// One connection and what it remembers.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    registry: Arc<RwLock<Registry>>,
    zones: Names<Zone>,
    devices: Names<Uuid>,
}

impl Store {
    pub(crate) fn open(
        config: &SqliteConfig,
        cache_bytes: usize,
        registry: Arc<RwLock<Registry>>,
    ) -> Run<Self> {
        // Each connection belongs to one thread at a time, so SQLite's own mutexes are not needed.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&config.path, flags)?;
        connection.busy_timeout(config.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(256);
        configure(&connection, config, cache_bytes)?;
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function("fastsync_key", 1, flags, |context| {
            Ok(match context.get_raw(0).as_str() {
                Ok(id) => match Key::new(id) {
                    Key::Text(text) => rusqlite::types::Value::Text(text.into_owned()),
                    Key::Uuid(bytes) => rusqlite::types::Value::Blob(bytes.to_vec()),
                    Key::Other(bytes) => rusqlite::types::Value::Blob(bytes),
                },
                Err(_) => rusqlite::types::Value::Null,
            })
        })?;
        // For our own statements: columns are plain text, so every program can read and index them.
        connection.create_collation("fastsync_decimal", by_size)?;
        let zones = Names::new([
            "SELECT n FROM fastsync_zones WHERE name = ?1",
            "INSERT INTO fastsync_zones (name) VALUES (?1)",
            "SELECT name FROM fastsync_zones WHERE n = ?1",
        ]);
        let devices = Names::new([
            "SELECT n FROM fastsync_devices WHERE id = ?1",
            "INSERT INTO fastsync_devices (id) VALUES (?1)",
            "SELECT id FROM fastsync_devices WHERE n = ?1",
        ]);
        Ok(Self { connection, registry, zones, devices })
    }

    /// Runs a statement that is kept; gives how many rows it changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> Run<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// What a statement answers first.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Run<Option<T>> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// All that a statement answers.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Run<T>,
    ) -> Run<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// Runs reads on one committed state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Self) -> Run<T>) -> Run<T> {
        self.begin("BEGIN")?;
        let result = work(self);
        // Nothing was written, so this only gives up the snapshot.
        if self.end().is_err() {
            self.roll_back();
        }
        result
    }

    /// Runs writes in a transaction of their own.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Self) -> Run<T>) -> Run<T> {
        self.begin("BEGIN IMMEDIATE")?;
        let result = work(self).and_then(|done| {
            self.end()?;
            Ok(done)
        });
        if result.is_err() {
            self.roll_back();
        }
        result
    }

    pub(crate) fn begin(&self, sql: &str) -> Run<()> {
        // A job that panicked may have left one open.
        if !self.connection.is_autocommit() {
            self.roll_back();
        }
        self.run(sql, []).map(drop)
    }

    pub(crate) fn end(&self) -> Run<()> {
        self.run("COMMIT", []).map(drop)
    }

    /// Ends a transaction without effect, and forgets the numbers that it may have given.
    pub(crate) fn roll_back(&self) {
        // SQLite may have rolled back by itself (a full disk), and if this fails the next `begin` tries again.
        let _ = self.connection.execute_batch("ROLLBACK");
        self.zones.clear();
        self.devices.clear();
    }

    /// The prepared type of this name.
    pub(crate) fn kind(&self, name: &TypeName) -> Run<Arc<Type>> {
        self.find_kind(|registry| registry.get(name).cloned())?.ok_or_else(|| unknown_type(name).into())
    }

    /// The prepared type with this number in the index.
    pub(crate) fn kind_at(&self, n: i64) -> Run<Arc<Type>> {
        self.find_kind(|registry| registry.at(n).cloned())?
            .ok_or_else(|| Fail::corrupt(format!("the index names type {n}, which is not there")))
    }

    fn find_kind(&self, get: impl Fn(&Registry) -> Option<Arc<Type>>) -> Run<Option<Arc<Type>>> {
        let known = get(&self.registry.read().unwrap_or_else(PoisonError::into_inner));
        if known.is_some() {
            return Ok(known);
        }
        // Another process may have prepared it.
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        load(&mut registry, self)?;
        Ok(get(&registry))
    }

    /// The number of a zone, if anything was ever written to it.
    pub(crate) fn zone(&self, zone: &Zone) -> Run<Option<i64>> {
        self.zones.number(self, zone, || zone.to_string())
    }

    pub(crate) fn zone_or_new(&self, zone: &Zone) -> Run<i64> {
        self.zones.number_or_new(self, zone, || zone.to_string())
    }

    pub(crate) fn zone_of(&self, n: i64) -> Run<Zone> {
        self.zones.name(self, n, |row| {
            let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            Zone::parse(name).map_err(|_| Fail::corrupt("fastsync_zones contains an invalid zone name"))
        })
    }

    /// The number of a device, if it ever wrote anything.
    pub(crate) fn device(&self, device: Uuid) -> Run<Option<i64>> {
        self.devices.number(self, &device, || *device.as_bytes())
    }

    pub(crate) fn device_or_new(&self, device: Uuid) -> Run<i64> {
        self.devices.number_or_new(self, &device, || *device.as_bytes())
    }

    pub(crate) fn device_of(&self, n: i64) -> Run<Uuid> {
        self.devices.name(self, n, |row| Ok(Uuid::from_bytes(row.get(0)?)))
    }
}

/// The order of decimal numbers as text. Other text, which this crate never writes, comes after them.
fn by_size(a: &str, b: &str) -> Ordering {
    match (a.parse::<Decimal>(), b.parse::<Decimal>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Err(_), Err(_)) => a.cmp(b),
        (a, b) => a.is_err().cmp(&b.is_err()),
    }
}

fn configure(connection: &Connection, config: &SqliteConfig, cache_bytes: usize) -> Run<()> {
    switch_to_wal(connection, config.busy_timeout)?;
    let synchronous = match config.synchronous {
        Synchronous::Full => 2,
        Synchronous::Normal => 1,
    };
    let cache = cache_bytes.div_ceil(1024).clamp(64, 1 << 24);
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA fullfsync = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA recursive_triggers = OFF;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA cache_size = -{cache};"
    ))?;
    // What is acknowledged rests on these, so they are read back.
    for (pragma, wanted) in [("synchronous", synchronous), ("foreign_keys", 1)] {
        let found: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
        if found != wanted {
            let message = format!("SQLite keeps PRAGMA {pragma} at {found}, {wanted} is needed");
            return Err(Fail::new(ErrorKind::Config, "open", message));
        }
    }
    Ok(())
}

/// SQLite does not wait for other connections here, so this does.
fn switch_to_wal(connection: &Connection, timeout: Duration) -> Run<()> {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                let message = format!("the journal mode is {mode}; WAL is needed and not possible here");
                return Err(Fail::new(ErrorKind::Config, "open", message));
            }
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::DatabaseBusy && waited < timeout =>
            {
                std::thread::sleep(STEP);
                waited += STEP;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
