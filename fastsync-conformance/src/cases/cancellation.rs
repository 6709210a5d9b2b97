//! "A future dropped before it is ready either had its whole effect or none."

use std::pin::pin;

use super::prelude::*;

/// Polls a future some times, then drops it.
async fn abandon<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if futures_util::poll!(future.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn an_abandoned_commit_is_whole_or_absent(f: Fixture) {
    for polls in 0..12 {
        let prefix = format!("{polls:02}");
        let records: Vec<_> = (0..40)
            .flat_map(|n| {
                [
                    f.customer(&format!("c-{prefix}-{n:02}"), "A"),
                    f.order(&format!("o-{prefix}-{n:02}"), "c", n),
                ]
            })
            .collect();
        let entry = format!("cursor-{prefix}");
        let state = vec![StateWrite::set(entry.clone(), Some(b"7".to_vec()))];
        let commit = Commit { state, ..f.push(records.iter().map(put).collect()) };
        let walk = Walk::new(ChangesRequest {
            limits: PageLimits { records: 10_000, bytes: 1 << 24 },
            ..all_changes(&acme())
        });
        abandon(f.source().commit_alone(commit.clone()), polls).await;
        for _ in 0..3 {
            let page = walk.clone().page(f.source()).await;
            let seen = page.records.iter().filter(|record| records.contains(record)).count();
            assert!(
                seen == 0 || seen == records.len(),
                "{seen} of {} records after {polls} polls",
                records.len()
            );
            if seen > 0 {
                assert!(f.state(&entry).await.is_some(), "records without their state after {polls} polls");
            }
        }
        match f.source().commit_alone(commit).await.expect("commit succeeds") {
            CommitOutcome::Applied(receipt) | CommitOutcome::Duplicate(receipt) => {
                assert_eq!(receipt.positions.len(), 1);
            }
            CommitOutcome::Conflicts { .. } => panic!("nothing was expected"),
        }
        let page = walk.clone().page(f.source()).await;
        assert_eq!(page.records.iter().filter(|record| records.contains(record)).count(), records.len());
        assert_eq!(page.head.position, Position(polls as u64 + 1), "the session took one position");
        assert!(f.state(&entry).await.is_some());
    }
}

pub(crate) async fn abandoned_calls_leave_a_working_storage(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    f.put_all(&[f.tombstone(&customer)]).await;
    let commit = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.push(vec![]) };
    let record = f.customer("c-2", "Boris Lind");
    for polls in 0..4 {
        abandon(f.source().get(&name("customers"), &acme(), &ids(&["c-1"])), polls).await;
        abandon(f.source().changes(&all_changes(&acme())), polls).await;
        abandon(f.source().stage(commit.session, 0, vec![put(&record)]), polls).await;
        abandon(f.source().purge_tombstones(&acme(), Position(2)), polls).await;
    }
    f.stage(commit.session, 0, vec![put(&record)]).await;
    f.apply(commit).await;
    f.purge(&acme(), 2).await;
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, [record]);
}
