//! A server and its database, as the kit knows one.

use std::collections::BTreeSet;
use std::time::Duration;

use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::{ErrorKind, TypeName};
use fastsync_dao_kit::sql::{
    Column, Database, Fail, Link as _, Row as _, Run, Sql, Table, Uniques, Upgrade, statements,
};
use sqlx::mysql::MySqlPool;

use crate::catalog;
use crate::checks::{Checked, check};
use crate::config::{MySqlConfig, Warning};
use crate::driver::MySqlLink;
use crate::error::failed;

/// The steps of the sync tables, each with the version that it begins with. A new version is a step here: `schema.sql` stays as
/// it is, and a new database goes through all steps.
pub(crate) const UPGRADES: Upgrades<Upgrade<Server>> = Upgrades::new(&[]);

/// How long one `prepare` waits for another one.
const LOCK_SECONDS: u64 = 60;

/// A server and its database.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: MySqlPool,
    attempts: u32,
    checked: Checked,
}

impl Server {
    /// Checks that the server keeps what it acknowledges.
    pub(crate) async fn open(pool: MySqlPool, config: &MySqlConfig) -> Run<Self> {
        let checked = check(pool.acquire().await.map_err(failed)?, config).await?;
        Ok(Self { pool, attempts: config.attempts, checked })
    }

    #[cfg(test)]
    pub(crate) fn be_careful(&mut self) {
        self.checked.dialect = Box::leak(Box::new(crate::dialect::careful(self.checked.dialect)));
    }

    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.checked.warnings
    }
}

impl Database for Server {
    const NAME: &'static str = "mysql";
    type Link = MySqlLink;

    fn statement_bytes(&self) -> usize {
        self.checked.packet
    }

    fn attempts(&self) -> u32 {
        self.attempts
    }

    fn sync_tables(&self) -> Vec<String> {
        let options = self.checked.dialect.table_options.trim_start();
        statements(include_str!("schema.sql"))
            .iter()
            .map(|statement| statement.replace("{table}", options))
            .collect()
    }

    async fn link(&self) -> Run<MySqlLink> {
        Ok(MySqlLink::new(self.pool.acquire().await.map_err(failed)?, self.checked.dialect))
    }

    async fn alone(&self) -> Run<MySqlLink> {
        let mut link = MySqlLink::alone(self.pool.acquire().await.map_err(failed)?, self.checked.dialect);
        let lock = "SELECT COALESCE(GET_LOCK(CONCAT('fastsync.', LEFT(SHA2(DATABASE(), 256), 32)), ?), 0)";
        let rows = link.all(Sql::new(lock).bind(LOCK_SECONDS)).await?;
        if rows.first().map_or(Ok(0), |row| row.number(0))? == 1 {
            return Ok(link);
        }
        link.release(false).await?;
        let message =
            format!("another process has prepared this database for more than {LOCK_SECONDS} seconds");
        Err(Fail::new(ErrorKind::Unavailable, "prepare", message))
    }

    async fn is_there(&self, link: &mut MySqlLink, table: &str) -> Run<bool> {
        catalog::is_there(link, table).await
    }

    async fn table(&self, link: &mut MySqlLink, name: &TypeName) -> Run<Option<Table>> {
        catalog::table(link, name, self.checked.case_sensitive).await
    }

    async fn columns(&self, link: &mut MySqlLink, table: &str) -> Run<Vec<Column>> {
        catalog::columns(link, table).await
    }

    async fn uniques(&self, link: &mut MySqlLink, table: &str) -> Run<Uniques> {
        catalog::uniques(link, table).await
    }

    async fn unnoticed(&self, link: &mut MySqlLink, types: &BTreeSet<&str>) -> Run<Vec<String>> {
        catalog::unnoticed(link, types).await
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        tokio::spawn(work).await.ok()
    }
}
