//! One handle has a store at a time.

use std::process::{Command, Stdio};
use std::time::Duration;

use fastsync_conformance::samples::*;
use fastsync_core::source::{Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, Query, SyncableDataSource, Zone};
use fastsync_dao_sled::{SledConfig, SledDataSource};

/// Where the process that this test starts finds the store.
const STORE: &str = "FASTSYNC_LOCK_TEST_STORE";

fn impatient(path: &std::path::Path) -> SledConfig {
    SledConfig::new(path).lock_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_second_handle_is_refused_and_clones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let source = SledDataSource::open(folder.path()).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let error = SledDataSource::open_with(&impatient(folder.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable() && error.message().contains("open already"), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");

    let clone = source.clone();
    drop(source);
    apply(&clone, vec![put(item("a", "one"))]).await;
    assert_eq!(clone.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 1);
    assert!(SledDataSource::open_with(&impatient(folder.path())).is_err());
}

#[tokio::test]
async fn a_second_process_is_refused() {
    if let Some(store) = std::env::var_os(STORE) {
        // This is that process.
        let error = SledDataSource::open_with(&impatient(store.as_ref())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = SledDataSource::open(folder.path()).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::a_second_process_is_refused"])
        .env(STORE, folder.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
}

/// sled holds its file for a moment after it was closed; opening waits for that.
#[tokio::test]
async fn a_store_is_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..60 {
        let source = SledDataSource::open(folder.path()).unwrap();
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
    let error = SledDataSource::open_with(&SledConfig::new(folder.path()).readers(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let file = folder.path().join("file");
    std::fs::write(&file, b"not a folder").unwrap();
    assert_eq!(SledDataSource::open(&file).unwrap_err().kind(), ErrorKind::Config);
}
