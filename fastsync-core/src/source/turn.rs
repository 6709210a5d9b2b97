//! The order of commits that each depend on their predecessor's state.

use std::sync::Arc;

use async_lock::OnceCell;

/// A commit's place in a sequence of commits that each depend on their predecessor's state, such as the
/// pushes of one device. The sequence is known to one process only.
///
/// A turn does not enforce the order: the storage checks each commit's expectations. It signals how far
/// the predecessor is, so that [`commit`](super::SyncableDataSource::commit) can do invisible work early.
///
/// A turn is a handle: clones are the same place. A wait can be cancelled at any time.
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
    /// The place after this one. The default place has no predecessor.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { before: Some(Arc::clone(&self.own)), own: Arc::default() }
    }

    /// Waits until the predecessor has [written](Self::written), or is [over](Self::over).
    ///
    /// A commit that begins earlier may hold locks that its predecessor waits for.
    pub async fn may_begin(&self) {
        if let Some(before) = &self.before {
            before.written.wait().await;
        }
    }

    /// Waits until the predecessor has [locked](Self::locked) the state entries, or is [over](Self::over).
    ///
    /// In a storage with row locks, a commit that requests the lock now gets it when its predecessor
    /// ends, before being notified, and then reads what the predecessor wrote.
    pub async fn may_lock(&self) {
        if let Some(before) = &self.before {
            before.locked.wait().await;
        }
    }

    /// Waits until the predecessor is over. What this commit expects is there from then on, if it ever is.
    pub async fn comes(&self) {
        if let Some(before) = &self.before {
            before.over.wait().await;
        }
    }

    /// Signals that this commit holds all its row locks.
    pub fn written(&self) {
        // The first time counts.
        let _ = self.own.written.try_set(());
    }

    /// Signals that this commit holds the locks of its state entries until it ends.
    pub fn locked(&self) {
        let _ = self.own.locked.try_set(());
    }

    /// Signals that this commit has ended, with whatever outcome. The engine calls this.
    pub fn over(&self) {
        self.written();
        self.locked();
        let _ = self.own.over.try_set(());
    }
}
