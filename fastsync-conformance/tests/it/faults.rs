//! `FaultSource` fails the calls that it was told to, on the side of the effect that it was told.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::{Fault, FaultSource, Fixture, Harness, Method, When, put, run_single};
use fastsync_core::source::{Commit, CommitOutcome, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, MemoryDataSource, Query, Record, SyncableDataSource};
use fastsync_core::{Position, Zone};

type Faulty = FaultSource<MemoryDataSource>;

struct Shared(Faulty);

#[async_trait]
impl Harness for Shared {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }
}

fn with_faults<F: Future<Output = ()>>(test: impl FnOnce(Faulty, Fixture) -> F) {
    let source = FaultSource::new(MemoryDataSource::new());
    run_single(|| Shared(source.clone()), |fixture| test(source.clone(), fixture));
}

async fn stored(source: &Faulty, record: &Record) -> u64 {
    let query = Query::all(record.key.type_name.clone(), record.key.zone.clone());
    source.inner().count(&query).await.unwrap()
}

fn one_record(fixture: &Fixture) -> (Record, Commit) {
    let record = fixture.customer("c-1", "Anna Berg");
    let commit = fixture.push(vec![put(&record)]);
    (record, commit)
}

#[test]
fn a_call_that_fails_before_its_effect_has_none() {
    with_faults(|source, fixture| async move {
        let (record, commit) = one_record(&fixture);
        source.arm(Fault::next_commit_fails());
        assert_eq!(source.commit_alone(commit.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(stored(&source, &record).await, 0);
        assert!(matches!(source.commit_alone(commit).await.unwrap(), CommitOutcome::Applied(_)));
        assert_eq!(source.armed(), 0);
    });
}

#[test]
fn a_call_that_fails_after_its_effect_has_it() {
    with_faults(|source, fixture| async move {
        let (record, commit) = one_record(&fixture);
        source.arm(Fault::next_commit_times_out());
        assert_eq!(source.commit_alone(commit.clone()).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(stored(&source, &record).await, 1);
        assert!(matches!(source.commit_alone(commit).await.unwrap(), CommitOutcome::Duplicate(_)));
    });
}

#[test]
fn only_chosen_calls_count() {
    with_faults(|source, _| async move {
        let methods = vec![Method::State, Method::Sessions];
        source.arm(Fault::new(methods, 3, When::Before, ErrorKind::Corrupt));
        assert!(source.entry("cursor").await.is_ok());
        assert!(source.count_pending().await.is_ok());
        assert!(source.sessions_of(&Zone::Global, Position::START, 1).await.is_ok());
        assert!(source.pending_after(0, 1).await.is_ok());
        assert_eq!(source.entry("cursor").await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(source.entry("cursor").await.is_ok());
        source.arm(Fault::next_commit_fails());
        source.disarm();
        assert_eq!(source.armed(), 0);
    });
}
