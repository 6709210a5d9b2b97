//! Readers beside a writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastsync_conformance::samples::*;
use fastsync_core::source::{Preparation, SyncableDataSourceExt as _};
use fastsync_core::{Query, SyncableDataSource, Zone};
use fastsync_dao_sled::SledDataSource;

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_served_while_a_writer_never_rests() {
    let folder = tempfile::tempdir().unwrap();
    let source = SledDataSource::open(folder.path()).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (source, stop) = (source.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let writes = ["a", "b", "c"].map(|part| put(item(&format!("{writer}-{n}-{part}"), "x")));
                    source.commit_alone(commit(writes.to_vec())).await.unwrap();
                }
                n
            })
        })
        .collect();
    let all = Query::all(name("items"), Zone::Global);
    let mut last = 0;
    for _ in 0..200 {
        let count = source.count(&all).await.unwrap();
        assert!(count >= last && count % 3 == 0, "{count} after {last}");
        last = count;
    }
    stop.store(true, Ordering::Relaxed);
    let mut commits = 0;
    for writer in writers {
        commits += writer.await.unwrap();
    }
    assert_eq!(source.count(&all).await.unwrap(), commits * 3);
}
