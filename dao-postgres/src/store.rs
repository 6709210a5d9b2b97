//! The pool, and what a process remembers of its database.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fastsync_core::source::rules::unknown_type;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::{TypeName, Zone};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::config::{PostgresConfig, Warning};
use crate::error::failed;
use crate::registry::{Registry, Type};
use crate::sql::{Schema, number, text, uuid};
use crate::upgrade::Upgrade;

/// How many zones and devices a process remembers.
const MAX_NAMES: usize = 65_536;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) pool: PgPool,
    pub(crate) schema: Schema,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) config: PostgresConfig,
    pub(crate) upgrades: Upgrades<Upgrade>,
    /// The version that the sync tables had when this was opened or prepared last.
    version: AtomicU32,
    registry: RwLock<Registry>,
    zones: RwLock<Names<Zone>>,
    devices: RwLock<Names<Uuid>>,
}

/// Both directions between a name and its number. Numbers are given outside transactions and never change, so what
/// was read once stays true.
#[derive(Debug)]
struct Names<T> {
    numbers: HashMap<T, u64>,
    names: HashMap<u64, T>,
}

impl<T: Clone + Eq + Hash> Names<T> {
    fn new() -> RwLock<Self> {
        RwLock::new(Self { numbers: HashMap::new(), names: HashMap::new() })
    }

    fn note(&mut self, name: &T, n: u64) {
        if self.names.len() >= MAX_NAMES {
            self.numbers.clear();
            self.names.clear();
        }
        self.numbers.insert(name.clone(), n);
        self.names.insert(n, name.clone());
    }
}

// Several reads see one state, that of the first; nothing is locked. A page is a walk over an index, whatever the statistics of
// a table say that was filled a moment ago.
pub(crate) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL enable_sort = off";

// Locking reads see the latest state. So writers of different rows do not meet, and a decision never rests on an old snapshot.
pub(crate) const WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL jit = off; SET LOCAL enable_seqscan = off";

/// The same, with the constraints that are declared as deferred checked at each statement.
pub(crate) const CAREFUL: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL jit = off; \
     SET LOCAL enable_seqscan = off; SET CONSTRAINTS ALL IMMEDIATE";

