//! Sync tables of an earlier version. There is only one version yet, so the steps are made up.

use std::path::Path;

use fastsync_core::source::upgrade::{UpgradeStep, Upgrades};
use fastsync_core::source::{PlannedChange, Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, FieldKind, Query, Result, SyncableDataSource, TypeName, TypeSchema, Zone};
use rusqlite::Connection;

use crate::schema::Upgrade;
use crate::tests::{commit, open};
use crate::{SqliteConfig, SqliteDataSource};

static STEPS: &[UpgradeStep<Upgrade>] = &[
    UpgradeStep {
        from: 1,
        what: "count the readers of a zone",
        action: |store| {
            let sql = "ALTER TABLE fastsync_zones ADD COLUMN readers INTEGER NOT NULL DEFAULT 7";
            Ok(store.connection.execute_batch(sql)?)
        },
    },
    UpgradeStep {
        from: 2,
        what: "keep readers in a table",
        // Fails where the user has a table that is called so.
        action: |store| {
            let sql = "CREATE TABLE readers (n INTEGER NOT NULL) STRICT;
                       INSERT INTO readers SELECT readers FROM fastsync_zones;
                       ALTER TABLE readers RENAME TO fastsync_readers";
            Ok(store.connection.execute_batch(sql)?)
        },
    },
];

/// A release that knows version 3.
const LATER: Upgrades<Upgrade> = Upgrades::new(STEPS);

fn open_later(path: &Path) -> Result<SqliteDataSource> {
    SqliteDataSource::open_as(&SqliteConfig::new(path).readers(1), LATER)
}

fn types() -> [TypeSchema; 1] {
    [TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap()]
}

fn all() -> Query {
    Query::all(TypeName::new("items").unwrap(), Zone::Global)
}

/// A file that version 1 wrote, with ten objects.
async fn version_1(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("app.db");
    open(&path).await.commit_alone(commit(1, 10)).await.unwrap();
    path
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

const VERSION: &str = "SELECT value FROM fastsync_meta WHERE key = 'schema_version'";

#[tokio::test]
async fn tables_of_version_1_are_upgraded_by_prepare_and_by_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(&folder).await;
    let source = open_later(&path).unwrap();
    let steps: Vec<_> = STEPS.iter().map(UpgradeStep::planned).collect();
    assert_eq!(source.plan(&types()).await.unwrap(), steps);
    let errors = [
        source.count(&all()).await.map(drop),
        source.pending_after(0, 1).await.map(drop),
        source.commit_alone(commit(2, 1)).await.map(drop),
        source.unstage(None).await,
    ];
    for error in errors.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("`prepare` upgrades"), "{error}");
    }
    assert_eq!(number(&path, VERSION), 1);

    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(number(&path, VERSION), 3);
    assert_eq!(source.plan(&types()).await.unwrap(), []);
    assert_eq!(source.count(&all()).await.unwrap(), 10);
    source.commit_alone(commit(2, 1)).await.unwrap();
    assert_eq!(number(&path, "SELECT n FROM fastsync_readers"), 7);

    let error = SqliteDataSource::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("newer release"), "{error}");
    assert_eq!(number(&path, VERSION), 3);
}

#[tokio::test]
async fn a_new_file_has_the_latest_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let source = open_later(&path).unwrap();
    assert_eq!(number(&path, VERSION), 3);
    let add = PlannedChange::AddType { type_name: TypeName::new("items").unwrap() };
    assert_eq!(source.plan(&types()).await.unwrap()[0], add);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_upgrade_at_once_do_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(&folder).await;
    let sources: Vec<_> = (0..6).map(|_| open_later(&path).unwrap()).collect();
    let tasks: Vec<_> = sources
        .into_iter()
        .map(|source| {
            tokio::spawn(async move {
                source.prepare(&types(), Preparation::Apply).await?;
                source.count(&all()).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 10);
    }
    assert_eq!(number(&path, VERSION), 3);
    assert_eq!(number(&path, "SELECT count(*) FROM fastsync_readers"), 1);
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_version_before_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(&folder).await;
    let sql = Connection::open(&path).unwrap();
    sql.execute_batch("CREATE TABLE readers (mine TEXT)").unwrap();
    let source = open_later(&path).unwrap();
    for _ in 0..2 {
        source.prepare(&types(), Preparation::Apply).await.unwrap_err();
        assert_eq!(number(&path, VERSION), 1);
        let column = "SELECT count(*) FROM pragma_table_info('fastsync_zones') WHERE name = 'readers'";
        assert_eq!(number(&path, column), 0);
        assert_eq!(source.count(&all()).await.unwrap_err().kind(), ErrorKind::Config);
    }
    // The release before still works with it.
    assert_eq!(SqliteDataSource::open(&path).unwrap().count(&all()).await.unwrap(), 10);
    sql.execute_batch("DROP TABLE readers").unwrap();
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(number(&path, VERSION), 3);
    assert_eq!(source.count(&all()).await.unwrap(), 10);
}
