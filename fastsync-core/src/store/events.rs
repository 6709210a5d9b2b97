//! Telling the application what changed.

use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_broadcast::{InactiveReceiver, Receiver, RecvError, Sender};
use futures_util::Stream;

use crate::model::{ObjectId, RecordKey, TypeName, Zone};

/// What changed in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreChange {
    /// These records, by a local edit or by synchronisation.
    Records(Arc<[RecordKey]>),
    /// Too many records of these types to name them, or this reader was too slow: read again.
    Types(Arc<BTreeSet<TypeName>>),
}

/// How many changes wait for a slow reader before they are summed up.
const CAPACITY: usize = 256;

/// The most records that one change names.
const MAX_NAMED: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Events {
    sender: Sender<StoreChange>,
    // Keeps the channel open while nobody listens.
    _receiver: InactiveReceiver<StoreChange>,
    all_types: Arc<BTreeSet<TypeName>>,
}

impl Events {
    pub(crate) fn new(types: BTreeSet<TypeName>) -> Self {
        let (mut sender, receiver) = async_broadcast::broadcast(CAPACITY);
        sender.set_overflow(true);
        sender.set_await_active(false);
        Self { sender, _receiver: receiver.deactivate(), all_types: Arc::new(types) }
    }

    pub(crate) fn records(&self, keys: Vec<RecordKey>) {
        if keys.is_empty() {
            return;
        }
        if keys.len() > MAX_NAMED {
            return self.types(keys.into_iter().map(|key| key.type_name).collect());
        }
        self.send(StoreChange::Records(keys.into()));
    }

    pub(crate) fn types(&self, types: BTreeSet<TypeName>) {
        if !types.is_empty() {
            self.send(StoreChange::Types(Arc::new(types)));
        }
    }

    fn send(&self, change: StoreChange) {
        // With overflow a send fails only where nobody listens.
        let _ = self.sender.try_broadcast(change);
    }

    pub(crate) fn subscribe(&self, only: Option<(TypeName, Zone)>) -> ObjectChanges {
        ObjectChanges { receiver: self.sender.new_receiver(), only, all_types: Arc::clone(&self.all_types) }
    }
}

/// A stream of changes, made by [`Store::changes`](super::Store::changes) or a repository's `changes`.
///
/// It tells of changes made through this process's handles of the store, after they were committed. It never ends
/// while the store is open, and never blocks a writer: a reader that falls behind gets one
/// [`StoreChange::Types`] in place of what it missed.
pub struct ObjectChanges {
    receiver: Receiver<StoreChange>,
    only: Option<(TypeName, Zone)>,
    all_types: Arc<BTreeSet<TypeName>>,
}

impl ObjectChanges {
    /// The ids that a change of this repository's stream names; `None` means: read again.
    #[must_use]
    pub fn ids(change: &StoreChange) -> Option<Vec<ObjectId>> {
        match change {
            StoreChange::Records(keys) => Some(keys.iter().map(|key| key.id.clone()).collect()),
            StoreChange::Types(_) => None,
        }
    }

    fn select(&self, change: StoreChange) -> Option<StoreChange> {
        let Some((type_name, zone)) = &self.only else { return Some(change) };
        match &change {
            StoreChange::Types(types) => types.contains(type_name).then_some(change),
            StoreChange::Records(keys) => {
                let mine = |key: &&RecordKey| key.type_name == *type_name && key.zone == *zone;
                let selected: Vec<_> = keys.iter().filter(mine).cloned().collect();
                (!selected.is_empty()).then(|| StoreChange::Records(selected.into()))
            }
        }
    }
}

impl Stream for ObjectChanges {
    type Item = StoreChange;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<StoreChange>> {
        let this = self.get_mut();
        loop {
            let received = std::task::ready!(Pin::new(&mut this.receiver).poll_recv(context));
            let change = match received {
                Some(Ok(change)) => change,
                Some(Err(RecvError::Overflowed(_))) => StoreChange::Types(Arc::clone(&this.all_types)),
                Some(Err(RecvError::Closed)) | None => return Poll::Ready(None),
            };
            if let Some(change) = this.select(change) {
                return Poll::Ready(Some(change));
            }
        }
    }
}

impl fmt::Debug for ObjectChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectChanges").field("only", &self.only).finish_non_exhaustive()
    }
}
