//! A server and a schema of its database, as the kit knows one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::{ErrorKind, TypeName};
use fastsync_dao_kit::sql::{
    Access, Column, Database, Fail, Link as _, Run, Sql, Table, Uniques, Upgrade, statements,
};
use sqlx::postgres::PgPool;

use crate::checks::check;
use crate::config::{PostgresConfig, Warning};
use crate::driver::PgLink;
use crate::error::{failed, is_lock_timeout};
use crate::{catalog, unnoticed};

/// The steps of the sync tables, each with the version that it begins with. A new version is a step here: `schema.sql`
/// stays as it is, and a new database goes through all steps.
pub(crate) const UPGRADES: Upgrades<Upgrade<Server>> = Upgrades::new(&[]);

/// About how many bytes one statement binds.
const MAX_BYTES: usize = 8 << 20;

/// How long one `prepare` waits for another one.
const LOCK_SECONDS: u64 = 60;

const WAIT: &str = "SET LOCAL lock_timeout = '60s'";

/// A server and a schema of its database.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: PgPool,
    pub(crate) warnings: Vec<Warning>,
    config: PostgresConfig,
    /// What stands before the names of tables. The name of the schema has letters, digits, `_` and `-` only, so nothing has to
    /// be escaped.
    schema: Arc<str>,
}

impl Server {
    /// Checks that the server keeps what it acknowledges.
    pub(crate) async fn open(pool: PgPool, config: PostgresConfig) -> Run<Self> {
        let schema = format!("\"{}\".", config.schema).into();
        let mut server = Self { pool, warnings: Vec::new(), config, schema };
        server.warnings = check(&mut server.link().await?, &server.config).await?;
        Ok(server)
    }
}

impl Database for Server {
    const NAME: &'static str = "postgres";
    type Link = PgLink;

    fn statement_bytes(&self) -> usize {
        MAX_BYTES
    }

    fn attempts(&self) -> u32 {
        self.config.attempts
    }

    fn sync_tables(&self) -> Vec<String> {
        let name = &self.config.schema;
        // `IF NOT EXISTS` asks for a privilege also if it is there.
        let schema = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '{name}') \
             THEN CREATE SCHEMA \"{name}\"; END IF; END $$"
        );
        let mut all = statements(include_str!("schema.sql"));
        all.insert(0, schema);
        all
    }

    async fn link(&self) -> Run<PgLink> {
        let connection = self.pool.acquire().await.map_err(failed)?;
        Ok(PgLink::new(connection, Arc::clone(&self.schema), self.config.pooled))
    }

    /// All that `prepare` does is one transaction, and so is its lock.
    async fn alone(&self) -> Run<PgLink> {
        let mut link = self.link().await?;
        link.begin(Access::Write).await?;
        link.raw(WAIT).await?;
        let lock = Sql::new("SELECT pg_advisory_xact_lock(hashtextextended('fastsync.' || ?, 0))");
        match link.execute(lock.bind(self.config.schema.as_str())).await {
            Ok(_) => link.raw("SET LOCAL lock_timeout = DEFAULT").await.map(|()| link),
            Err(fail) => {
                link.rollback().await.unwrap_or_default();
                let message =
                    format!("another process has prepared this schema for more than {LOCK_SECONDS} seconds");
                let waited = Fail::new(ErrorKind::Unavailable, "prepare", message);
                Err(if is_lock_timeout(&fail) { waited } else { fail })
            }
        }
    }

    async fn is_there(&self, link: &mut PgLink, table: &str) -> Run<bool> {
        catalog::is_there(link, &self.config.schema, table).await
    }

    async fn table(&self, link: &mut PgLink, name: &TypeName) -> Run<Option<Table>> {
        catalog::table(link, &self.config.schema, name.as_str()).await
    }

    async fn columns(&self, link: &mut PgLink, table: &str) -> Run<Vec<Column>> {
        catalog::columns(link, &self.config.schema, table).await
    }

    async fn uniques(&self, link: &mut PgLink, table: &str) -> Run<Uniques> {
        catalog::uniques(link, &self.config.schema, table).await
    }

    async fn unnoticed(&self, link: &mut PgLink, types: &BTreeSet<&str>) -> Run<Vec<String>> {
        unnoticed::unnoticed(link, &self.config.schema, types).await
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        tokio::spawn(work).await.ok()
    }
}
