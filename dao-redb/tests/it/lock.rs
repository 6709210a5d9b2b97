//! One handle has a store at a time.

use std::process::{Command, Stdio};
use std::time::Duration;

use fastsync_conformance::samples::*;
use fastsync_core::source::{Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, Query, SyncableDataSource, Zone};
use fastsync_dao_redb::{RedbConfig, RedbDataSource};

/// Where the process that this test starts finds the folder of the store.
const FOLDER: &str = "FASTSYNC_LOCK_TEST_FOLDER";

const STORE: &str = "store";

fn impatient(folder: &std::path::Path) -> RedbConfig {
    RedbConfig::new(folder.join(STORE)).lock_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_second_handle_is_refused_and_clones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let source = RedbDataSource::open(folder.path().join(STORE)).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let error = RedbDataSource::open_with(&impatient(folder.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable() && error.message().contains("open already"), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");

    let clone = source.clone();
    drop(source);
    apply(&clone, vec![put(item("a", "one"))]).await;
    assert_eq!(clone.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
    assert!(RedbDataSource::open_with(&impatient(folder.path())).is_err());
}

#[tokio::test]
async fn a_second_process_is_refused() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        // This is that process.
        let error = RedbDataSource::open_with(&impatient(folder.as_ref())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = RedbDataSource::open(folder.path().join(STORE)).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::a_second_process_is_refused"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
}

/// The threads of a dropped handle end what they do; opening waits for that.
#[tokio::test]
async fn a_store_is_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..60 {
        let source = RedbDataSource::open(folder.path().join(STORE)).unwrap();
        source.prepare(&[items()], Preparation::Apply).await.unwrap();
        assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), round);
        // Even with work that nobody waits for.
        let writes = vec![put(item(&format!("{round:02}"), "left"))];
        let left = source.clone();
        let task = tokio::spawn(async move { left.commit_alone(commit(writes)).await });
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
        drop(source);
    }
}

#[test]
fn settings_that_do_not_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        RedbDataSource::open_with(&RedbConfig::new(folder.path().join(STORE)).readers(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(RedbDataSource::open(folder.path()).unwrap_err().kind(), ErrorKind::Config, "it is a folder");
    let error = RedbDataSource::open(folder.path().join("none").join(STORE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "its folder is not there");
}
