//! Many tasks at once, on several threads and two handles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::prelude::*;

const TASKS: usize = 8;

/// Half of the tasks use a second handle to the same storage.
async fn handles(f: &Fixture) -> Vec<Fixture> {
    let second = f.second_handle().await;
    (0..TASKS).map(|n| if n % 2 == 0 { f.clone() } else { second.clone() }).collect()
}

/// Commits, and again if the storage was busy, as every caller does.
async fn commit(f: &Fixture, commit: &Commit) -> CommitOutcome {
    loop {
        match f.source().commit_alone(commit.clone()).await {
            Ok(outcome) => return outcome,
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            Err(error) => panic!("the commit fails: {error:?}"),
        }
    }
}

fn quantity(record: &Record) -> i64 {
    match record.body.as_deref() {
        Some([_, Value::Integer(quantity), ..]) => *quantity,
        _ => panic!("an order has a quantity"),
    }
}

pub(crate) async fn no_update_of_a_contended_record_is_lost(f: Fixture) {
    const ROUNDS: i64 = 12;
    let counter = f.order("o-1", "c-1", 0);
    f.put_all(std::slice::from_ref(&counter)).await;
    let tasks = handles(&f).await.into_iter().map(|f| {
        let key = counter.key.clone();
        tokio::spawn(async move {
            let mut applied = 0;
            while applied < ROUNDS {
                let current = f.get(&key).await.expect("the counter is there");
                let next = f.order("o-1", "c-1", quantity(&current) + 1);
                let write = put(&next).expecting(Expect::Revision(current.metadata.revision));
                match commit(&f, &f.push(vec![write])).await {
                    CommitOutcome::Applied(_) => applied += 1,
                    CommitOutcome::Conflicts { writes, .. } => assert_eq!(writes.len(), 1),
                    CommitOutcome::Duplicate(_) => panic!("every session is new"),
                }
            }
            applied
        })
    });
    let applied: i64 = join_all(tasks.collect()).await.into_iter().sum();
    let counted = quantity(&f.get(&counter.key).await.expect("the counter is there"));
    assert_eq!(counted, applied, "as many as were acknowledged");
    let mut walk = Walk::new(all_changes(&acme()));
    walk.rest(f.source()).await;
    assert_eq!(i64::try_from(walk.point().position.0), Ok(applied + 1), "each took one position");
}

pub(crate) async fn an_absent_record_is_created_once(f: Fixture) {
    for round in 0..10 {
        let tasks = handles(&f).await.into_iter().map(|f| {
            tokio::spawn(async move {
                let record = f.customer(&format!("c-{round}"), "Anna Berg");
                let write = put(&record).expecting(Expect::Absent);
                match commit(&f, &f.push(vec![write])).await {
                    CommitOutcome::Applied(_) => Some(record),
                    _ => None,
                }
            })
        });
        let created: Vec<_> = join_all(tasks.collect()).await.into_iter().flatten().collect();
        assert_eq!(created.len(), 1, "round {round}");
        assert_eq!(f.get(&created[0].key).await.as_ref(), created.first());
    }
}

pub(crate) async fn a_session_committed_at_once_is_applied_once(f: Fixture) {
    for round in 0..10 {
        let session = f.push(vec![put(&f.customer(&format!("c-{round}"), "Anna Berg"))]);
        let tasks = handles(&f).await.into_iter().map(|f| {
            let session = session.clone();
            tokio::spawn(async move { commit(&f, &session).await })
        });
        let (mut applied, mut duplicates) = (Vec::new(), Vec::new());
        for outcome in join_all(tasks.collect()).await {
            match outcome {
                CommitOutcome::Applied(receipt) => applied.push(receipt),
                CommitOutcome::Duplicate(receipt) => duplicates.push(receipt),
                CommitOutcome::Conflicts { .. } => panic!("nothing was expected"),
            }
        }
        assert_eq!(applied.len(), 1, "round {round}");
        assert!(duplicates.iter().all(|receipt| *receipt == applied[0]), "all get the first receipt");
        assert_eq!(applied[0].positions, [(acme(), Position(round + 1))]);
    }
}

/// A replica that applies what a reader delivers, and checks it.
#[derive(Default)]
struct Replica(BTreeMap<RecordKey, Record>);

impl Replica {
    fn apply(&mut self, records: Vec<Record>) {
        for record in records {
            if let Some(before) = self.0.get(&record.key) {
                let (before, after) = (stamp(before), stamp(&record));
                assert!(before <= after, "{:?} went back from {before} to {after}", record.key.id);
            }
            self.0.insert(record.key.clone(), record);
        }
    }

    /// Each session writes a customer and an order of one number with the same stamp.
    fn assert_whole(&self) {
        for record in self.0.values().filter(|record| record.key.type_name == name("customers")) {
            let partner = record.key.id.as_str().replace("c-", "o-");
            let partner = self.0.get(&key(&acme(), "orders", &partner));
            assert_eq!(partner.map(stamp), Some(stamp(record)), "a session came in part");
        }
    }
}

fn stamp(record: &Record) -> i64 {
    match record.body.as_deref() {
        Some([Value::Text(name), Value::Null]) => name.parse().expect("a customer's name is a stamp here"),
        _ => quantity(record),
    }
}

fn pair(f: &Fixture, n: usize, stamp: i64) -> [Record; 2] {
    [f.customer(&format!("c-{n}"), &stamp.to_string()), f.order(&format!("o-{n}"), "c-1", stamp)]
}

