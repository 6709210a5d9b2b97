//! `axum-mysql`: the server of `axum-server` with its tasks in MySQL or MariaDB. Several may run on one database.

use axum_server::Listen;
use clap::Parser;
use fastsync_dao_mysql::MySqlDataSource;

/// A sync server for the to-do client.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    listen: Listen,
    /// The database: mysql://USER:PASSWORD@HOST/DATABASE. Better in the environment, where other users cannot see it
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { listen, database } = Cli::parse();
    // With SQLite this line is `SqliteDataSource::open(path)?`; all else is the same.
    let source = MySqlDataSource::connect(&database).await?;
    for warning in source.warnings() {
        warn(warning);
    }
    listen.serve(axum_server::engine(source).await?).await
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn warn(warning: &fastsync_dao_mysql::Warning) {
    eprintln!("the database server: {warning}");
}
