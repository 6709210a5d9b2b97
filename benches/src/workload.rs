//! Workloads of clients that are in step already, or many.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use fastsync_core::{Client, Repository, SyncManager, SyncableRepositoryExt};
use serde::{Deserialize, Serialize};

use crate::ours::{self, PER_SESSION};
use crate::records::{Item, make_many};
use crate::stats::median;
use crate::stores::StoreKind;
use crate::time::{now, since};

/// Syncs with nothing to do whose middle is taken.
const NOOPS: usize = 20;

/// What a client does; its seconds are measured. All are about [`Item`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Workload {
    /// Change the first records, and sync.
    Change {
        /// The server's port.
        port: u16,
        /// How many records.
        count: u64,
    },
    /// Sync, when this many records of others wait.
    Sync {
        /// The server's port.
        port: u16,
        /// How many records.
        count: u64,
    },
    /// Sync with nothing to do.
    Noop {
        /// The server's port.
        port: u16,
    },
    /// Many clients push at once; each has a store of its own beside the given one.
    CrowdPush {
        /// The server's port.
        port: u16,
        /// How many clients.
        clients: u64,
        /// How many records each has.
        each: u64,
    },
    /// The same clients pull what the others pushed, at once.
    CrowdPull {
        /// The server's port.
        port: u16,
        /// How many clients.
        clients: u64,
        /// How many records each has.
        each: u64,
    },
}

impl Workload {
    /// Does it; gives the seconds.
    ///
    /// # Errors
    /// What goes wrong; another number of records moved than has to.
    pub async fn run(self, kind: StoreKind, place: &Path) -> Result<f64> {
        match self {
            Self::Change { port, count } => {
                let store = ours::client_store::<Item>(kind, place).await?;
                let mut items = make_many::<Item>(0, count);
                for item in &mut items {
                    item.quantity += 1;
                }
                Repository::<Item>::new(&store).update_many(&items).await?;
                let start = now();
                let report = ours::client::<Item>(&store, port)?.sync().await?;
                let seconds = since(start);
                ensure!(
                    report.push.applied == count,
                    "{} of {count} records were pushed",
                    report.push.applied
                );
                Ok(seconds)
            }
            Self::Sync { port, count } => {
                let client = client(kind, place, port).await?;
                let start = now();
                let report = client.sync().await?;
                let seconds = since(start);
                ensure!(report.pull.received == count, "{} of {count} records came", report.pull.received);
                Ok(seconds)
            }
            Self::Noop { port } => {
                let client = client(kind, place, port).await?;
                let mut times = Vec::new();
                for _ in 0..NOOPS {
                    let start = now();
                    let report = client.sync().await?;
                    times.push(since(start));
                    ensure!(
                        report.push.sessions == 0 && report.pull.received == 0,
                        "there was something to do"
                    );
                }
                Ok(median(&times))
            }
            Self::CrowdPush { port, clients, each } => {
                let mut crowd = Vec::new();
                for n in 0..clients {
                    let store = ours::client_store::<Item>(kind, &nth(place, n)).await?;
                    ours::fill::<Item>(&store, n * each, each, PER_SESSION).await?;
                    crowd.push(ours::client::<Item>(&store, port)?);
                }
                at_once(crowd, move |client| async move { ours::push(&client, each).await }).await
            }
            Self::CrowdPull { port, clients, each } => {
                let mut crowd = Vec::new();
                for n in 0..clients {
                    crowd.push(client(kind, &nth(place, n), port).await?);
                }
                let of_others = clients.saturating_sub(1) * each;
                at_once(crowd, move |client| async move { ours::pull(&client, of_others).await }).await
            }
        }
    }
}

/// The store of one of many clients.
#[must_use]
pub fn nth(place: &Path, n: u64) -> PathBuf {
    PathBuf::from(format!("{}-{n}", place.display()))
}

async fn client(kind: StoreKind, place: &Path, port: u16) -> Result<SyncManager<Client>> {
    ours::client::<Item>(&ours::client_store::<Item>(kind, place).await?, port)
}

/// Gives the seconds until the last is done.
async fn at_once<F>(crowd: Vec<SyncManager<Client>>, work: impl Fn(SyncManager<Client>) -> F) -> Result<f64>
where
    F: Future<Output = Result<f64>> + Send + 'static,
{
    let start = now();
    let tasks: Vec<_> = crowd.into_iter().map(|client| tokio::spawn(work(client))).collect();
    for task in tasks {
        task.await??;
    }
    Ok(since(start))
}