pub(crate) async fn readers_miss_nothing_while_others_commit(f: Fixture) {
    const ROUNDS: i64 = 25;
    let writers: Vec<_> = handles(&f)
        .await
        .into_iter()
        .enumerate()
        .map(|(n, f)| {
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    // Own records and, every third time, some that all writers share.
                    let pair_number = if round % 3 == 0 { 100 } else { n };
                    let next = round_stamp(&f, pair_number, round).await;
                    let records = pair(&f, pair_number, next);
                    let writes = records.iter().map(put).collect::<Vec<_>>();
                    let expected = expected_before(&f, &records).await;
                    let writes =
                        writes.into_iter().zip(expected).map(|(write, expect)| write.expecting(expect));
                    commit(&f, &f.push(writes.collect())).await;
                }
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = handles(&f)
        .await
        .into_iter()
        .take(3)
        .zip([2, 5, 100])
        .map(|(f, records)| {
            let done = done.clone();
            tokio::spawn(async move {
                let limits = PageLimits { records, bytes: 1 << 20 };
                let mut walk = Walk::new(ChangesRequest { limits, ..all_changes(&acme()) });
                let mut replica = Replica::default();
                loop {
                    let last_round = done.load(Ordering::SeqCst);
                    replica.apply(walk.rest(f.source()).await);
                    replica.assert_whole();
                    if last_round {
                        return replica.0;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    join_all(writers).await;
    done.store(true, Ordering::SeqCst);
    let whole = Walk::new(all_changes(&acme())).rest(f.source()).await;
    let whole: BTreeMap<_, _> = whole.into_iter().map(|record| (record.key.clone(), record)).collect();
    for record in whole.values() {
        assert_eq!(f.get(&record.key).await.as_ref(), Some(record), "the history shows the latest state");
    }
    for replica in join_all(readers).await {
        assert!(replica == whole, "a reader that caught up has {} of {} records", replica.len(), whole.len());
    }
}

/// The next stamp of a pair: one more than what is stored.
async fn round_stamp(f: &Fixture, n: usize, round: i64) -> i64 {
    let [customer, _] = pair(f, n, 0);
    f.get(&customer.key).await.map_or(round, |record| stamp(&record).max(round)) + 1
}

async fn expected_before(f: &Fixture, records: &[Record; 2]) -> Vec<Expect> {
    let mut expected = Vec::new();
    for record in records {
        let current = f.get(&record.key).await;
        // A stored stamp that is not older would go back: expect something that is not there.
        expected.push(match current {
            Some(current) if stamp(&current) < stamp(record) => Expect::Revision(current.metadata.revision),
            Some(_) => Expect::Revision(f.revision()),
            None => Expect::Absent,
        });
    }
    expected
}

pub(crate) async fn no_page_holds_part_of_a_session(f: Fixture) {
    const PAGES: usize = 100;
    const SESSIONS: usize = 20;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let f = f.second_handle().await;
        let done = done.clone();
        async move {
            let mut round = 0;
            while !done.load(Ordering::SeqCst) {
                let writes = (0..5).flat_map(|n| pair(&f, n, round)).map(|record| put(&record)).collect();
                commit(&f, &f.push(writes)).await;
                round += 1;
                tokio::task::yield_now().await;
            }
        }
    });
    let (mut pages, mut sessions) = (0, BTreeSet::new());
    while !writer.is_finished() && (pages < PAGES || sessions.len() < SESSIONS) {
        let page = Walk::new(all_changes(&acme())).page(f.source()).await;
        let stamps: BTreeSet<_> = page.records.iter().map(stamp).collect();
        assert!(stamps.len() <= 1, "a page shows sessions {stamps:?} at once");
        assert!(page.records.is_empty() || page.records.len() == 10, "{} of 10 records", page.records.len());
        sessions.extend(stamps);
        pages += 1;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    join_all(vec![writer]).await;
}

pub(crate) async fn edits_at_once_get_numbers_of_their_own(f: Fixture) {
    let tasks = handles(&f).await.into_iter().enumerate().map(|(n, f)| {
        tokio::spawn(async move {
            let mut changes = Vec::new();
            for round in 0..10 {
                let record = f.customer(&format!("c-{n}-{round}"), "Anna Berg");
                match commit(&f, &f.local(vec![put_pending(&record)])).await {
                    CommitOutcome::Applied(receipt) => changes.push(receipt.change),
                    other => panic!("the edit is applied, not {other:?}"),
                }
            }
            assert!(changes.is_sorted(), "numbers go up");
            changes
        })
    });
    let changes: Vec<_> = join_all(tasks.collect()).await.concat();
    let distinct: BTreeSet<_> = changes.iter().collect();
    assert_eq!(distinct.len(), changes.len());
    let pending: Vec<_> = f.pending().await.iter().map(|record| record.metadata.change).collect();
    assert_eq!(pending, distinct.into_iter().copied().collect::<Vec<_>>());
}

pub(crate) async fn a_contended_state_entry_changes_hands_once(f: Fixture) {
    let tasks = handles(&f).await.into_iter().enumerate().map(|(n, f)| {
        tokio::spawn(async move {
            let lease = StateWrite {
                key: "lease".into(),
                expect: ExpectState::Absent,
                value: Some(n.to_string().into_bytes()),
            };
            let record = f.customer(&format!("c-{n}"), "Anna Berg");
            let outcome = commit(&f, &Commit { state: vec![lease], ..f.push(vec![put(&record)]) }).await;
            matches!(outcome, CommitOutcome::Applied(_)).then_some(n)
        })
    });
    let winners: Vec<_> = join_all(tasks.collect()).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(f.state("lease").await, Some(winners[0].to_string().into_bytes()));
    assert_eq!(f.live_ids("customers", &acme()).await, [format!("c-{}", winners[0])]);
}
