//! Large sessions that are staged batch by batch.

use super::prelude::*;

fn staged(commit: Commit, overrides: Vec<Write>) -> Commit {
    Commit { writes: Writes::Staged { overrides }, ..commit }
}

pub(crate) async fn staged_writes_are_not_seen(f: Fixture) {
    let session = f.push(vec![]).session;
    let record = f.customer("c-1", "Anna Berg");
    f.stage(session, 0, vec![put(&record), put_pending(&f.order("o-1", "c-1", 1))]).await;
    assert_eq!(f.get(&record.key).await, None);
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    assert_eq!(f.pending().await, []);
    assert_eq!(f.source().session(session).await.expect("session succeeds"), None);
    assert_eq!(f.source().entries("").await.expect("states succeeds"), []);
    let page = Walk::new(all_changes(&acme())).page(f.source()).await;
    assert_eq!(page.head.position, Position::START);
}

pub(crate) async fn staged_batches_are_committed_as_one(f: Fixture) {
    let commit = f.push(vec![]);
    let records: Vec<_> = (0..30).map(|n| f.customer(&format!("c-{n:02}"), "Anna Berg")).collect();
    for (sequence, batch) in (0..).zip(records.chunks(7)) {
        f.stage(commit.session, sequence, batch.iter().map(put).collect()).await;
    }
    let other = f.push(vec![]).session;
    f.stage(other, 0, vec![put(&f.customer("c-99", "Of another session"))]).await;
    let receipt = f.apply(staged(commit.clone(), vec![])).await;
    assert_eq!(receipt.positions, [(acme(), Position(1))]);
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, records);
    let summary = f.source().session(commit.session).await.expect("session succeeds").expect("it is there");
    assert_eq!(summary.counts, [(name("customers"), 30)]);
}

pub(crate) async fn a_batch_staged_again_stays_the_first(f: Fixture) {
    let commit = f.push(vec![]);
    let first = f.customer("c-1", "Anna Berg");
    f.stage(commit.session, 3, vec![put(&first)]).await;
    f.stage(commit.session, 3, vec![put(&f.customer("c-1", "Later")), put(&f.customer("c-2", "Later"))])
        .await;
    f.apply(staged(commit, vec![])).await;
    assert_eq!(f.get(&first.key).await, Some(first));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"]);
}

pub(crate) async fn the_later_batch_wins(f: Fixture) {
    let commit = f.push(vec![]);
    let last = f.customer("c-1", "Anna Holm");
    let (low, high) = (f.customer("c-1", "Anna Berg"), f.customer("c-1", "Anna Lind"));
    f.stage(commit.session, u64::from(u32::MAX), vec![put(&high), put(&last)]).await;
    f.stage(commit.session, 10, vec![put(&low)]).await;
    f.stage(commit.session, 9, vec![put(&low), put(&f.customer("c-2", "Boris Lind"))]).await;
    f.apply(staged(commit.clone(), vec![])).await;
    assert_eq!(f.get(&last.key).await, Some(last));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1", "c-2"]);
    let summary = f.source().session(commit.session).await.expect("session succeeds").expect("it is there");
    assert_eq!(summary.counts, [(name("customers"), 2)], "a key written twice is one record");
}