fn lock<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn look<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// `version` is that of the sync tables, if they are there.
    pub(crate) fn new(
        pool: PgPool,
        (schema, warnings): (Schema, Vec<Warning>),
        config: PostgresConfig,
        upgrades: Upgrades<Upgrade>,
        version: Option<u32>,
    ) -> Self {
        Self {
            pool,
            schema,
            warnings,
            config,
            upgrades,
            // Without the table, the server says so.
            version: AtomicU32::new(version.unwrap_or(upgrades.version())),
            registry: RwLock::new(Registry::default()),
            zones: Names::new(),
            devices: Names::new(),
        }
    }

    /// A connection of the pool, outside a transaction.
    pub(crate) async fn connection(&self) -> Run<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(failed)
    }

    /// A transaction whose reads see one committed state.
    pub(crate) async fn read(&self) -> Run<Transaction<'static, Postgres>> {
        self.pool.begin_with(READ).await.map_err(failed)
    }

    /// The same for a query of the user's, for which the planner chooses freely.
    pub(crate) async fn look(&self) -> Run<Transaction<'static, Postgres>> {
        self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)
    }

    pub(crate) async fn write(&self) -> Run<Transaction<'static, Postgres>> {
        self.pool.begin_with(WRITE).await.map_err(failed)
    }

    /// The prepared type of this name.
    pub(crate) async fn kind(&self, connection: &mut PgConnection, name: &TypeName) -> Run<Arc<Type>> {
        let known = look(&self.registry).get(name).cloned();
        if let Some(kind) = known {
            return Ok(kind);
        }
        // Another process may have prepared it.
        self.load(connection).await?;
        let known = look(&self.registry).get(name).cloned();
        known.ok_or_else(|| unknown_type(name).into())
    }

    /// The prepared type with this number in the index.
    pub(crate) async fn kind_at(&self, connection: &mut PgConnection, n: u64) -> Run<Arc<Type>> {
        let known = look(&self.registry).at(n).cloned();
        if let Some(kind) = known {
            return Ok(kind);
        }
        self.load(connection).await?;
        let known = look(&self.registry).at(n).cloned();
        known.ok_or_else(|| Fail::corrupt(format!("the index names type {n}, which is not there")))
    }

    /// Adds the stored types that are not known here yet.
    async fn load(&self, connection: &mut PgConnection) -> Run<()> {
        let loaded = crate::registry::load(connection, &self.schema).await?;
        let mut registry = lock(&self.registry);
        for kind in loaded {
            if registry.at(kind.n).is_none() {
                registry.insert(kind.n, kind.schema.name().clone(), kind);
            }
        }
        Ok(())
    }

    /// Refuses to work with tables that `prepare` has not upgraded yet.
    pub(crate) fn check_version(&self) -> Run<()> {
        Ok(self.upgrades.check(self.version.load(Ordering::Acquire))?)
    }

    /// Notes what was prepared, in sync tables of today's version.
    pub(crate) fn note_kinds(&self, kinds: Vec<Type>) {
        self.version.store(self.upgrades.version(), Ordering::Release);
        let mut registry = lock(&self.registry);
        for kind in kinds {
            registry.insert(kind.n, kind.schema.name().clone(), kind);
        }
    }

    /// The number of a zone, if anything was ever meant to be written to it.
    pub(crate) async fn zone(&self, connection: &mut PgConnection, zone: &Zone) -> Run<Option<u64>> {
        let known = look(&self.zones).numbers.get(zone).copied();
        if known.is_some() {
            return Ok(known);
        }
        let sql = self.schema.sql("SELECT n FROM @zones WHERE name = ?").bind(zone.to_string());
        let Some(row) = sql.first(connection).await? else { return Ok(None) };
        let n = number(&row, 0)?;
        lock(&self.zones).note(zone, n);
        Ok(Some(n))
    }

    /// Outside a transaction, so that nobody waits for the row and it stays.
    pub(crate) async fn zone_or_new(&self, connection: &mut PgConnection, zone: &Zone) -> Run<u64> {
        if let Some(n) = self.zone(connection, zone).await? {
            return Ok(n);
        }
        let insert = self.schema.sql("INSERT INTO @zones (name) VALUES (?) ON CONFLICT DO NOTHING");
        insert.bind(zone.to_string()).execute(connection).await?;
        let n = self.zone(connection, zone).await?;
        n.ok_or_else(|| Fail::corrupt("a zone is not there after it was added"))
    }

    pub(crate) async fn zone_of(&self, connection: &mut PgConnection, n: u64) -> Run<Zone> {
        let known = look(&self.zones).names.get(&n).cloned();
        if let Some(zone) = known {
            return Ok(zone);
        }
        let sql = self.schema.sql("SELECT name FROM @zones WHERE n = ?").bind(n);
        let row = sql.first(connection).await?;
        let row =
            row.ok_or_else(|| Fail::corrupt(format!("the index names zone {n}, which is not there")))?;
        let zone = Zone::parse(text(&row, 0)?)
            .map_err(|_| Fail::corrupt("fastsync_zones holds an invalid zone name"))?;
        lock(&self.zones).note(&zone, n);
        Ok(zone)
    }

    /// The number of a device, if it ever wrote anything.
    pub(crate) async fn device(&self, connection: &mut PgConnection, device: Uuid) -> Run<Option<u64>> {
        let known = look(&self.devices).numbers.get(&device).copied();
        if known.is_some() {
            return Ok(known);
        }
        let sql = self.schema.sql("SELECT n FROM @devices WHERE id = ?").bind(device);
        let Some(row) = sql.first(connection).await? else { return Ok(None) };
        let n = number(&row, 0)?;
        lock(&self.devices).note(&device, n);
        Ok(Some(n))
    }

    /// The numbers of devices, given where they are new; outside a transaction, as [`Self::zone_or_new`].
    pub(crate) async fn devices_or_new(
        &self,
        connection: &mut PgConnection,
        devices: &BTreeSet<Uuid>,
    ) -> Run<HashMap<Uuid, u64>> {
        let mut found = HashMap::with_capacity(devices.len());
        let mut missing: Vec<Uuid> = Vec::new();
        {
            let known = look(&self.devices);
            for device in devices {
                match known.numbers.get(device) {
                    Some(n) => drop(found.insert(*device, *n)),
                    None => missing.push(*device),
                }
            }
        }
        for is_new in [false, true] {
            missing.retain(|device| !found.contains_key(device));
            if missing.is_empty() {
                break;
            }
            if is_new {
                let insert = "INSERT INTO @devices (id) SELECT * FROM UNNEST(?) ON CONFLICT DO NOTHING";
                let mut sql = self.schema.sql(insert);
                sql.add_array(missing.iter().copied());
                sql.execute(connection).await?;
            }
            let mut sql = self.schema.sql("SELECT n, id FROM @devices WHERE id = ANY (?)");
            sql.add_array(missing.iter().copied());
            for row in sql.all(connection).await? {
                let (n, device) = (number(&row, 0)?, uuid(&row, 1)?);
                lock(&self.devices).note(&device, n);
                found.insert(device, n);
            }
        }
        Ok(found)
    }

    /// The devices with these numbers.
    pub(crate) async fn devices_of(
        &self,
        connection: &mut PgConnection,
        numbers: &BTreeSet<u64>,
    ) -> Run<HashMap<u64, Uuid>> {
        let mut found = HashMap::with_capacity(numbers.len());
        let mut missing: Vec<u64> = Vec::new();
        {
            let known = look(&self.devices);
            for n in numbers {
                match known.names.get(n) {
                    Some(device) => drop(found.insert(*n, *device)),
                    None => missing.push(*n),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let mut sql = self.schema.sql("SELECT n, id FROM @devices WHERE n = ANY (?)");
        sql.add_array(missing);
        for row in sql.all(connection).await? {
            let (n, device) = (number(&row, 0)?, uuid(&row, 1)?);
            lock(&self.devices).note(&device, n);
            found.insert(n, device);
        }
        Ok(found)
    }
}
