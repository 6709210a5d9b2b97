//! What one version stores, every later one reads. `fixtures/VERSION/store.db` is never written again: a later form of the
//! sync tables, or of what is in them, gets a folder of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the folder of [`TODAY`] is
//! made if it is not there.

use std::path::{Path, PathBuf};

use crate::common::*;
use fastsync_conformance::stored;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::{SqliteDataSource, rusqlite::Connection};

const TODAY: &str = "1";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(version: &str) -> PathBuf {
    fixtures().join(version).join("store.db")
}

#[tokio::test]
async fn todays_version_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let source = SqliteDataSource::open(&path).unwrap();
    stored::fill(&source).await;
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !fixture(TODAY).exists() {
        std::fs::create_dir_all(fixture(TODAY).parent().unwrap()).unwrap();
        let sql = Connection::open(&path).unwrap();
        sql.execute("VACUUM INTO ?1", [fixture(TODAY).to_str().unwrap()]).unwrap();
    }
    assert!(fixture(TODAY).exists(), "there is no fixture of version {TODAY}");
    stored::check(&source).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in std::fs::read_dir(fixtures()).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        std::fs::copy(version.unwrap().path().join("store.db"), &copy).unwrap();
        stored::check(&SqliteDataSource::open(&copy).unwrap()).await;
    }
}

/// Fails if what a newer release wrote is taken for damage, or is lost.
#[tokio::test]
async fn a_later_form_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let later = async |name: &str, change: &str| {
        let path = folder.path().join(name);
        std::fs::copy(fixture(TODAY), &path).unwrap();
        assert_eq!(Connection::open(&path).unwrap().execute(change, []).unwrap(), 1, "{change}");
        let source = SqliteDataSource::open(&path)?;
        let staged = SessionId::from_uuid(uuid::Uuid::from_u128(99));
        let writes = Writes::Staged { overrides: Vec::new() };
        let commit = Commit { session: staged, writes, ..commit(Vec::new()) };
        source.commit_alone(commit).await.map(drop)
    };
    let unchanged = later("1", "UPDATE fastsync_staged SET sequence = sequence WHERE sequence = 1").await;
    unchanged.unwrap();
    for (name, change) in [
        (
            "2",
            "UPDATE fastsync_staged SET writes = CAST(x'02' || substr(writes, 2) AS BLOB) WHERE sequence = 1",
        ),
        (
            "3",
            "UPDATE fastsync_types SET schema = replace(schema, '\"form\":1', '\"form\":2') WHERE name = 'labels'",
        ),
    ] {
        let error = later(name, change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{change}: {error}");
        assert!(error.message().contains("newer release"), "{error}");
    }
}