pub(crate) async fn only_the_last_staged_write_of_a_key_counts(f: Fixture) {
    let commit = f.push(vec![]);
    let [first, second] = ["Anna Berg", "Anna Lind"].map(|text| f.customer("c-1", text));
    f.stage(commit.session, 0, vec![put(&first).expecting(Expect::Absent)]).await;
    f.stage(commit.session, 1, vec![put(&second).expecting(Expect::Absent)]).await;
    f.apply(staged(commit, vec![])).await;
    assert_eq!(f.get(&second.key).await.as_ref(), Some(&second), "what the last expects is the state before");

    // An expectation of the first that fails is nobody's.
    let commit = f.push(vec![]);
    let third = f.customer("c-1", "Anna Holm");
    f.stage(commit.session, 0, vec![put(&first).expecting(Expect::Absent)]).await;
    let expect = Expect::Revision(second.metadata.revision);
    f.stage(commit.session, 1, vec![put(&third).expecting(expect)]).await;
    f.apply(staged(commit, vec![])).await;
    assert_eq!(f.get(&third.key).await.as_ref(), Some(&third));

    // One of the last stops the commit, and is named once.
    let commit = f.push(vec![]);
    f.stage(commit.session, 0, vec![put(&first)]).await;
    f.stage(commit.session, 1, vec![put(&second).expecting(Expect::Absent)]).await;
    let (conflicts, _) = f.conflicts(staged(commit, vec![])).await;
    let named: Vec<_> = conflicts.iter().map(|conflict| &conflict.write).collect();
    assert_eq!(named, [&put(&second).expecting(Expect::Absent)]);
    assert_eq!(f.get(&third.key).await.as_ref(), Some(&third));

    // A deletion staged before a put of the same key does not outlive it, nor the other way round.
    for (writes, is_deleted) in
        [([f.tombstone(&third), second.clone()], false), ([second, f.tombstone(&third)], true)]
    {
        let commit = f.push(vec![]);
        for (sequence, record) in writes.iter().enumerate() {
            f.stage(commit.session, sequence as u64, vec![put(record).expecting(Expect::Change(0))]).await;
        }
        f.apply(staged(commit, vec![])).await;
        let stored = f.get(&third.key).await.expect("it is there");
        assert_eq!(stored.is_deleted(), is_deleted);
        assert_eq!(f.live_ids("customers", &acme()).await.is_empty(), is_deleted);
    }
}

pub(crate) async fn overrides_replace_staged_writes(f: Fixture) {
    let base = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&base)).await;
    let commit = f.push(vec![]);
    let other = f.customer("c-2", "Boris Lind");
    f.stage(commit.session, 0, vec![put(&f.customer("c-1", "Stale")).expecting(Expect::Absent)]).await;
    f.stage(commit.session, 1, vec![put(&other), put(&f.customer("c-1", "Stale")).expecting(Expect::Absent)])
        .await;
    let (conflicts, _) = f.conflicts(staged(commit.clone(), vec![])).await;
    assert!(!conflicts.is_empty());
    let merged = f.customer("c-1", "Merged");
    let resolved = put(&merged).expecting(Expect::Revision(base.metadata.revision));
    f.apply(staged(commit, vec![resolved])).await;
    assert_eq!(f.get(&merged.key).await, Some(merged));
    assert_eq!(f.get(&other.key).await, Some(other));
}

pub(crate) async fn batches_stay_until_they_are_applied(f: Fixture) {
    let commit = f.push(vec![]);
    let record = f.customer("c-1", "Anna Berg");
    f.stage(commit.session, 0, vec![put(&record)]).await;
    let stale = StateWrite { key: "cursor".into(), expect: ExpectState::Value(vec![1]), value: None };
    let blocked = Commit { state: vec![stale], ..staged(commit.clone(), vec![]) };
    f.conflicts(blocked).await;
    f.refused(staged(commit.clone(), vec![put(&f.record(record.key.clone(), vec![]))])).await;
    f.apply(staged(commit, vec![])).await;
    assert_eq!(f.get(&record.key).await.as_ref(), Some(&record));
}

pub(crate) async fn batches_go_when_they_are_applied(f: Fixture) {
    if f.harness().count_staged().await.is_none() {
        return f.skip("what is staged cannot be counted here");
    }
    let count = async || f.harness().count_staged().await.unwrap_or_default();
    let [commit, other] = [f.push(vec![]), f.push(vec![])];
    for sequence in 0..3 {
        let record = f.customer(&format!("c-{sequence}"), "Anna Berg");
        f.stage(commit.session, sequence, vec![put(&record).expecting(Expect::Absent)]).await;
    }
    f.stage(other.session, 0, vec![put(&f.customer("c-9", "Of another session"))]).await;
    assert_eq!(count().await, 4);
    f.apply(staged(commit, vec![])).await;
    assert_eq!(count().await, 1, "only the batch of the other session is left");
    f.apply(staged(other, vec![])).await;
    assert_eq!(count().await, 0);
}

