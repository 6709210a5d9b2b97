//! The client's end: `push`, `pull`, `sync`, `hard_reset`.

mod apply;
mod aside;
mod builder;
mod collect;
mod cut;
mod discard;
mod finish;
mod forgotten;
mod giving_up;
mod history;
mod kept;
mod missing;
mod note;
mod outgrown;
mod pull;
mod push;
mod queue;
mod receipt;
mod redate;
mod regroup;
mod rejected;
mod renumber;
mod replies;
mod report;
mod reset;
mod seen;
mod settle;
mod state;
mod sync;
mod unanswered;
mod versions;
mod waiting;
mod walk;
mod withdraw;
mod zones;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use aside::{AsideReason, SetAside};
pub use builder::{ClientBuilder, PullLimits};
pub use forgotten::WhenForgotten;
pub use rejected::RejectedEdit;
pub use report::{
    ClientStatus, PullReport, PushReport, SettledConflict, Settlement, SyncPhase, SyncProgress, SyncReport,
};
pub use reset::PendingEdits;
pub use sync::SyncError;
pub use waiting::{WaitingEdits, WaitingReason};

use super::SyncManager;
use super::endpoint::Endpoint;
use crate::error::Result;
use crate::model::{Record, RecordKey, TypeName, Zone};
use crate::protocol::PushMode;
use crate::store::Store;
use crate::transport::Transport;

type ProgressListener = Box<dyn Fn(&SyncProgress) + Send + Sync>;

/// The state of a client's manager.
pub struct Client {
    store: Store,
    endpoints: BTreeMap<TypeName, Endpoint>,
    transport: Arc<dyn Transport>,
    zones: Vec<Zone>,
    mode: PushMode,
    pull_limits: PullLimits,
    when_forgotten: WhenForgotten,
    progress: Option<ProgressListener>,
    has_unregistered: async_lock::OnceCell<bool>,
    cut: cut::Cut,
    /// One synchronisation at a time; local edits go on meanwhile.
    running: async_lock::Mutex<()>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("store", &self.store)
            .field("transport", &self.transport)
            .field("zones", &self.zones)
            .finish_non_exhaustive()
    }
}

impl Client {
    fn report_progress(&self, progress: &SyncProgress) {
        if let Some(listener) = &self.progress {
            listener(progress);
        }
    }
}

impl SyncManager<Client> {
    /// The store that is kept in step.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Sends local edits to the server, session by session, until only those in [`PushReport::waiting`] are left.
    ///
    /// Edits made meanwhile are sent too, or stay for the next time; none is lost. What the server merged or
    /// refused is stored before this returns. After an upgrade of the application, or where the server does not know a type, it
    /// pulls as well.
    ///
    /// # Errors
    /// Those of the transport, the server and the data source. Sessions that were acknowledged before stay so; what became of
    /// their objects is stored and not reported. The next call sends a push without an answer as it was, and makes one that was
    /// refused anew.
    ///
    /// Cancellation: may be dropped at any point; the next call continues.
    pub async fn push(&self) -> Result<PushReport> {
        let _running = self.inner.running.lock().await;
        self.inner.push().await
    }

    /// Fetches what changed on the server and makes it visible in one local commit.
    ///
    /// If a push is in flight, its answer is asked for first. Where that fails, the pull goes on, unless it brings
    /// objects of that push in another version, or the application was upgraded since the push was made: then it changes nothing
    /// and fails as the push does. Pages that arrive are kept: the next pull goes on after them, in another process too.
    ///
    /// Never overwrites a local edit: where both sides changed an object, its conflict handler decides, and the
    /// edit stays pending or is reported as dropped. If the server requires it, everything is fetched anew and
    /// local edits are kept. Each record is put in place of the one before, so columns and tables of your own beside it stay, and
    /// only what the server has deleted is removed. What it had acknowledged and has forgotten, since it was restored from a backup or is
    /// another one, is kept: see [`WhenForgotten`].
    ///
    /// # Errors
    /// Those of the transport, the server and the data source; `TooLarge` if more records would be set aside than
    /// [`PullLimits`] allows; `Contention` if another process synchronises the store. The local records are as before then, but
    /// for what the answer to a push in flight changed.
    ///
    /// Cancellation: may be dropped at any point; the local records are as before, or the whole pull is visible.
    pub async fn pull(&self) -> Result<PullReport> {
        let _running = self.inner.running.lock().await;
        self.inner.pull().await
    }

    /// Pushes, then pulls, whatever became of the push.
    ///
    /// # Errors
    /// Those of [`push`](Self::push) and [`pull`](Self::pull). If only one half failed, the other one is done, and the error has its
    /// report. To turn the error into an [`Error`](crate::Error), as `?` can, drops that report.
    pub async fn sync(&self) -> Result<SyncReport, SyncError> {
        let _running = self.inner.running.lock().await;
        self.inner.sync().await
    }

