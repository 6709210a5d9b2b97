//! A device that adds objects and synchronises, whatever happens to the server's database.

use std::collections::BTreeSet;

use fastsync_core::{
    Client, Error, LastWriterWins, LoopbackTransport, MemoryDataSource, Repository, Server, Store,
    SyncContext, SyncManager, SyncableObject, SyncableRepositoryExt as _,
};

use crate::text;

/// What devices add.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "entries")]
pub(super) struct Entry {
    #[syncable(id)]
    id: String,
    number: u64,
}

/// A device, with what it was told.
pub(super) struct Device {
    name: usize,
    number: u64,
    entries: Repository<Entry>,
    pub(super) sync: SyncManager<Client>,
    /// The objects whose push was acknowledged.
    pub(super) acknowledged: BTreeSet<String>,
    /// How often it was told to start over.
    pub(super) resets: u64,
    /// How often a synchronisation failed.
    pub(super) failures: u64,
    /// How often one succeeded.
    pub(super) successes: u64,
}

impl Device {
    pub(super) async fn new(name: usize, server: &SyncManager<Server>) -> Result<Self, String> {
        let store = Store::client(MemoryDataSource::new())
            .sync::<Entry>(LastWriterWins)
            .open()
            .await
            .map_err(text)?;
        let transport = LoopbackTransport::new(server.clone(), SyncContext::new("ada"));
        let sync = SyncManager::client(&store).transport(transport).build().map_err(text)?;
        let entries = Repository::new(&store);
        let acknowledged = BTreeSet::new();
        Ok(Self { name, number: 0, entries, sync, acknowledged, resets: 0, failures: 0, successes: 0 })
    }

    /// Adds an object and synchronises once. A failure that can be tried again is none; it says whether it went well.
    pub(super) async fn step(&mut self) -> Result<bool, String> {
        self.number += 1;
        let id = format!("{}-{}", self.name, self.number);
        self.entries.add(&Entry { id, number: self.number }).await.map_err(text)?;
        self.synchronise().await
    }

    /// Synchronises once.
    pub(super) async fn synchronise(&mut self) -> Result<bool, String> {
        let outcome = self.sync.sync().await;
        let pull = match &outcome {
            Ok(report) => Some(&report.pull),
            Err(error) => error.pull().ok(),
        };
        self.resets += u64::from(pull.is_some_and(|pull| pull.reset.is_some()));
        match outcome {
            Ok(_) => {
                // Everything that was added before is acknowledged, but what the server forgot.
                let waiting = self.forgotten().await?;
                let own = self.ids().await?;
                let prefix = format!("{}-", self.name);
                let acknowledged = own.difference(&waiting).filter(|id| id.starts_with(&prefix)).cloned();
                self.acknowledged.extend(acknowledged);
                self.successes += 1;
                Ok(true)
            }
            Err(error) if error.is_retryable() => {
                self.failures += 1;
                Ok(false)
            }
            Err(error) => {
                let cause = |half: Option<&Error>| format!("{:?}", half.and_then(std::error::Error::source));
                let causes = [error.push().err(), error.pull().err()].map(cause);
                Err(format!("device {}: {error}: {causes:?}", self.name))
            }
        }
    }

    /// What it holds.
    pub(super) async fn ids(&self) -> Result<BTreeSet<String>, String> {
        ids(&self.entries).await
    }

    /// What it holds and the server forgot.
    pub(super) async fn forgotten(&self) -> Result<BTreeSet<String>, String> {
        let records = self.sync.forgotten().await.map_err(text)?;
        Ok(records.into_iter().map(|record| record.key.id.to_string()).collect())
    }

    /// Lets everything be sent that the server forgot.
    pub(super) async fn send_forgotten(&self) -> Result<u64, String> {
        let records = self.sync.forgotten().await.map_err(text)?;
        let keys: Vec<_> = records.into_iter().map(|record| record.key).collect();
        self.sync.send_forgotten(&keys).await.map_err(text)
    }
}

/// The ids of the objects of a store.
pub(super) async fn ids(entries: &Repository<Entry>) -> Result<BTreeSet<String>, String> {
    let entries = entries.get_all().await.map_err(text)?;
    Ok(entries.into_iter().map(|entry| entry.id).collect())
}
