//! What disturbs a run on a cluster: one of its nodes is killed in the middle, and joins again.

use std::time::Duration;

use tokio::sync::watch;

use crate::storage::{DatabaseServer, Storage};

/// How long the node works before it is killed.
const WORKS_FOR: Duration = Duration::from_secs(4);

/// The task that kills the node, again and again; what worked on it comes back to it.
pub(super) struct Outage {
    stop: watch::Sender<bool>,
    outages: tokio::task::JoinHandle<Result<u64, String>>,
}

impl Outage {
    /// `None` if the storage is on no cluster.
    pub(super) fn start(storage: &Storage) -> Option<Self> {
        let node = DatabaseServer::node_of(storage.kind())?;
        let (stop, stopped) = watch::channel(false);
        let name = storage.name_at(DatabaseServer::NODE_SEAT);
        Some(Self { stop, outages: tokio::spawn(kill(node, name, stopped)) })
    }

    /// Waits until the node is back for the last time; gives how often it was killed.
    pub(super) async fn end(self) -> Result<u64, String> {
        let _ = self.stop.send(true);
        self.outages.await.map_err(|error| error.to_string())?
    }
}

async fn kill(node: DatabaseServer, name: String, mut stopped: watch::Receiver<bool>) -> Result<u64, String> {
    let mut outages = 0;
    loop {
        tokio::select! {
            // A run that is shorter than that has one outage all the same.
            _ = stopped.wait_for(|stop| *stop), if outages > 0 => return Ok(outages),
            () = tokio::time::sleep(WORKS_FOR) => {}
        }
        node.kill().await?;
        outages += 1;
        node.wait(&name).await?;
    }
}
