//! An engine in memory, for tests: it commits `changes` and each step on its own, as an engine without transactions
//! does, and can be told to die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastsync_core::ErrorKind;
use parking_lot::RwLock;

use crate::kv::{Changes, Engine, Fail, Range, Run, Steps, View, retry};

/// The rows of a store.
pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where the rows are, whether an engine has them open or not.
pub(crate) type Disk = Arc<RwLock<Rows>>;

#[derive(Debug)]
pub(crate) struct Toy {
    pub(crate) rows: Disk,
    /// How many groups of writes there were.
    pub(crate) writes: AtomicUsize,
    /// After how many steps the process dies.
    pub(crate) dies_after: Option<usize>,
}

impl Toy {
    /// Waits until no other engine has them open. Nobody else may keep a clone of `disk`.
    pub(crate) fn open(disk: &Disk) -> Self {
        let is_free = || Ok((Arc::strong_count(disk) == 1).then_some(()));
        retry(Duration::from_secs(20), is_free).unwrap().expect("nobody has it open");
        Self { rows: Arc::clone(disk), writes: AtomicUsize::new(0), dies_after: None }
    }
}

impl Engine for Toy {
    const NAME: &'static str = "toy";

    type View = Rows;

    fn read<T>(&self, work: impl FnOnce(&Self::View) -> Run<T>) -> Run<T> {
        work(&self.rows.read())
    }

    fn write(&self, changes: Changes, _number: u64, steps: &mut Steps) -> Run<()> {
        let mut rows = self.rows.write();
        let mut next = Some(changes);
        let mut went = 0;
        while let Some(changes) = next {
            apply(&mut rows, changes);
            if self.dies_after == Some(went) {
                return Err(Fail::new(ErrorKind::Backend, "the process died"));
            }
            went += 1;
            next = steps.next(&*rows)?;
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl View for Rows {
    type Bytes<'a> = &'a [u8];

    fn get(&self, key: &[u8]) -> Run<Option<Self::Bytes<'_>>> {
        Ok(Self::get(self, key).map(Vec::as_slice))
    }

    fn scan(&self, range: Range) -> impl Iterator<Item = Run<(Self::Bytes<'_>, Self::Bytes<'_>)>> {
        let rows = (!range.is_empty()).then(|| self.range::<[u8], _>(range.bounds()));
        rows.into_iter().flatten().map(|(key, value)| Ok((key.as_slice(), value.as_slice())))
    }

    fn last(&self, range: Range) -> Run<Option<(Self::Bytes<'_>, Self::Bytes<'_>)>> {
        let rows = (!range.is_empty()).then(|| self.range::<[u8], _>(range.bounds()));
        Ok(rows.and_then(|mut rows| rows.next_back()).map(|(key, value)| (key.as_slice(), value.as_slice())))
    }
}

pub(crate) fn apply(rows: &mut Rows, changes: Changes) {
    for (key, change) in changes {
        match change {
            Some(value) => drop(rows.insert(key, value)),
            None => drop(rows.remove(&key)),
        }
    }
}

/// A copy of a row.
pub(crate) fn pair<B: AsRef<[u8]>>((key, value): (B, B)) -> (Vec<u8>, Vec<u8>) {
    (key.as_ref().to_vec(), value.as_ref().to_vec())
}
