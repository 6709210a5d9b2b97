//! The order of commits of which each expects what the one before sets.

use std::sync::Arc;

use async_lock::OnceCell;

/// A commit's place in a row of commits of one process, of which each expects the state that the one before leaves: the
/// pushes of a device that come one after the other.
///
/// It orders nothing by itself: that a commit finds what it expects is checked by the storage. It tells when there is
/// something to find, so that [`commit`](super::SyncableDataSource::commit) can do beforehand what nobody sees.
///
/// A handle: clones are the same place. Waiting may be dropped at any time.
///
/// ```
/// # use futures_util::FutureExt as _;
/// use fastsync_core::source::Turn;
///
/// let first = Turn::default();
/// let second = first.next();
/// assert!(second.comes().now_or_never().is_none());
/// first.written();
/// assert!(second.may_begin().now_or_never().is_some());
/// first.locked();
/// assert!(second.may_lock().now_or_never().is_some());
/// assert!(second.comes().now_or_never().is_none());
/// first.over();
/// assert!(second.comes().now_or_never().is_some());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Turn {
    before: Option<Arc<Signals>>,
    own: Arc<Signals>,
}

#[derive(Debug, Default)]
struct Signals {
    written: OnceCell<()>,
    locked: OnceCell<()>,
    over: OnceCell<()>,
}

impl Turn {
    /// The place after this one. The default place is after none.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { before: Some(Arc::clone(&self.own)), own: Arc::default() }
    }

    /// Waits until the commit before has [written](Self::written), or is [over](Self::over).
    ///
    /// Who begins earlier may hold locks that the commit before waits for.
    pub async fn may_begin(&self) {
        if let Some(before) = &self.before {
            before.written.wait().await;
        }
    }

    /// Waits until the commit before has [locked](Self::locked) the state entries, or is [over](Self::over).
    ///
    /// Who locks them then, in a storage that has such locks, gets them when that one ends: earlier than it is told so, and
    /// with what it left.
    pub async fn may_lock(&self) {
        if let Some(before) = &self.before {
            before.locked.wait().await;
        }
    }

    /// Waits until the commit before is over: from then on what this one expects is there, if it ever is.
    pub async fn comes(&self) {
        if let Some(before) = &self.before {
            before.over.wait().await;
        }
    }

    /// Tells that this commit waits for no more locks that are held by whoever edits the same objects or tables.
    pub fn written(&self) {
        // The first time counts.
        let _ = self.own.written.try_set(());
    }

    /// Tells that this commit has the state entries for itself until it ends.
    pub fn locked(&self) {
        let _ = self.own.locked.try_set(());
    }

    /// Tells that nothing more is done for this commit, whatever became of it. The engine does that.
    pub fn over(&self) {
        self.written();
        self.locked();
        let _ = self.own.over.try_set(());
    }
}