    /// Fetches the records of these types anew (of all types, if none is named) and puts them in place, together with
    /// what changed of the other types, in one local commit at the end: until then the old ones stay. Objects that the server does not
    /// have are removed in it; those that it has [forgotten](Self::forgotten) are kept, unless
    /// [`WhenForgotten::Accept`] is set. A failure changes nothing but what is done before that: the
    /// answer to a push in flight, or with [`PendingEdits::PushFirst`] a push.
    ///
    /// With [`PendingEdits::Discard`], edits of types that this application does not register any more are dropped too, with the
    /// records of those types: all of them, or those of types that are named. The records come back once the type is registered.
    /// An object that this very reset finds to be forgotten goes with its edit.
    ///
    /// # Errors
    /// `PendingEdits` if edits of these types wait and `edits` is not [`PendingEdits::Discard`]: none may wait for
    /// [`PendingEdits::Refuse`], none may be left by the push for [`PendingEdits::PushFirst`] (see [`rejected`](Self::rejected) and
    /// [`discard_pending`](Self::discard_pending)); `Contention` if edits are to be discarded while another process sends some:
    /// call it again; `UnknownType`; otherwise as [`pull`](Self::pull).
    pub async fn hard_reset(&self, types: &[TypeName], edits: PendingEdits) -> Result<PullReport> {
        let _running = self.inner.running.lock().await;
        self.inner.hard_reset(types, edits).await
    }

    /// What waits, and what was refused.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn status(&self) -> Result<ClientStatus> {
        self.inner.status().await
    }

    /// Gives up edits that wait to be pushed, and sends none of them: each object becomes what the server has, with the next
    /// pull, and one that the server does not have goes at once. Gives the number of edits that are given up; objects
    /// without one are passed over.
    ///
    /// An edit that is in flight may have arrived. It is marked, not counted, and stays visible: the next contact with the
    /// server takes it back, and it is given up unless the server has processed it. What is edited again in between stays.
    /// The other edits of its local commit are sent. Call [`sync`](Self::sync) next, and look at [`status`](Self::status).
    ///
    /// A [forgotten](Self::forgotten) object is removed, as by [`accept_forgotten`](Self::accept_forgotten).
    ///
    /// # Errors
    /// Those of the data source; `Contention` if another process synchronises the store.
    pub async fn discard_pending(&self, objects: &[RecordKey]) -> Result<u64> {
        let _running = self.inner.running.lock().await;
        self.inner.discard_pending(objects).await
    }

    /// The edits that the server refused. They are kept, visible locally, and not sent again by themselves. A new edit of one of
    /// the objects sends its whole local commit again.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn rejected(&self) -> Result<Vec<RejectedEdit>> {
        self.inner.rejected().await
    }

    /// The objects that the server had acknowledged and has forgotten, as they are here: its database was restored from a backup, or
    /// another one is at its address. They are visible locally, can be edited, and are not sent until the application decides:
    /// [`send_forgotten`](Self::send_forgotten), [`accept_forgotten`](Self::accept_forgotten),
    /// [`discard_pending`](Self::discard_pending), or removing the object. If the server sends one meanwhile, alive or deleted, it is
    /// settled as any other edit and leaves the list.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn forgotten(&self) -> Result<Vec<Record>> {
        self.inner.forgotten().await
    }

    /// Lets forgotten objects be sent with the next push, and gives their number. Others are passed over.
    ///
    /// None is doubled where several devices send the same object, and none comes back that was deleted, as long as the server has
    /// the tombstone.
    ///
    /// # Errors
    /// Those of the data source; `Contention` if another process changes the store. Some of them may be sent then.
    pub async fn send_forgotten(&self, objects: &[RecordKey]) -> Result<u64> {
        let _running = self.inner.running.lock().await;
        self.inner.send_forgotten(objects).await
    }

    /// Removes forgotten objects from this device, with what was edited of them since, and gives their number. Others are passed
    /// over.
    ///
    /// # Errors
    /// Those of the data source; `Contention` if another process synchronises the store.
    pub async fn accept_forgotten(&self, objects: &[RecordKey]) -> Result<u64> {
        let _running = self.inner.running.lock().await;
        self.inner.accept_forgotten(objects).await
    }

    /// The records of the server, in the zones of this manager, that this device cannot hold: a constraint of its own tables
    /// refuses them, their values do not fit this version of the application, or the conflict handler failed. Their objects here
    /// stay as they were. Every pull tries them again, those that do not fit once the application is upgraded.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn set_aside(&self) -> Result<Vec<SetAside>> {
        self.inner.set_aside().await
    }

    /// Lets refused edits be sent again with the next push, each with its whole local commit. Edits that are not refused any more
    /// are passed over.
    ///
    /// # Errors
    /// Those of the data source; `Contention` if another process synchronises the store.
    pub async fn retry_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        let _running = self.inner.running.lock().await;
        self.inner.retry_rejected(edits).await
    }

    /// Gives refused edits up: the objects become what the server has, at once or, where a pull has brought a newer
    /// version meanwhile, with the next pull. Other edits of the same local commit stay refused. Edits that are not refused any
    /// more are passed over.
    ///
    /// # Errors
    /// Those of the data source; `Contention` if another process synchronises the store.
    pub async fn discard_rejected(&self, edits: &[RejectedEdit]) -> Result<()> {
        let _running = self.inner.running.lock().await;
        self.inner.discard_rejected(edits).await
    }
}
