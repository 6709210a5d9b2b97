//! A damaged store is found out when it is opened.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fastsync_conformance::samples::*;
use fastsync_core::source::Preparation;
use fastsync_core::{ErrorKind, Query, SyncableDataSource, Zone};
use fastsync_dao_redb::{RedbConfig, RedbDataSource};

/// The file of a store whose handle was dropped: it closes in the background.
pub(crate) fn closed(path: &Path) -> Vec<u8> {
    let opened = redb::Builder::new();
    for _ in 0..2_000 {
        match opened.open(path) {
            Ok(db) => {
                drop(db);
                return fs::read(path).unwrap();
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("the store is not closed");
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_none_of_redbs_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let source = RedbDataSource::open(&path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    for round in 0..20 {
        let writes = (0..100).map(|n| put(item(&format!("{round}-{n}"), &"x".repeat(200)))).collect();
        apply(&source, writes).await;
    }
    drop(source);
    let whole = closed(&path);
    for kept in [1, 100, whole.len() / 4, whole.len() / 2, whole.len() - 1] {
        let damaged = folder.path().join("damaged");
        fs::write(&damaged, &whole[..kept]).unwrap();
        let error = RedbDataSource::open(&damaged).unwrap_err();
        assert_eq!(
            (error.kind(), error.backend()),
            (ErrorKind::Corrupt, Some("redb")),
            "{kept} bytes: {error:?}"
        );
    }
    let other = folder.path().join("other");
    fs::write(&other, "no file of redb's, but long enough to be one".repeat(1_000)).unwrap();
    assert_eq!(RedbDataSource::open(&other).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// As a process leaves it that dies while it makes the file, and unlike a store whose beginning is lost.
#[tokio::test]
async fn a_file_that_was_never_finished_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let source = RedbDataSource::open(&path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    drop(source);
    let mut bytes = closed(&path);
    bytes[..9].fill(0);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(RedbDataSource::open(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(fs::read(&path).unwrap() == bytes, "nothing is thrown away");
    bytes[4_096..].fill(0);
    fs::write(&path, &bytes).unwrap();
    let source = RedbDataSource::open(&path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;
}

/// Repeatable places, well spread.
fn spread(n: u64, below: usize) -> usize {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)) % below as u64).unwrap()
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_by_the_check_or_harmless() {
    const FLIPS: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let source = RedbDataSource::open(&path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let text = "x".repeat(200);
    apply(&source, (0..2_000).map(|n| put(item(&format!("{n:05}"), &text))).collect()).await;
    let all = Query::all(name("items"), Zone::Global);
    let expected = source.find(&all).await.unwrap().records;
    drop(source);
    let whole = closed(&path);
    let mut noticed = 0;
    for flip in 0..FLIPS {
        let mut damaged = whole.clone();
        damaged[spread(flip, whole.len())] ^= 1 << (flip % 8);
        let path = folder.path().join(format!("damaged-{flip}"));
        fs::write(&path, damaged).unwrap();
        match RedbDataSource::open_with(&RedbConfig::new(&path).check_on_open(true)) {
            Ok(source) => {
                assert!(
                    source.find(&all).await.unwrap().records == expected,
                    "flip {flip} shows something else"
                )
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > FLIPS / 20, "{noticed} of {FLIPS} flips were noticed");
}
