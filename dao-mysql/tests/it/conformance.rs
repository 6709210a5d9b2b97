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
        // The suite's types are restricted.
        let (table, field, rule) = match constraint {
            Constraint::Unique { type_name, field } => {
                (type_name, field, format!("ADD UNIQUE KEY one_{field} (`zone`, `{field}`)"))
            }
            Constraint::Reference { type_name, field, parent } => (
                type_name,
                field,
                format!("ADD FOREIGN KEY (`zone`, `{field}`) REFERENCES `{parent}` (`zone`, `id`)"),
            ),
        };
        // Keys take text of a length only, as users would declare it.
        let select = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() \
                      AND table_name = ? AND column_name = ? AND data_type LIKE '%text'";
        let long = sqlx::query_scalar::<_, i64>(select).bind(table.as_str()).bind(field.as_str());
        if long.fetch_one(&self.database().pool()).await.unwrap() == 1 {
            self.database()
                .sql(format!("ALTER TABLE `{table}` MODIFY `{field}` VARCHAR(255) NOT NULL"))
                .await;
        }
        self.database().sql(format!("ALTER TABLE `{table}` {rule}")).await;
        true
    }
}

fastsync_conformance::conformance_tests!(MySqlHarness::new());
fastsync_conformance::evolution_tests!(MySqlHarness::new(), pairs = [everything, removed, migrated]);
