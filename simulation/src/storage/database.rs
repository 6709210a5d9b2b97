//! A database server that a run may kill.

use fastsync_core::source::SyncableDataSourceExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::{StorageKind, open};
use crate::text;

/// How long a killed server is waited for, and how long it takes between two looks.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(100);

/// A server whose keeper starts it anew when it ends, and writes the number of its process to a file: `cargo xtask`
/// does so with the private servers that it starts.
#[derive(Debug)]
pub(crate) struct DatabaseServer {
    pid_file: PathBuf,
}

impl DatabaseServer {
    /// The server of such storages. A file or a folder has none.
    pub(crate) fn of(kind: StorageKind) -> Result<Self, String> {
        let variable = match kind {
            StorageKind::Disk(_) => return Err(format!("{} has no server to kill", kind.name())),
            StorageKind::MySql => "FASTSYNC_MYSQL_PID_FILE",
            StorageKind::Postgres => "FASTSYNC_POSTGRES_PID_FILE",
            StorageKind::Mongo => "FASTSYNC_MONGO_PID_FILE",
        };
        Self::named(variable)
    }

    /// The node of a cluster that may be killed, if the server of such storages is one: that of seat
    /// [`Self::NODE_SEAT`].
    pub(crate) fn node_of(kind: StorageKind) -> Option<Self> {
        (kind == StorageKind::MySql).then(|| Self::named("FASTSYNC_MYSQL_NODE_PID_FILE").ok()).flatten()
    }

    /// The seat of the node of [`Self::node_of`].
    pub(crate) const NODE_SEAT: usize = 1;

    fn named(variable: &str) -> Result<Self, String> {
        let file = std::env::var_os(variable).ok_or_else(|| {
            format!("{variable} is not set: only a server that `cargo xtask` has started may be killed")
        })?;
        Ok(Self { pid_file: file.into() })
    }

    /// Kills it (SIGKILL).
    pub(crate) async fn kill(&self) -> Result<(), String> {
        let process = tokio::fs::read_to_string(&self.pid_file).await.map_err(text)?;
        let status = Command::new("kill").args(["-9", process.trim()]).status().await.map_err(text)?;
        if status.success() { Ok(()) } else { Err(format!("kill -9 {}: {status}", process.trim())) }
    }

    /// Waits until the storage of this name can be used again.
    pub(crate) async fn wait(&self, name: &str) -> Result<(), String> {
        let mut problem = String::new();
        let looks = async {
            loop {
                problem = match open(name).await {
                    Ok(source) => match source.count_pending().await {
                        Ok(_) => return,
                        Err(error) => error.to_string(),
                    },
                    Err(problem) => problem,
                };
                tokio::time::sleep(PAUSE).await;
            }
        };
        let looks = tokio::time::timeout(PATIENCE, looks).await;
        looks.map_err(|_| format!("the database server does not come back within {PATIENCE:?}: {problem}"))
    }
}
