//! `todo`: a to-do list that works without a network and is shared when there is one.
//!
//! Every command but `sync` works on the local file alone. `sync` sends what was edited here and fetches what was
//! edited elsewhere.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks to its user")]

mod failure;
mod list;
mod status;
mod sync;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use list::TodoList;

/// A to-do list that works offline.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the list is kept, and with whom it is shared.
#[derive(Debug, clap::Args)]
struct Place {
    /// The file that holds the list
    #[arg(long, global = true, env = "TODO_DB", default_value = "todo.db")]
    db: PathBuf,
    /// The server that `sync` talks to
    #[arg(long, global = true, env = "TODO_SERVER", default_value = "http://127.0.0.1:8080/sync")]
    server: String,
    /// The token that the server knows you by
    #[arg(long, global = true, env = "TODO_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a task
    Add {
        /// What to do; several words need no quotes
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Show the tasks
    List,
    /// Change the text of a task
    Edit {
        /// The task's id, or its beginning
        id: String,
        /// What to do instead
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Mark a task as done
    Done {
        /// The task's id, or its beginning
        id: String,
    },
    /// Remove a task
    Rm {
        /// The task's id, or its beginning
        id: String,
    },
    /// Send your edits to the server and fetch those of others
    Sync,
    /// Show what waits to be sent, and what the server refused
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { place, command } = Cli::parse();
    match run(&place, command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", failure::describe(&error, &place));
            ExitCode::FAILURE
        }
    }
}

async fn run(place: &Place, command: Command) -> anyhow::Result<()> {
    let list = TodoList::open(place).await?;
    match command {
        Command::Add { text } => list.add(&text.join(" ")).await,
        Command::List => list.show().await,
        Command::Edit { id, text } => list.edit(&id, &text.join(" ")).await,
        Command::Done { id } => list.done(&id).await,
        Command::Rm { id } => list.remove(&id).await,
        Command::Sync => sync::run(&list, place).await,
        Command::Status => status::run(&list, place).await,
    }
}
