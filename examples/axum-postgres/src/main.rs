//! `axum-postgres`: the server of `axum-server` in a PostgreSQL database that the application has for itself already. The pool is
//! the application's, its own tables lie in `public`, and what is synced lies in a schema beside them, as ordinary tables.

use axum_server::Listen;
use clap::Parser;
use fastsync_dao_postgres::sqlx::{self, PgPool};
use fastsync_dao_postgres::{PostgresConfig, PostgresDataSource};

/// A sync server for the to-do client.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    listen: Listen,
    /// The database: postgres://USER:PASSWORD@HOST/DATABASE. Better in the environment, where other users cannot see it
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
}

/// Where the synced tables are.
const SCHEMA: &str = "tasks_app";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { listen, database } = Cli::parse();
    let pool = PgPool::connect(&database).await?;
    make_own_tables(&pool).await?;
    let source = PostgresDataSource::with_config(pool.clone(), PostgresConfig::new().schema(SCHEMA)).await?;
    for warning in source.warnings() {
        say(&format!("the database server: {warning}"));
    }
    let server = axum_server::engine(source).await?;
    note_start(&pool).await?;
    listen.serve(server).await
}

/// What the application keeps for itself: a log of its starts.
async fn make_own_tables(pool: &PgPool) -> sqlx::Result<()> {
    // The schema is the application's to make: the data source needs no more rights than to make tables in it.
    let statements = format!(
        "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; \
         CREATE TABLE IF NOT EXISTS public.starts (at timestamptz NOT NULL DEFAULT now(), tasks bigint NOT NULL)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(pool).await.map(drop)
}

/// Synced rows are rows: one statement reads them beside the application's own.
async fn note_start(pool: &PgPool) -> sqlx::Result<()> {
    let note =
        format!("INSERT INTO public.starts (tasks) SELECT count(*) FROM {SCHEMA}.tasks RETURNING tasks");
    let tasks: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(note)).fetch_one(pool).await?;
    say(&format!("{tasks} tasks are stored"));
    Ok(())
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn say(line: &str) {
    eprintln!("{line}");
}
