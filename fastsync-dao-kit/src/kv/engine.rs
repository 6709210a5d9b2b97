//! What an engine brings.

use crate::kv::{Changes, Range, Run, Steps};

/// An ordered key-value engine, opened.
///
/// One thread writes, several read. All methods may block: none of them is called on a thread of the application's.
pub trait Engine: Send + Sync + Sized + 'static {
    /// What errors name as their backend.
    const NAME: &'static str;

    /// Where one committed state is read.
    type View: View + 'static;

    /// Runs reads on one committed state.
    ///
    /// # Behaviour
    /// - What `work` sees is whole: the state after some [`write`](Self::write), however many follow while it reads.
    /// - A write that has returned is seen.
    ///
    /// # Errors
    /// Those of the engine and of `work`.
    fn read<T>(&self, work: impl FnOnce(&Self::View) -> Run<T>) -> Run<T>;

    /// Writes `changes`, and then what each of the `steps` gives, as one commit.
    ///
    /// # Behaviour
    /// - Everything is durable when this returns, and no reader sees a part of it before.
    /// - If the process or the machine dies, either nothing is there or `changes` is, whole. With it may be the steps up to
    ///   some step, each whole: opening the store goes on from there.
    /// - A step reads what `changes` and the steps before it wrote. No more than one of them is in memory at a time.
    /// - After an error nothing is written any more, and nothing is read.
    ///
    /// `number` counts the writes of the store. Only an engine that can lose some without a word has a use for it, and
    /// compares it with [`written`](crate::kv::written) when it opens the store.
    ///
    /// # Errors
    /// Those of the engine and of the steps.
    fn write(&self, changes: Changes, number: u64, steps: &mut Steps) -> Run<()>;

    /// Runs a write while nobody reads. An engine whose readers keep to a snapshot has nothing to add.
    fn exclusively<T>(&self, write: impl FnOnce() -> T) -> T {
        write()
    }
}

/// Where rows are read: one state of the store.
pub trait View {
    /// A key or a value as the engine gives it, without a copy if it can.
    type Bytes<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// The value of a key.
    ///
    /// # Errors
    /// Those of the engine.
    fn get(&self, key: &[u8]) -> Run<Option<Self::Bytes<'_>>>;

    /// The rows of a range by their keys. A range may end before it begins: it has no rows.
    fn scan(&self, range: Range) -> impl Iterator<Item = Run<(Self::Bytes<'_>, Self::Bytes<'_>)>>;

    /// The row of a range with the greatest key.
    ///
    /// # Errors
    /// Those of the engine.
    fn last(&self, range: Range) -> Run<Option<(Self::Bytes<'_>, Self::Bytes<'_>)>>;
}
