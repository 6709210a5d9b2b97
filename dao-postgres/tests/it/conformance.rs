//! The suite that every data source passes, each case on a database of its own.

use std::sync::Arc;

use crate::common::server::{self, Database};
use async_trait::async_trait;
use fastsync_conformance::{Constraint, Harness};
use fastsync_core::SyncableDataSource;
use fastsync_dao_postgres::PostgresDataSource;

struct PostgresHarness {
    /// `None` if there is no server.
    database: Option<Database>,
}

impl PostgresHarness {
    fn new() -> Self {
        Self { database: server::skip().is_none().then(Database::new) }
    }

    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }
}

#[async_trait]
impl Harness for PostgresHarness {
    fn skip(&self) -> Option<String> {
        server::skip()
    }

    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(PostgresDataSource::new(self.database().pool()).await.unwrap())
    }

    async fn count_staged(&self) -> Option<u64> {
        let count = "SELECT COUNT(DISTINCT (session, sequence)) FROM fastsync_staged";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&self.database().pool()).await.unwrap();
        u64::try_from(count).ok()
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        // The suite's types are restricted.
        let (table, rule) = match constraint {
            Constraint::Unique { type_name, field } => {
                (type_name, format!("ADD CONSTRAINT one_{field} UNIQUE (zone, \"{field}\")"))
            }
            Constraint::Reference { type_name, field, parent } => {
                (type_name, format!("ADD FOREIGN KEY (zone, \"{field}\") REFERENCES \"{parent}\" (zone, id)"))
            }
        };
        self.database().sql(format!("ALTER TABLE \"{table}\" {rule}")).await;
        true
    }
}

fastsync_conformance::conformance_tests!(PostgresHarness::new());
fastsync_conformance::evolution_tests!(PostgresHarness::new(), pairs = [everything, removed, migrated]);
