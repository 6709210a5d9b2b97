//! The suite that every data source passes, each case on a database of its own.

use std::sync::Arc;

use crate::common::server::{self, Database};
use async_trait::async_trait;
use fastsync_conformance::{Constraint, Harness};
use fastsync_core::SyncableDataSource;
use fastsync_dao_mysql::MySqlDataSource;

struct MySqlHarness {
    /// `None` if there is no server.
    database: Option<Database>,
}

impl MySqlHarness {
    fn new() -> Self {
        Self { database: server::skip().is_none().then(Database::new) }
    }

    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }
}

#[async_trait]
impl Harness for MySqlHarness {
    fn skip(&self) -> Option<String> {
        server::skip()
    }

    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(MySqlDataSource::new(self.database().pool()).await.unwrap())
    }

    async fn count_staged(&self) -> Option<u64> {
        let count = "SELECT COUNT(DISTINCT session, sequence) FROM fastsync_staged";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&self.database().pool()).await.unwrap();
        u64::try_from(count).ok()
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        // The suite's types are restricted. Keys take text of a length only, as users would declare it.
        let short = |table: &str, field: &str| {
            format!("ALTER TABLE `{table}` MODIFY `{field}` VARCHAR(255) NOT NULL")
        };
        let sql = match constraint {
            Constraint::Unique { type_name, field } => format!(
                "{}, ADD UNIQUE KEY one_{field} (`zone`, `{field}`)",
                short(type_name.as_str(), field.as_str())
            ),
            Constraint::Reference { type_name, field, parent } => format!(
                "{}, ADD FOREIGN KEY (`zone`, `{field}`) REFERENCES `{parent}` (`zone`, `id`)",
                short(type_name.as_str(), field.as_str())
            ),
        };
        self.database().sql(sql).await;
        true
    }
}

fastsync_conformance::conformance_tests!(MySqlHarness::new());
fastsync_conformance::evolution_tests!(MySqlHarness::new(), pairs = [everything, removed, migrated]);
