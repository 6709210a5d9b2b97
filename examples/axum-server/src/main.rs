//! `axum-server`: keeps to-do lists in step.

use std::path::PathBuf;

use axum_server::Listen;
use clap::Parser;

/// A sync server for the to-do client.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    listen: Listen,
    /// The file that holds the tasks
    #[arg(long, default_value = "server.db")]
    db: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { listen, db } = Cli::parse();
    listen.serve(axum_server::open(&db).await?).await
}
