//! What one version stores, every later one reads. `fixtures/VERSION` is never written again: a later form of the rows gets a
//! folder of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the folder of [`TODAY`] is made if it is not there.

use std::fs;
use std::path::{Path, PathBuf};

use fastsync_conformance::stored;
use fastsync_dao_sled::SledDataSource;

const TODAY: &str = "1";

/// sled's file grows by so many bytes, and most of a small one is zeros: the fixture ends before those.
const SEGMENT: usize = 512 << 10;

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// Copies a folder, its large file with or without the zeros at its end.
fn copy(from: &Path, to: &Path, with_zeros: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name), with_zeros);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if name == "db" {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let whole = used.next_multiple_of(SEGMENT);
            bytes.resize(if with_zeros { whole } else { used }, 0);
        }
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[tokio::test]
async fn todays_version_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let source = SledDataSource::open(folder.path()).unwrap();
    stored::fill(&source).await;
    drop(source);
    let is_new = std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !fixture(TODAY).exists();
    // Opening waits until the files are closed.
    let source = SledDataSource::open(folder.path()).unwrap();
    if is_new {
        copy(folder.path(), &fixture(TODAY), false);
    }
    assert!(fixture(TODAY).exists(), "there is no fixture of version {TODAY}");
    stored::check(&source).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in fs::read_dir(fixture("")).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        copy(&version.unwrap().path(), folder.path(), true);
        stored::check(&SledDataSource::open(folder.path()).unwrap()).await;
    }
}
