//! Commits in a row, each of which expects what the one before sets.

use std::time::Duration;

use fastsync_core::source::Turn;

use super::prelude::*;

const ENTRY: &str = "last";

/// A commit of a record that replaces the entry.
fn link(f: &Fixture, id: &str, expect: ExpectState, value: &[u8]) -> Commit {
    let state = vec![StateWrite { key: ENTRY.to_owned(), expect, value: Some(value.to_vec()) }];
    Commit { state, ..f.push(vec![put(&f.customer(id, "Ada"))]) }
}

pub(crate) async fn a_state_entry_is_compared_when_the_turn_comes(f: Fixture) {
    let turns: Vec<_> =
        std::iter::successors(Some(Turn::default()), |turn| Some(turn.next())).take(3).collect();
    let commits = [
        link(&f, "c-1", ExpectState::Absent, b"1"),
        link(&f, "c-2", ExpectState::Value(b"1".to_vec()), b"2"),
        link(&f, "c-3", ExpectState::Value(b"2".to_vec()), b"3"),
    ];
    let mut tasks = Vec::new();
    for (commit, turn) in commits.into_iter().zip(turns).rev() {
        let f = f.clone();
        tasks.push(tokio::spawn(async move {
            let outcome = f.source().commit(commit, turn.clone()).await;
            turn.over();
            outcome.expect("the commit runs")
        }));
        // The later ones have time to come too early.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let positions: Vec<_> = join_all(tasks).await.into_iter().rev().map(position).collect();
    assert_eq!(positions, [Position(1), Position(2), Position(3)]);
    assert_eq!(f.state(ENTRY).await, Some(b"3".to_vec()));
}

pub(crate) async fn a_commit_in_turn_does_not_trust_the_one_before(f: Fixture) {
    let first = Turn::default();
    let commit = link(&f, "c-2", ExpectState::Value(b"1".to_vec()), b"2");
    let (own, turn) = (f.clone(), first.next());
    let second = tokio::spawn(async move { own.source().commit(commit, turn).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    first.over();
    let outcomes = join_all(vec![second]).await;
    let [Ok(CommitOutcome::Conflicts { writes, state })] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((writes.len(), state.len()), (0, 1));
    assert_eq!(state[0].current, None);
    assert_eq!((f.state(ENTRY).await, f.get(&f.customer("c-2", "Ada").key).await), (None, None));
}

fn position(outcome: CommitOutcome) -> Position {
    match outcome {
        CommitOutcome::Applied(receipt) => receipt.positions[0].1,
        other => panic!("{other:?}"),
    }
}
