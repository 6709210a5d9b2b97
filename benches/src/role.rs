//! What this program does when it starts itself again.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::http::{input_closed, listen, runtime};
use crate::process::Usage;
use crate::records::{City, Item, Made, Shape};
use crate::stores::StoreKind;
use crate::workload::Workload;
use crate::{floor, ours};

/// Whose client or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// FastSync's.
    Ours,
    /// The hand-written one's; it knows items only.
    Floor,
}

/// What to do, with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// What to do.
    pub task: Task,
    /// For whom.
    pub side: Side,
    /// On what.
    pub store: StoreKind,
    /// Which records.
    pub shape: Shape,
    /// The database of this end.
    pub database: PathBuf,
    /// Threads of the runtime, as in [`runtime`]; the floor always has one.
    pub workers: usize,
    /// How a client of ours writes bodies; what the library does by itself unless set.
    pub encoding: Option<Encoding>,
}

/// What to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Task {
    /// Serve until the input is closed.
    Serve,
    /// Add records to a client's store; ours only.
    FillClient(Records),
    /// Add records to a server's store; ours only.
    FillServer(Records),
    /// Push all records to the server at this port.
    Push {
        /// The port.
        port: u16,
        /// How many there are.
        count: u64,
    },
    /// Pull all records from the server at this port.
    Pull {
        /// The port.
        port: u16,
        /// How many there are.
        count: u64,
    },
    /// One of the workloads that only ours has.
    Workload(Workload),
}

/// Which records to add.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Records {
    /// The number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// How many at a time.
    pub per_session: u64,
}

/// What a task took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Took {
    /// Seconds, by the clock.
    pub seconds: f64,
    /// Seconds of processor time of the whole process, with its start and its opening of the store.
    pub cpu_seconds: Option<f64>,
    /// The most memory of the process that was resident at once, in bytes.
    pub peak_rss: Option<u64>,
}

/// Plays a role, given as JSON, and reports on the output.
///
/// # Errors
/// What goes wrong.
pub fn play(role: &str) -> Result<()> {
    let role: Role = serde_json::from_str(role)?;
    let seconds = match (role.side, role.shape) {
        (Side::Floor, _) => runtime(0)?.block_on(play_floor(&role))?,
        (Side::Ours, Shape::Items) => runtime(role.workers)?.block_on(play_ours::<Item>(&role))?,
        (Side::Ours, Shape::Cities) => runtime(role.workers)?.block_on(play_ours::<City>(&role))?,
    };
    if let Some(seconds) = seconds {
        let Usage { cpu_seconds, peak_rss } = Usage::own();
        let took = serde_json::to_string(&Took { seconds, cpu_seconds, peak_rss })?;
        writeln!(std::io::stdout().lock(), "{took}")?;
    }
    Ok(())
}

async fn play_floor(role: &Role) -> Result<Option<f64>> {
    match role.task {
        Task::Serve => floor::serve(role.store, &role.database).await.map(|()| None),
        Task::Push { port, count } => floor::push(port, count).await.map(Some),
        Task::Pull { port, count } => floor::pull(port, role.store, &role.database, count).await.map(Some),
        Task::FillClient(_) | Task::FillServer(_) | Task::Workload(_) => {
            anyhow::bail!("the floor has no store, and no changes")
        }
    }
}

async fn play_ours<T: Made>(role: &Role) -> Result<Option<f64>> {
    match role.task {
        Task::Serve => {
            let store = ours::server_store::<T>(role.store, &role.database).await?;
            let manager = ours::server::<T>(&store).await?;
            ours::serve_until(listen().await?, manager, input_closed()).await?;
            Ok(None)
        }
        Task::FillClient(Records { first, count, per_session }) => {
            let store = ours::client_store::<T>(role.store, &role.database).await?;
            ours::fill::<T>(&store, first, count, per_session).await.map(Some)
        }
        Task::FillServer(Records { first, count, per_session }) => {
            let store = ours::server_store::<T>(role.store, &role.database).await?;
            ours::fill::<T>(&store, first, count, per_session).await.map(Some)
        }
        Task::Push { port, count } => {
            let store = ours::client_store::<T>(role.store, &role.database).await?;
            ours::push(&ours::client_with::<T>(&store, port, role.encoding)?, count).await.map(Some)
        }
        Task::Pull { port, count } => {
            let store = ours::client_store::<T>(role.store, &role.database).await?;
            ours::pull(&ours::client_with::<T>(&store, port, role.encoding)?, count).await.map(Some)
        }
        Task::Workload(workload) => workload.run(role.store, &role.database).await.map(Some),
    }
}
