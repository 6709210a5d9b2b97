//! `axum-mongo`: the server of `axum-server` with its tasks in MongoDB. Several may run on one database.

use axum_server::Listen;
use clap::Parser;
use fastsync_dao_mongo::MongoDataSource;

/// A sync server for the to-do client.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    listen: Listen,
    /// The server: mongodb://USER:PASSWORD@HOST/?replicaSet=NAME. Better in the environment, where other users cannot
    /// see it
    #[arg(long, env = "MONGODB_URL", hide_env_values = true)]
    url: String,
    /// The database
    #[arg(long, default_value = "todo")]
    database: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { listen, url, database } = Cli::parse();
    // With SQLite this line is `SqliteDataSource::open(path)?`; all else is the same.
    let source = MongoDataSource::connect(&url, &database).await?;
    listen.serve(axum_server::engine(source).await?).await
}
