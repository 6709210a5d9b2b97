//! What one version stores, every later one reads. `fixtures/VERSION` is never written again: a later form of the rows gets a
//! file of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the file of [`TODAY`] is made if it is not there.

use std::fs;
use std::path::{Path, PathBuf};

use fastsync_conformance::stored;
use fastsync_dao_redb::RedbDataSource;

use crate::damage::closed;

const TODAY: &str = "1";

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

#[tokio::test]
async fn todays_version_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let source = RedbDataSource::open(&path).unwrap();
    stored::fill(&source).await;
    drop(source);
    let stored = closed(&path);
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !fixture(TODAY).exists() {
        fs::write(fixture(TODAY), stored).unwrap();
    }
    assert!(fixture(TODAY).exists(), "there is no fixture of version {TODAY}");
    // It goes on with what is there.
    stored::check(&RedbDataSource::open(&path).unwrap()).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in fs::read_dir(fixture("")).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fs::copy(version.unwrap().path(), &path).unwrap();
        stored::check(&RedbDataSource::open(path).unwrap()).await;
    }
}