pub(crate) async fn a_key_twice_in_overrides_is_refused(f: Fixture) {
    let commit = f.push(vec![]);
    let record = f.customer("c-1", "Anna Berg");
    f.stage(commit.session, 0, vec![put(&record), put(&f.customer("c-2", "Boris Lind"))]).await;
    let twice = ["Anna Lind", "Anna Holm"].map(|text| put(&f.customer("c-1", text)));
    let unstaged = [f.order("o-1", "c-1", 1), f.order("o-1", "c-1", 2)].map(|order| put(&order));
    for overrides in [twice, unstaged] {
        let error = f.refused(staged(commit.clone(), overrides.into())).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new(), "nothing is changed");
    }
    f.apply(staged(commit, vec![])).await;
    assert_eq!(f.get(&record.key).await, Some(record));
}

pub(crate) async fn staged_bodies_are_held_against_the_type_of_the_commit(f: Fixture) {
    let suppliers = || TypeSchema::builder("suppliers", "id").restricted().field("name", FieldKind::Text);
    let grown = suppliers().field("rating", FieldKind::Integer);
    let prepare = async |builder: fastsync_core::TypeSchemaBuilder| {
        let schema = builder.build().expect("a schema of the suite is well formed");
        f.source().prepare(&[schema], Preparation::Apply).await.expect("prepare succeeds");
    };
    prepare(suppliers()).await;
    let commit = f.push(vec![]);
    let stored = key(&acme(), "suppliers", "s-1");
    let old = f.record(stored.clone(), vec!["Nordic Paper".into()]);
    f.stage(commit.session, 0, vec![put(&f.customer("c-1", "Anna Berg"))]).await;
    f.stage(commit.session, 1, vec![put(&old)]).await;
    prepare(grown).await;
    let error = f.refused(staged(commit.clone(), vec![])).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "a value is missing now");
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new(), "nothing is changed");
    assert_eq!(f.get(&stored).await, None);

    let new = f.record(stored.clone(), vec!["Nordic Paper".into(), 4_i64.into()]);
    f.apply(staged(commit, vec![put(&new)])).await;
    assert_eq!(f.get(&stored).await, Some(new), "what replaces it fits");
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"]);
}

pub(crate) async fn staged_batches_can_be_dropped(f: Fixture) {
    let commits = [f.push(vec![]), f.push(vec![]), f.push(vec![])];
    for (n, commit) in commits.iter().enumerate() {
        f.stage(commit.session, 0, vec![put(&f.customer(&format!("c-{n}"), "Anna Berg"))]).await;
    }
    let [first, second, third] = commits;
    f.source().unstage(Some(first.session)).await.expect("unstage succeeds");
    f.source().unstage(Some(first.session)).await.expect("unstage succeeds again");
    f.apply(staged(first, vec![])).await;
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    f.apply(staged(second, vec![])).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"], "another session keeps its batches");
    f.source().unstage(None).await.expect("unstage succeeds");
    f.source().unstage(None).await.expect("unstage succeeds again");
    f.apply(staged(third, vec![])).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"]);
}

pub(crate) async fn every_write_can_be_staged(f: Fixture) {
    let [kept, deleted] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[kept.clone(), deleted.clone()]).await;
    let edit = f.order("o-1", "c-1", 1);
    let commit = f.local(vec![]);
    let skipped = put(&f.customer("c-1", "Anna Lind")).expecting(Expect::Absent).or_skip();
    f.stage(commit.session, 0, vec![put(&f.tombstone(&deleted)), skipped.clone()]).await;
    f.stage(commit.session, 1, vec![put_pending(&edit)]).await;
    let receipt = f.apply(staged(commit, vec![])).await;
    assert!(receipt.change > 0);
    assert_eq!(receipt.skipped.len(), 1);
    assert_eq!(receipt.skipped[0].write, skipped);
    assert_eq!(f.get(&kept.key).await, Some(kept));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"]);
    assert_eq!(f.pending().await.len(), 1);
}

pub(crate) async fn staged_bodies_that_do_not_fit_are_refused(f: Fixture) {
    let commit = f.push(vec![]);
    let bad = f.record(key(&acme(), "customers", "c-1"), vec![Value::Integer(7), Value::Null]);
    let error = match f.source().stage(commit.session, 0, vec![put(&bad)]).await {
        Err(error) => error,
        Ok(()) => f.refused(staged(commit, vec![])).await,
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(f.get(&bad.key).await, None);
}
