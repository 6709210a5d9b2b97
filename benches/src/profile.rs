//! Both ends in one process, again and again, for a profiler.
#![allow(clippy::print_stdout)] // it prints what it measures

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::http::runtime;
use crate::ours::{self, PER_SESSION};
use crate::process::run;
use crate::records::{Item, Shape};
use crate::role::{Records, Role, Side, Task, Took};
use crate::scratch::{Scratch, copy_database};
use crate::stats::rate;
use crate::stores::StoreKind;

/// How the ends are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Over {
    /// HTTP over the loopback interface.
    Http,
    /// Calls: no JSON, no sockets.
    Calls,
}

/// What a profiling program takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which way the records go.
    #[arg(value_enum)]
    direction: Direction,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    n: u64,
    /// How often.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads of the runtime; 0 for the current thread only.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// How the ends are connected.
    #[arg(long, value_enum, default_value = "http")]
    over: Over,
    /// Where the databases lie during the run (unless set: beside this program).
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Which way the records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// From a filled client to an empty server.
    Push,
    /// From a filled server to an empty client.
    Pull,
}

/// Runs a profiling program: what is prepared is prepared in another process, where the profiler does not look unless
/// it follows children.
///
/// # Errors
/// What goes wrong.
pub fn profile(args: &Args) -> Result<()> {
    let direction = args.direction;
    let scratch = Scratch::new(args.dir.as_deref())?;
    let source = scratch.path("source.db");
    let records = Records { first: 0, count: args.n, per_session: PER_SESSION };
    let task = match direction {
        Direction::Push => Task::FillClient(records),
        Direction::Pull => Task::FillServer(records),
    };
    let (side, shape) = (Side::Ours, Shape::Items);
    run::<Took>(&Role {
        task,
        side,
        store: StoreKind::Sqlite,
        shape,
        database: source.clone(),
        workers: args.workers,
        encoding: None,
    })?;
    let runtime = runtime(args.workers)?;
    for n in 0..args.rounds {
        let (from, to) = (scratch.path(&format!("from-{n}.db")), scratch.path(&format!("to-{n}.db")));
        copy_database(&source, &from)?;
        let (client, server) = match direction {
            Direction::Push => (from, to),
            Direction::Pull => (to, from),
        };
        let seconds = runtime.block_on(round(direction, args, client, server))?;
        println!(
            "{direction:?} of {} records: {seconds:.3} s, {:.0} records/s",
            args.n,
            rate(args.n, seconds)
        );
    }
    Ok(())
}

async fn round(direction: Direction, args: &Args, client: PathBuf, server: PathBuf) -> Result<f64> {
    let manager =
        ours::server::<Item>(&ours::server_store::<Item>(StoreKind::Sqlite, &server).await?).await?;
    let store = ours::client_store::<Item>(StoreKind::Sqlite, &client).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (client, serving) = match args.over {
        Over::Calls => (ours::client_of::<Item>(&store, manager)?, None),
        Over::Http => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port();
            let shutdown = async {
                // Dropping the other end is the signal.
                let _ = stopped.await;
            };
            let serving = tokio::spawn(ours::serve_until(listener, manager, shutdown));
            (ours::client::<Item>(&store, port)?, Some(serving))
        }
    };
    let seconds = match direction {
        Direction::Push => ours::push(&client, args.n).await?,
        Direction::Pull => ours::pull(&client, args.n).await?,
    };
    drop((client, stop));
    if let Some(serving) = serving {
        serving.await??;
    }
    Ok(seconds)
}
