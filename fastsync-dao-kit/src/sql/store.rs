//! A database, and what a process remembers of it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fastsync_core::source::rules::unknown_type;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::{TypeName, Zone};
use uuid::Uuid;

use crate::sql::driver::{Access, ArgumentsOf, Database, Link as _, Row as _};
use crate::sql::fail::{Fail, Run};
use crate::sql::kind::Type;
use crate::sql::many::Many;
use crate::sql::registry::Registry;
use crate::sql::retry::Attempts;
use crate::sql::statement::{Name, Sql};
use crate::sql::upgrade::Upgrade;

/// How many zones and devices a process remembers.
const MAX_NAMES: usize = 65_536;

#[derive(Debug)]
pub(crate) struct Store<D: Database> {
    pub(crate) database: D,
    pub(crate) upgrades: Upgrades<Upgrade<D>>,
    /// The version that the sync tables had when this was opened or prepared last.
    version: AtomicU32,
    registry: RwLock<Registry>,
    zones: RwLock<Names<Zone>>,
    devices: RwLock<Names<Uuid>>,
}

/// Both directions between a name and its number. Numbers are given outside transactions and never
/// change, so what was read once stays true.
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

fn lock<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn look<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Database> Store<D> {
    /// `version` is that of the sync tables, if they are there.
    pub(crate) fn new(database: D, upgrades: Upgrades<Upgrade<D>>, version: Option<u32>) -> Self {
        Self {
            database,
            upgrades,
            // Without the table, the server says so.
            version: AtomicU32::new(version.unwrap_or(upgrades.version())),
            registry: RwLock::new(Registry::default()),
            zones: Names::new(),
            devices: Names::new(),
        }
    }

    /// A connection in a transaction.
    pub(crate) async fn begin(&self, access: Access) -> Run<D::Link> {
        let mut link = self.database.link().await?;
        link.begin(access).await?;
        Ok(link)
    }

    /// Ends a transaction that has only read.
    pub(crate) async fn have_read<T>(mut link: D::Link, found: Run<T>) -> Run<T> {
        let ended = link.rollback().await;
        let found = found?;
        ended.map(|()| found)
    }

    /// Ends a transaction that has written: makes it durable, or takes it back if it has failed.
    pub(crate) async fn have_written<T>(mut link: D::Link, done: Run<T>) -> Run<T> {
        match done {
            Ok(done) => link.commit().await.map(|()| done),
            Err(fail) => {
                // A connection that is broken is rolled back by the server.
                link.rollback().await.unwrap_or_default();
                Err(fail)
            }
        }
    }

    /// Tries again what lost to another transaction.
    pub(crate) async fn retried<T, F: Future<Output = Run<T>>>(&self, work: impl Fn() -> F) -> Run<T> {
        let mut attempts = Attempts::new(self.database.attempts());
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(fail) => self.database.sleep(attempts.after(fail)?).await,
            }
        }
    }

    /// The prepared type of this name.
    pub(crate) async fn kind(&self, link: &mut D::Link, name: &TypeName) -> Run<Arc<Type>> {
        let known = look(&self.registry).get(name).cloned();
        if let Some(kind) = known {
            return Ok(kind);
        }
        // Another process may have prepared it.
        self.load(link).await?;
        let known = look(&self.registry).get(name).cloned();
        known.ok_or_else(|| unknown_type(name).into())
    }

    /// The prepared type with this number in the index.
    pub(crate) async fn kind_at(&self, link: &mut D::Link, n: u64) -> Run<Arc<Type>> {
        let known = look(&self.registry).at(n).cloned();
        if let Some(kind) = known {
            return Ok(kind);
        }
        self.load(link).await?;
        let known = look(&self.registry).at(n).cloned();
        known.ok_or_else(|| Fail::corrupt(format!("the index names type {n}, which is not there")))
    }

    /// Adds the stored types that are not known here yet.
    async fn load(&self, link: &mut D::Link) -> Run<()> {
        let loaded = crate::sql::registry::load(&self.database, link).await?;
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
    pub(crate) async fn zone(&self, link: &mut D::Link, zone: &Zone) -> Run<Option<u64>> {
        let known = look(&self.zones).numbers.get(zone).copied();
        if known.is_some() {
            return Ok(known);
        }
        let sql = Sql::new("SELECT n FROM fastsync_zones WHERE name = ?").bind(Name(&zone.to_string()));
        let Some(row) = sql.first(link).await? else { return Ok(None) };
        let n = row.number(0)?;
        lock(&self.zones).note(zone, n);
        Ok(Some(n))
    }

    /// Outside a transaction, so that nobody waits for the row and it stays.
    pub(crate) async fn zone_or_new(&self, link: &mut D::Link, zone: &Zone) -> Run<u64> {
        if let Some(n) = self.zone(link, zone).await? {
            return Ok(n);
        }
        let (begin, end) = link.dialect().insert_missing("fastsync_zones", "name");
        let insert = Sql::new(format!("{begin}VALUES (?){end}")).bind(Name(&zone.to_string()));
        insert.execute(link).await?;
        let n = self.zone(link, zone).await?;
        n.ok_or_else(|| Fail::corrupt("a zone is not there after it was added"))
    }

    pub(crate) async fn zone_of(&self, link: &mut D::Link, n: u64) -> Run<Zone> {
        let known = look(&self.zones).names.get(&n).cloned();
        if let Some(zone) = known {
            return Ok(zone);
        }
        let row = Sql::new("SELECT name FROM fastsync_zones WHERE n = ?").bind(n).first(link).await?;
        let row =
            row.ok_or_else(|| Fail::corrupt(format!("the index names zone {n}, which is not there")))?;
        let zone = Zone::parse(row.text(0)?)
            .map_err(|_| Fail::corrupt("fastsync_zones contains an invalid zone name"))?;
        lock(&self.zones).note(&zone, n);
        Ok(zone)
    }

    /// The number of a device, if it ever wrote anything.
    pub(crate) async fn device(&self, link: &mut D::Link, device: Uuid) -> Run<Option<u64>> {
        let known = look(&self.devices).numbers.get(&device).copied();
        if known.is_some() {
            return Ok(known);
        }
        let sql = Sql::new("SELECT n FROM fastsync_devices WHERE id = ?").bind(device);
        let Some(row) = sql.first(link).await? else { return Ok(None) };
        let n = row.number(0)?;
        lock(&self.devices).note(&device, n);
        Ok(Some(n))
    }

    /// The numbers of devices, given where they are new; outside a transaction, as
    /// [`Self::zone_or_new`].
    pub(crate) async fn devices_or_new(
        &self,
        link: &mut D::Link,
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
        let dialect = link.dialect();
        for is_new in [false, true] {
            missing.retain(|device| !found.contains_key(device));
            if is_new {
                let (begin, end) = dialect.insert_missing("fastsync_devices", "id");
                let insert = Many::insert(&begin, 1, end);
                let bind = |sql: &mut Sql<_>, device: &Uuid| {
                    sql.add(*device);
                };
                insert.execute(link, &missing, bind).await?;
            }
            for missing in missing.chunks(dialect.most_keys) {
                let mut sql = Sql::new("SELECT n, id FROM fastsync_devices WHERE id");
                sql.push_list(dialect, missing.iter().copied());
                found.extend(self.note_devices(link, sql).await?.into_iter().map(|(n, device)| (device, n)));
            }
        }
        Ok(found)
    }

    /// The devices with these numbers.
    pub(crate) async fn devices_of(
        &self,
        link: &mut D::Link,
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
        let dialect = link.dialect();
        for missing in missing.chunks(dialect.most_keys) {
            let mut sql = Sql::new("SELECT n, id FROM fastsync_devices WHERE n");
            sql.push_list(dialect, missing.iter().copied());
            found.extend(self.note_devices(link, sql).await?);
        }
        Ok(found)
    }

    /// Remembers the devices that a statement gives, with their numbers.
    async fn note_devices(&self, link: &mut D::Link, sql: Sql<ArgumentsOf<D>>) -> Run<Vec<(u64, Uuid)>> {
        let rows = sql.all(link).await?;
        let found = rows.iter().map(|row| Ok((row.number(0)?, row.uuid(1)?))).collect::<Run<Vec<_>>>()?;
        let mut devices = lock(&self.devices);
        found.iter().for_each(|(n, device)| devices.note(device, *n));
        Ok(found)
    }
}
