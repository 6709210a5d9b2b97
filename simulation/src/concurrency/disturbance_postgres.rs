//! What disturbs a run on PostgreSQL: strangers who make it hard.

use std::time::Duration;

use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgConnection};
use fastsync_dao_postgres::sqlx::query_scalar;

use crate::storage::postgres::{connect, options, run};
use crate::text;

/// Pauses inside transactions, connections that are cut in the middle of them, and a stranger's idle transaction.
pub(super) struct Disturbance {
    database: String,
    cutting: tokio::task::JoinHandle<Result<u64, String>>,
    stop: tokio::sync::watch::Sender<bool>,
    /// It has looked at the tables, and its transaction keeps what it saw.
    stranger: PgConnection,
}

/// How long it takes between two cuts of a connection.
const CUT_EVERY: Duration = Duration::from_millis(150);

impl Disturbance {
    /// The tables have to be there.
    pub(super) async fn start(database: &str) -> Result<Self, String> {
        let options = options()?.database(database);
        let mut stranger = connect(options.clone()).await?;
        // One row in ten thousand waits up to a second while its transaction holds its locks, and one session in a
        // hundred between its position and its commit.
        for (name, table, pause) in [
            ("pause_inside", "shelves", "random() < 0.0001 THEN PERFORM pg_sleep(random())"),
            ("pause_at_the_end", "fastsync_positions", "random() < 0.01 THEN PERFORM pg_sleep(random() / 5)"),
        ] {
            let sql = format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN IF {pause}; END IF; RETURN NEW; END $$;
                 CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
            );
            run(&mut stranger, sql).await?;
        }
        let look = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT COUNT(*) FROM shelves; SELECT COUNT(*) FROM fastsync_records";
        run(&mut stranger, look).await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let cutting = tokio::spawn(cut(options, stopped));
        Ok(Self { database: database.to_owned(), cutting, stop, stranger })
    }

    /// Stops; gives how many connections were cut.
    pub(super) async fn end(self) -> Result<u64, String> {
        let _ = self.stop.send(true);
        let cuts = self.cutting.await.map_err(text)??;
        drop(self.stranger);
        let mut connection = connect(options()?.database(&self.database)).await?;
        run(&mut connection, "DROP FUNCTION pause_inside, pause_at_the_end CASCADE").await?;
        Ok(cuts)
    }
}

/// Cuts a connection with an open transaction of the run now and then: what it did is rolled back.
async fn cut(
    options: PgConnectOptions,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<u64, String> {
    let mut connection = connect(options).await?;
    // Who has a number has written something.
    let select = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL \
                  AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1";
    let mut cuts = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => return Ok(cuts),
            () = tokio::time::sleep(CUT_EVERY) => {}
        }
        let victim: Option<i32> = query_scalar(select).fetch_optional(&mut connection).await.map_err(text)?;
        if let Some(victim) = victim {
            run(&mut connection, format!("SELECT pg_terminate_backend({victim})")).await?;
            cuts += 1;
        }
    }
}
