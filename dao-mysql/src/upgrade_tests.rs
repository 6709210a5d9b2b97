//! Sync tables of an earlier version. There is only one version yet, so the steps are made up.

use std::pin::Pin;

use fastsync_core::source::upgrade::{UpgradeStep, Upgrades};
use fastsync_core::source::{Commit, PlannedChange, Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, Query, Result, SyncableDataSource, TypeName, Zone};
use sqlx::query_scalar;

use fastsync_dao_kit::sql::{Database as _, Link as _, Run, Sql, Upgrade};

use crate::driver::MySqlLink;
use crate::server::Server;
use crate::tests::commit;
use crate::tests::server::{Database, skip};
use crate::{MySqlConfig, MySqlDataSource};
use fastsync_conformance::samples::named as items;

type Step<'a> = Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

fn add_readers<'a>(link: &'a mut MySqlLink, server: &'a Server) -> Step<'a> {
    Box::pin(async move {
        if server.columns(link, "fastsync_zones").await?.iter().all(|column| column.name != "readers") {
            let alter = "ALTER TABLE fastsync_zones ADD COLUMN readers INT NOT NULL DEFAULT 7";
            link.execute(Sql::new(alter)).await?;
        }
        Ok(())
    })
}

/// Fails in the middle as long as `trip` is not there.
fn move_readers<'a>(link: &'a mut MySqlLink, _: &'a Server) -> Step<'a> {
    Box::pin(async move {
        let options = link.dialect().table_options;
        let create =
            "CREATE TABLE IF NOT EXISTS fastsync_readers (zone INT NOT NULL PRIMARY KEY, n INT NOT NULL)";
        link.execute(Sql::new(format!("{create}{options}"))).await?;
        link.all(Sql::new("SELECT 1 FROM trip")).await?;
        let copy = "INSERT IGNORE INTO fastsync_readers SELECT n, readers FROM fastsync_zones";
        link.execute(Sql::new(copy)).await?;
        Ok(())
    })
}

static STEPS: &[UpgradeStep<Upgrade<Server>>] = &[
    UpgradeStep { from: 1, what: "count the readers of a zone", action: add_readers },
    UpgradeStep { from: 2, what: "keep readers in a table", action: move_readers },
];

/// A release that knows version 3.
const LATER: Upgrades<Upgrade<Server>> = Upgrades::new(STEPS);

async fn open_later(database: &Database) -> Result<MySqlDataSource> {
    MySqlDataSource::open_as(database.pool(), MySqlConfig::new(), LATER).await
}

fn all() -> Query {
    Query::all(TypeName::new("items").unwrap(), Zone::Global)
}

/// A database that version 1 wrote, with nine objects; `None`, said aloud, if there is no server.
#[allow(clippy::print_stderr, reason = "a test says why it is skipped")]
async fn version_1() -> Option<Database> {
    if let Some(reason) = skip() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    let database = Database::new();
    let source = MySqlDataSource::new(database.pool()).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    source.commit_alone(commit(1, 10)).await.unwrap();
    Some(database)
}

async fn number(database: &Database, sql: &'static str) -> i64 {
    query_scalar(sql).fetch_one(&database.pool()).await.unwrap()
}

const VERSION: &str = "SELECT CAST(value AS SIGNED) FROM fastsync_meta WHERE name = 'schema_version'";

#[tokio::test]
async fn tables_of_version_1_are_upgraded_by_prepare_and_by_nothing_else() {
    let Some(database) = version_1().await else { return };
    database.sql("CREATE TABLE trip (n INT)").await;
    let source = open_later(&database).await.unwrap();
    let steps: Vec<_> = STEPS.iter().map(UpgradeStep::planned).collect();
    assert_eq!(source.plan(&[items()]).await.unwrap(), steps);
    let error = source.count(&all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`prepare` upgrades"), "{error}");
    assert_eq!(source.commit_alone(commit(2, 1)).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(number(&database, VERSION).await, 1);

    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(number(&database, VERSION).await, 3);
    assert_eq!(source.plan(&[items()]).await.unwrap(), []);
    assert_eq!(source.count(&all()).await.unwrap(), 9);
    source.commit_alone(Commit { tag: fastsync_core::Tag(2), ..commit(2, 2) }).await.unwrap();
    assert_eq!(number(&database, "SELECT CAST(n AS SIGNED) FROM fastsync_readers").await, 7);

    let error = MySqlDataSource::new(database.pool()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("newer release"), "{error}");
    assert_eq!(number(&database, VERSION).await, 3);
}

#[tokio::test]
async fn a_new_database_goes_through_all_steps() {
    let Some(database) = version_1().await else { return };
    drop(database);
    let database = Database::new();
    database.sql("CREATE TABLE trip (n INT)").await;
    let source = open_later(&database).await.unwrap();
    let planned = source.plan(&[items()]).await.unwrap();
    let steps = STEPS.iter().map(UpgradeStep::planned);
    let tables: Vec<_> = [PlannedChange::MakeSyncTables].into_iter().chain(steps).collect();
    assert_eq!(planned[..3], tables);
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(number(&database, VERSION).await, 3);
    assert_eq!(source.count(&all()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_upgrade_at_once_find_it_done() {
    let Some(database) = version_1().await else { return };
    database.sql("CREATE TABLE trip (n INT)").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let source = open_later(&database).await.unwrap();
        tasks.push(tokio::spawn(async move {
            source.prepare(&[items()], Preparation::Apply).await?;
            source.count(&all()).await
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 9);
    }
    assert_eq!(number(&database, VERSION).await, 3);
    assert_eq!(number(&database, "SELECT COUNT(*) FROM fastsync_readers").await, 1);
}

#[tokio::test]
async fn an_upgrade_goes_on_where_a_step_failed() {
    let Some(database) = version_1().await else { return };
    let source = open_later(&database).await.unwrap();
    for _ in 0..2 {
        source.prepare(&[items()], Preparation::Apply).await.unwrap_err();
        assert_eq!(number(&database, VERSION).await, 2, "the first step is done");
        assert_eq!(source.count(&all()).await.unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(source.plan(&[items()]).await.unwrap(), [STEPS[1].planned()]);
    }
    database.sql("CREATE TABLE trip (n INT)").await;
    // Another process, which finds half of the second step.
    open_later(&database).await.unwrap().prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(number(&database, VERSION).await, 3);
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(source.count(&all()).await.unwrap(), 9);
}
