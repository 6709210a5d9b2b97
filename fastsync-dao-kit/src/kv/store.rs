//! One open store: its engine, its types, and the order of "applied, durable, visible".

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fastsync_core::ErrorKind;
use fastsync_core::source::PlannedChange;
use fastsync_core::source::upgrade::Upgrades;
use parking_lot::RwLock;

use crate::kv::draft::{Changes, Draft, within};
use crate::kv::engine::{Engine, View};
use crate::kv::fail::{Fail, Run, guarded};
use crate::kv::key;
use crate::kv::range::Range;
use crate::kv::registry::Registry;
use crate::kv::steps::Steps;
use crate::kv::upgrade::{Upgrade, read_meta, write_meta};

pub(crate) struct Store<E: Engine> {
    engine: E,
    upgrades: Upgrades<Upgrade<E::View>>,
    version: AtomicU32,
    number: AtomicU64,
    /// A reader holds it until it has its state of the rows, so that the types go with them; it is taken before
    /// everything that the engine locks.
    registry: RwLock<Arc<Registry>>,
    /// Why nothing can be done any more: a write failed half-way.
    broken: OnceLock<(ErrorKind, String)>,
}

/// What work on a draft led to.
pub(crate) struct Drafted<T> {
    pub(crate) result: T,
    pub(crate) changes: Changes,
    pub(crate) number: u64,
}

impl<E: Engine> Store<E> {
    pub(crate) fn open(engine: E, upgrades: Upgrades<Upgrade<E::View>>) -> Run<Self> {
        match guarded(|| look(&engine, upgrades)) {
            Ok((version, number, registry)) => Ok(Self {
                engine,
                upgrades,
                version: AtomicU32::new(version),
                number: AtomicU64::new(number),
                registry: RwLock::new(registry),
                broken: OnceLock::new(),
            }),
            Err(fail) => {
                // An engine may panic when it closes what is damaged.
                drop(guarded(|| {
                    drop(engine);
                    Ok(())
                }));
                Err(fail)
            }
        }
    }

    pub(crate) fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs reads on one committed state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Registry, &E::View) -> Run<T>) -> Run<T> {
        let types = self.registry.read();
        guarded(|| {
            self.engine.read(|rows| {
                self.check()?;
                let registry = Arc::clone(&types);
                drop(types);
                work(&registry, rows)
            })
        })
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read())
    }

    /// Runs what the writer does on a draft. Nothing is written yet. Only the writer changes the store, so what the draft
    /// reads stays as it is.
    pub(crate) fn draft<T>(
        &self,
        work: impl FnOnce(&Registry, &mut Draft<'_, E::View>) -> Run<T>,
    ) -> Run<Drafted<T>> {
        self.draft_group(|registry, draft| {
            let result = guarded(|| work(registry, draft));
            draft.end_job(result)
        })
    }

    /// The same of several jobs, each of which `work` ends by itself.
    pub(crate) fn draft_group<T>(
        &self,
        work: impl FnOnce(&Registry, &mut Draft<'_, E::View>) -> Run<T>,
    ) -> Run<Drafted<T>> {
        self.read(|registry, rows| {
            let mut draft = Draft::new(rows, self.number.load(Ordering::Relaxed));
            let result = work(registry, &mut draft)?;
            let (changes, number) = draft.finish();
            Ok(Drafted { result, changes, number })
        })
    }

    /// Refuses everything after a write that failed half-way.
    pub(crate) fn check(&self) -> Run<()> {
        match self.broken.get() {
            Some((kind, why)) => {
                Err(Fail::new(*kind, format!("an earlier write failed; open the store again: {why}")))
            }
            None => Ok(()),
        }
    }

    /// Writes what was drafted and what follows from it, makes it durable, and shows it to readers then.
    pub(crate) fn apply(&self, changes: Changes, number: u64, steps: Steps) -> Run<()> {
        self.apply_as(self.version.load(Ordering::Relaxed), changes, number, steps)
    }

    /// The same in a store that has this version from then on.
    fn apply_as(&self, version: u32, mut changes: Changes, number: u64, mut steps: Steps) -> Run<()> {
        if changes.is_empty() && version == self.version.load(Ordering::Relaxed) {
            return Ok(());
        }
        let prepares =
            within(&changes, &Range::prefix(key::types())).is_some_and(|mut rows| rows.next().is_some());
        changes.insert(key::META.to_vec(), Some(write_meta(version, number)?));
        // No reader begins while the types change.
        let mut types = prepares.then(|| self.registry.write());
        self.engine.exclusively(|| {
            let applied = guarded(|| self.engine.write(changes, number, &mut steps));
            applied.inspect_err(|fail| drop(self.broken.set(fail.summary())))
        })?;
        self.number.store(number, Ordering::Relaxed);
        self.version.store(version, Ordering::Release);
        if let Some(types) = &mut types {
            let loaded = guarded(|| self.engine.read(Registry::load));
            **types = Arc::new(loaded.inspect_err(|fail| drop(self.broken.set(fail.summary())))?);
        }
        Ok(())
    }

    /// Refuses to work with rows that `prepare` has not upgraded yet.
    pub(crate) fn check_version(&self) -> Run<()> {
        Ok(self.upgrades.check(self.version.load(Ordering::Acquire))?)
    }

    /// What [`Self::upgrade`] would do.
    pub(crate) fn planned(&self) -> Run<Vec<PlannedChange>> {
        Ok(self.upgrades.planned(self.version.load(Ordering::Acquire))?)
    }

    /// Does the steps that are due, each in a batch with its version: what is not done yet is done when this is called
    /// again. For the writer.
    pub(crate) fn upgrade(&self) -> Run<()> {
        for step in self.upgrades.due(self.version.load(Ordering::Acquire))? {
            let drafted = self.draft(|_, draft| (step.action)(draft))?;
            self.apply_as(step.to(), drafted.changes, drafted.number, Steps::default())?;
        }
        // What was decided by the release before, and not carried out.
        let mut types = self.registry.write();
        let carried_out = guarded(|| carry_out(&self.engine, self.number.load(Ordering::Relaxed)));
        *types = carried_out.inspect_err(|fail| drop(self.broken.set(fail.summary())))?;
        Ok(())
    }
}

/// The version of a store, the number of its last write, and its types.
fn look<E: Engine>(engine: &E, upgrades: Upgrades<Upgrade<E::View>>) -> Run<(u32, u64, Arc<Registry>)> {
    let (version, number) = engine.read(read_meta)?.unwrap_or((upgrades.version(), 0));
    let is_current = upgrades.due(version)?.is_empty();
    let registry = if is_current { carry_out(engine, number)? } else { registry(engine)? };
    Ok((version, number, registry))
}

/// Carries out what a process decided that died before the end; gives the types.
fn carry_out<E: Engine>(engine: &E, number: u64) -> Run<Arc<Registry>> {
    let registry = registry(engine)?;
    if engine.read(|rows| Ok(rows.get(key::DECISION)?.is_some()))? {
        let mut steps = Steps::of_decision(Arc::clone(&registry));
        engine.exclusively(|| engine.write(Changes::new(), number, &mut steps))?;
    }
    Ok(registry)
}

fn registry<E: Engine>(engine: &E) -> Run<Arc<Registry>> {
    engine.read(Registry::load).map(Arc::new)
}
