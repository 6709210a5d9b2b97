//! What disturbs a run on MySQL or MariaDB: strangers who make it hard.

use std::time::Duration;

use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use fastsync_dao_mysql::sqlx::query_scalar;

use crate::storage::mysql::{connect, options, run};
use crate::text;

/// Pauses inside transactions, connections that are cut in the middle of them, and a stranger's idle transaction.
pub(super) struct Disturbance {
    database: String,
    cutting: tokio::task::JoinHandle<Result<u64, String>>,
    stop: tokio::sync::watch::Sender<bool>,
    /// It has looked at the tables, and its transaction keeps what it saw.
    stranger: MySqlConnection,
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
            ("pause_inside", "shelves", "RAND() < 0.0001 THEN DO SLEEP(RAND())"),
            ("pause_at_the_end", "fastsync_positions", "RAND() < 0.01 THEN DO SLEEP(RAND() / 5)"),
        ] {
            let sql = format!(
                "CREATE TRIGGER IF NOT EXISTS {name} BEFORE INSERT ON {table} FOR EACH ROW BEGIN IF {pause}; END IF; END"
            );
            run(&mut stranger, sql).await?;
        }
        run(&mut stranger, "BEGIN; SELECT COUNT(*) FROM shelves; SELECT COUNT(*) FROM fastsync_records")
            .await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let cutting = tokio::spawn(cut(options, database.to_owned(), stopped));
        Ok(Self { database: database.to_owned(), cutting, stop, stranger })
    }

    /// Stops; gives how many connections were cut.
    pub(super) async fn end(self) -> Result<u64, String> {
        let _ = self.stop.send(true);
        let cuts = self.cutting.await.map_err(text)??;
        drop(self.stranger);
        let mut connection = connect(options()?.database(&self.database)).await?;
        run(&mut connection, "DROP TRIGGER IF EXISTS pause_inside").await?;
        run(&mut connection, "DROP TRIGGER IF EXISTS pause_at_the_end").await?;
        Ok(cuts)
    }
}

/// Cuts a connection with an open transaction of the run now and then: what it did is rolled back.
async fn cut(
    options: MySqlConnectOptions,
    database: String,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<u64, String> {
    let mut connection = connect(options).await?;
    let select = "SELECT CAST(t.trx_mysql_thread_id AS UNSIGNED) FROM information_schema.innodb_trx AS t \
                  JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
                  WHERE p.db = ? AND t.trx_rows_modified > 0 ORDER BY RAND() LIMIT 1";
    let mut cuts = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => return Ok(cuts),
            () = tokio::time::sleep(CUT_EVERY) => {}
        }
        let victim: Option<u64> =
            query_scalar(select).bind(&database).fetch_optional(&mut connection).await.map_err(text)?;
        if let Some(victim) = victim {
            // It may have ended by itself meanwhile.
            cuts += u64::from(run(&mut connection, format!("KILL CONNECTION {victim}")).await.is_ok());
        }
    }
}
