//! Committing a session again.

use super::prelude::*;

async fn duplicate(f: &Fixture, commit: Commit) -> Receipt {
    match f.source().commit_alone(commit).await {
        Ok(CommitOutcome::Duplicate(receipt)) => receipt,
        other => panic!("the session is a duplicate, not {other:?}"),
    }
}

pub(crate) async fn the_same_session_gives_the_first_receipt(f: Fixture) {
    f.put_all(&[f.customer("c-1", "Anna Berg")]).await;
    let record = f.customer("c-2", "Boris Lind");
    let skipped = put(&f.customer("c-1", "Anna Lind")).expecting(Expect::Absent).or_skip();
    let commit = f.push(vec![put(&record).expecting(Expect::Absent), skipped]);
    let first = f.apply(commit.clone()).await;
    assert_eq!(first.skipped.len(), 1);
    let expected = Receipt { skipped: vec![], ..first };
    for _ in 0..2 {
        assert_eq!(duplicate(&f, commit.clone()).await, expected);
    }
    let mut walk = Walk::new(all_changes(&acme()));
    walk.rest(f.source()).await;
    assert_eq!(walk.point().position, Position(2), "a duplicate takes no position");
}

pub(crate) async fn a_duplicate_changes_nothing(f: Fixture) {
    let commit = f.push(vec![put(&f.customer("c-1", "Anna Berg"))]);
    f.apply(commit.clone()).await;
    let since = f.customer("c-1", "Anna Lind");
    f.put_all(std::slice::from_ref(&since)).await;
    duplicate(&f, commit.clone()).await;
    let other = f.customer("c-9", "Smuggled in");
    let state = vec![StateWrite::set("cursor", Some(b"9".to_vec()))];
    let clears = vec![Clear { type_name: name("customers"), zone: acme(), through_change: 0 }];
    duplicate(&f, Commit { writes: Writes::Inline(vec![put(&other)]), state, clears, ..commit }).await;
    assert_eq!(f.get(&since.key).await, Some(since));
    assert_eq!(f.get(&other.key).await, None);
    assert_eq!(f.state("cursor").await, None);
}

pub(crate) async fn a_duplicate_is_told_whatever_it_brings(f: Fixture) {
    let record = f.customer("c-1", "Anna Berg");
    let commit = f.push(vec![put(&record)]);
    let first = f.apply(commit.clone()).await;
    let short = Record { body: Some(Vec::new()), ..record.clone() };
    let mut nowhere = record.clone();
    nowhere.key.type_name = name("nothing");
    let long = StateWrite::set("k".repeat(MAX_STATE_KEY_BYTES + 1), Some(vec![1]));
    for (writes, state) in [
        (vec![put(&short)], vec![]),
        (vec![put(&nowhere)], vec![]),
        (vec![put(&record), put(&record)], vec![]),
        (vec![put(&record)], vec![long]),
    ] {
        assert_eq!(
            duplicate(&f, Commit { writes: Writes::Inline(writes), state, ..commit.clone() }).await,
            first
        );
    }
    assert_eq!(f.get(&record.key).await, Some(record));
}

pub(crate) async fn a_local_edit_is_a_duplicate_too(f: Fixture) {
    let commit = f.local(vec![put_pending(&f.customer("c-1", "Anna Berg"))]);
    let first = f.apply(commit.clone()).await;
    f.edit(&[f.customer("c-2", "Boris Lind")]).await;
    assert_eq!(duplicate(&f, commit).await, first);
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 2);
}

pub(crate) async fn a_conflict_does_not_use_up_the_session(f: Fixture) {
    let base = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&base)).await;
    let next = f.customer("c-1", "Anna Lind");
    let commit = f.push(vec![put(&next).expecting(Expect::Absent)]);
    f.conflicts(commit.clone()).await;
    f.refused(Commit { writes: Writes::Inline(vec![put(&next), put(&next)]), ..commit.clone() }).await;
    let expect = Expect::Revision(base.metadata.revision);
    f.apply(Commit { writes: Writes::Inline(vec![put(&next).expecting(expect)]), ..commit }).await;
    assert_eq!(f.get(&base.key).await, Some(next));
}
