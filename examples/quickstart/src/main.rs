//! The main job on real data: two clients and a server keep the cities of the world in step.
//!
//! `cargo run --release -p quickstart` does it all in a folder that is removed at the end; with `--keep DIR` the three
//! stores stay there, and `--store redb` and `--server-store sled` keep them in another database. Begin to read in `story.rs`; the types are in `objects.rs`, a client is in `replica.rs`,
//! the server in `server.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks to its user")]
#![allow(clippy::disallowed_methods, reason = "times are measured, and are no part of what is synchronised")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures for people are rounded")]

mod client;
mod dataset;
mod edits;
mod events;
mod objects;
mod other_client;
mod processes;
mod replica;
mod screen;
mod server;
mod storage;
mod story;
mod telling;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use replica::Remote;
use storage::Storage;

/// Two offline clients and a server keep 171,075 cities in step, over HTTP, on SQLite, redb or sled.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// Leave the stores of the server, client A and client B in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where the clients keep their stores
    #[arg(long, value_enum, value_name = "KIND", default_value = "sqlite")]
    store: Storage,
    /// Where the server keeps its store
    #[arg(long, value_enum, value_name = "KIND", default_value = "sqlite")]
    server_store: Storage,
    /// Print plain lines, without progress bars
    #[arg(long)]
    ci: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What the other processes do. Started by the first one, not by people.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Role {
    #[command(hide = true)]
    Server {
        db: PathBuf,
        #[arg(env = processes::TOKEN)]
        token: String,
    },
    #[command(hide = true)]
    ClientEdit { db: PathBuf },
    #[command(hide = true)]
    ClientSync {
        db: PathBuf,
        url: String,
        #[arg(env = processes::TOKEN)]
        token: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { keep, store, server_store, ci, role } = Cli::parse();
    let outcome = match role {
        // An interrupted run still removes its temporary folder.
        None => tokio::select! {
            told = story::tell(keep, store, server_store, !ci) => told,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        },
        Some(Role::Server { db, token }) => server::run(&db, token).await.map(|()| true),
        Some(Role::ClientEdit { db }) => client::edit(&db).await.map(|()| true),
        Some(Role::ClientSync { db, url, token }) => {
            client::sync(&db, &Remote { url, token }).await.map(|()| true)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
