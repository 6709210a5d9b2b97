//! The pushes that this process works on: who follows one begins before it has ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::OnceCell;

use super::receipt::LastPush;
use crate::model::SessionId;
use crate::source::Turn;

/// A device's entry in the state, which names the tenant and the user too, and a session of that device.
type Key = (String, SessionId);

/// The pushes under way in this process. Others may work on pushes of the same device: the storage decides whose turn it
/// is, and this only tells what it will find.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    pushes: Mutex<HashMap<Key, Arc<Progress>>>,
}

/// How far a push is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What will be stored of it; none if that is not known before its end.
    foretold: OnceCell<Option<LastPush>>,
    pub(super) turn: Turn,
}

impl Progress {
    /// Waits until it is known what will be stored of the push, if that is ever known before its end. It may turn out
    /// otherwise.
    pub(super) async fn foretold(&self) -> Option<LastPush> {
        self.foretold.wait().await.clone()
    }

    /// Tells what is about to be stored of this push, if a push may follow it unseen.
    pub(super) fn foretell(&self, last: LastPush) {
        if last.last.as_ref().is_some_and(|last| last.exceptions.is_empty()) {
            // Only the first attempt counts: what follows it finds out if it fails.
            let _ = self.foretold.try_set(Some(last));
        }
    }
}

/// A push under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    under_way: &'a UnderWay,
    key: Key,
    pub(super) progress: Arc<Progress>,
    /// The push that this one follows, if this process works on it.
    pub(super) before: Option<Arc<Progress>>,
}

impl UnderWay {
    /// Begins the push of a session that follows another one. Of a push that arrives twice at once, only the first is
    /// found by those that follow it.
    pub(super) fn begin(&self, device: &str, session: SessionId, follows: Option<SessionId>) -> Begun<'_> {
        let mut pushes = self.lock();
        let before = follows.and_then(|session| pushes.get(&(device.to_owned(), session)).map(Arc::clone));
        let turn = before.as_ref().map(|before| before.turn.next()).unwrap_or_default();
        let progress = Arc::new(Progress { turn, ..Progress::default() });
        let key = (device.to_owned(), session);
        if let Entry::Vacant(entry) = pushes.entry(key.clone()) {
            entry.insert(Arc::clone(&progress));
        }
        drop(pushes);
        Begun { under_way: self, key, progress, before }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Progress>>> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut pushes = self.under_way.lock();
        if pushes.get(&self.key).is_some_and(|progress| Arc::ptr_eq(progress, &self.progress)) {
            pushes.remove(&self.key);
        }
        drop(pushes);
        // Whoever is told already waits for the end.
        let _ = self.progress.foretold.try_set(None);
        self.progress.turn.over();
    }
}
