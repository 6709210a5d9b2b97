//! The suite that every data source passes.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::{Constraint, Harness};
use fastsync_core::SyncableDataSource;
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_dao_sqlite::rusqlite::Connection;

struct SqliteHarness {
    folder: tempfile::TempDir,
}

impl SqliteHarness {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("store.db")
    }
}

#[async_trait]
impl Harness for SqliteHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(SqliteDataSource::open(self.path()).unwrap())
    }

    async fn count_staged(&self) -> Option<u64> {
        let sql = Connection::open(self.path()).unwrap();
        let count = sql.query_row("SELECT count(*) FROM fastsync_staged", [], |row| row.get::<_, i64>(0));
        u64::try_from(count.unwrap()).ok()
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        let sql = Connection::open(self.path()).unwrap();
        sql.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let is_restricted = |table: &str| {
            let columns = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = 'zone'";
            sql.query_row(columns, [table], |row| row.get::<_, i64>(0)).unwrap() == 1
        };
        match constraint {
            Constraint::Unique { type_name, field } => {
                let zone = if is_restricted(type_name.as_str()) { "zone, " } else { "" };
                let index = format!("CREATE UNIQUE INDEX one_{field} ON \"{type_name}\" ({zone}\"{field}\")");
                sql.execute_batch(&index).unwrap();
            }
            Constraint::Reference { type_name, field, parent } => {
                // SQLite adds foreign keys with the table only, so the table is made anew.
                let select = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
                let table: String = sql.query_row(select, [type_name.as_str()], |row| row.get(0)).unwrap();
                let id = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 AND name <> 'zone'";
                let id: String = sql.query_row(id, [parent.as_str()], |row| row.get(0)).unwrap();
                let zone = if is_restricted(parent.as_str()) { "zone, " } else { "" };
                let key = format!(
                    ", FOREIGN KEY ({zone}\"{field}\") REFERENCES \"{parent}\" ({zone}\"{id}\")) STRICT"
                );
                let table = table.strip_suffix(") STRICT").unwrap().to_owned() + &key;
                sql.execute_batch(&format!(
                    "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; ALTER TABLE \"{type_name}\" RENAME TO old; {table};
                     INSERT INTO \"{type_name}\" SELECT * FROM old; DROP TABLE old; COMMIT;"
                ))
                .unwrap();
            }
        }
        true
    }
}

fastsync_conformance::conformance_tests!(SqliteHarness::new());
fastsync_conformance::evolution_tests!(SqliteHarness::new());
