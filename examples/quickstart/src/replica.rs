//! A client: its local store, the repositories that edit it, and the manager that synchronises it.

use std::path::Path;

use fastsync_core::{
    Client, Repository, Result, SessionLimits, Store, SyncManager, SyncProgress, SyncableRepository,
    SyncableRepositoryExt,
};
use fastsync_transport_http::HttpTransport;

use crate::objects::{self, City, Country, Region};
use crate::storage;

/// What one client holds. Everything but the manager works without a network.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) store: Store,
    pub(crate) countries: Repository<Country>,
    pub(crate) regions: Repository<Region>,
    pub(crate) cities: Repository<City>,
}

/// Where the server is, and how it knows us.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Replica {
    /// Opens the store of a client, or makes it.
    pub(crate) async fn open(db: &Path) -> Result<Self> {
        Self::with_limits(db, SessionLimits::default()).await
    }

    /// The same, with another size of what is pushed at once.
    pub(crate) async fn with_limits(db: &Path, limits: SessionLimits) -> Result<Self> {
        let store = objects::types(Store::client(storage::open(db)?)).limits(limits).open().await?;
        Ok(Self {
            countries: Repository::new(&store),
            regions: Repository::new(&store),
            cities: Repository::new(&store),
            store,
        })
    }

    /// The manager that keeps this store in step with the server's.
    pub(crate) fn manager(
        &self,
        remote: &Remote,
        on_progress: impl Fn(&SyncProgress) + Send + Sync + 'static,
    ) -> Result<SyncManager<Client>> {
        let transport = HttpTransport::builder(&remote.url).bearer_token(&remote.token).build()?;
        SyncManager::client(&self.store).transport(transport).on_progress(on_progress).build()
    }

    /// Adds objects in as many local commits as the limit of a session asks for.
    pub(crate) async fn add_all<R: SyncableRepository>(
        &self,
        repository: &R,
        objects: &[R::Object],
    ) -> Result<()> {
        for some in objects.chunks(self.store.limits().records) {
            repository.add_many(some).await?;
        }
        Ok(())
    }
}
