//! Conditional writes, conflicts and skips.

use super::prelude::*;

/// The four states a record can be in: nothing, synced, deleted, edited locally (with its change).
async fn four_states(f: &Fixture) -> ([Record; 4], u64) {
    let records = ["c-1", "c-2", "c-3", "c-4"].map(|id| f.customer(id, "Anna Berg"));
    let [_, synced, deleted, edited] = &records;
    f.put_all(&[synced.clone(), deleted.clone()]).await;
    let tombstone = f.tombstone(deleted);
    f.put_all(std::slice::from_ref(&tombstone)).await;
    let change = f.edit(std::slice::from_ref(edited)).await;
    let [nothing, synced, _, edited] = records;
    ([nothing, synced, tombstone, edited], change)
}

pub(crate) async fn each_expectation_holds_where_it_says(f: Fixture) {
    let ([nothing, synced, deleted, edited], change) = four_states(&f).await;
    let other = f.revision();
    let all = [&nothing, &synced, &deleted, &edited];
    let table: Vec<(Expect, [bool; 4])> = vec![
        (Expect::Anything, [true; 4]),
        (Expect::Absent, [true, false, false, false]),
        (Expect::Change(0), [true, true, true, false]),
        (Expect::Change(change), [false, false, false, true]),
        (Expect::Change(change + 1), [false; 4]),
        (Expect::Revision(synced.metadata.revision), [false, true, false, false]),
        (Expect::Revision(deleted.metadata.revision), [false, false, true, false]),
        // The base of a local edit is not what is there: "of this revision with nothing pending".
        (Expect::Revision(edited.metadata.revision), [false; 4]),
        (Expect::Revision(other), [false; 4]),
        (Expect::Revision(Revision::NONE), [false; 4]),
    ];
    for (expect, holds) in table {
        for (record, holds) in all.into_iter().zip(holds) {
            // A second write that always fails keeps the commit from changing anything.
            let blocker = put(&nothing_else(&f)).expecting(Expect::Revision(other));
            let (conflicts, _) = f.conflicts(f.push(vec![put(record).expecting(expect), blocker])).await;
            let named = conflicts.iter().any(|conflict| conflict.write.action.key() == &record.key);
            assert!(!holds || !named, "{expect:?} holds for {record:?}, {conflicts:?}");
            let alone = f.push(vec![put(record).expecting(expect).or_skip()]);
            if !holds {
                let skipped = f.apply(alone).await.skipped;
                assert_eq!(skipped.len(), 1, "{expect:?} fails for {record:?}");
                let acknowledgement = acknowledge(record, change, f.revision()).expecting(expect);
                let skipped = f.apply(f.local(vec![acknowledgement.or_skip()])).await.skipped;
                assert_eq!(skipped.len(), 1, "{expect:?} fails for an acknowledgement of {record:?}");
            }
        }
    }
}

fn nothing_else(f: &Fixture) -> Record {
    f.customer("c-99", "Nobody")
}

pub(crate) async fn one_revision_is_replaced_once(f: Fixture) {
    let base = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&base)).await;
    let expect = Expect::Revision(base.metadata.revision);
    let winner = f.customer("c-1", "Anna Lind");
    f.apply(f.push(vec![put(&winner).expecting(expect)])).await;
    let loser = put(&f.customer("c-1", "Anna Holm")).expecting(expect);
    let (conflicts, state) = f.conflicts(f.push(vec![loser.clone()])).await;
    assert_eq!(state, []);
    let expected = Conflict { write: loser, current: Some(winner.clone()), reason: ConflictReason::Mismatch };
    assert_eq!(conflicts, [expected]);
    assert_eq!(f.get(&base.key).await, Some(winner));
}

pub(crate) async fn a_failed_write_changes_nothing(f: Fixture) {
    let kept = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&kept)).await;
    let written = [f.customer("c-2", "Boris Lind"), f.order("o-1", "c-2", 1), f.order("o-2", "c-2", 1)];
    let mut writes: Vec<_> = written.iter().map(put).collect();
    writes.push(put(&f.customer("c-1", "Anna Holm")).expecting(Expect::Absent));
    let commit = Commit {
        clears: vec![Clear { type_name: name("customers"), zone: acme(), through_change: 0 }],
        state: vec![StateWrite::set("cursor", Some(b"7".to_vec()))],
        ..f.push(writes)
    };
    let session = commit.session;
    f.conflicts(commit).await;
    assert_eq!(f.get(&kept.key).await.as_ref(), Some(&kept));
    for record in &written {
        assert_eq!(f.get(&record.key).await, None);
    }
    assert_eq!(f.state("cursor").await, None);
    assert_eq!(f.source().session(session).await.expect("session succeeds"), None);
    let mut walk = Walk::new(all_changes(&acme()));
    assert_eq!(walk.rest(f.source()).await, [kept]);
    assert_eq!(walk.point().position, Position(1), "a conflict takes no position");
}

pub(crate) async fn a_failed_state_expectation_changes_nothing(f: Fixture) {
    f.apply(Commit { state: vec![StateWrite::set("cursor", Some(b"7".to_vec()))], ..f.local(vec![]) }).await;
    let record = f.customer("c-1", "Anna Berg");
    let stale = StateWrite {
        key: "cursor".into(),
        expect: ExpectState::Value(b"6".to_vec()),
        value: Some(b"8".to_vec()),
    };
    let state = vec![StateWrite::set("epoch", Some(b"1".to_vec())), stale];
    let (writes, state) = f.conflicts(Commit { state, ..f.push(vec![put(&record)]) }).await;
    assert_eq!(writes, []);
    let named: Vec<_> = state.into_iter().map(|conflict| (conflict.key, conflict.current)).collect();
    assert_eq!(named, [("cursor".to_owned(), Some(b"7".to_vec()))]);
    assert_eq!(f.get(&record.key).await, None);
    assert_eq!(f.state("cursor").await.as_deref(), Some(&b"7"[..]));
    assert_eq!(f.state("epoch").await, None);
}

pub(crate) async fn conflicts_are_named_up_to_the_limit(f: Fixture) {
    let count = Conflict::MAX_PER_OUTCOME + 5;
    let stored: Vec<_> = (0..count).map(|n| f.customer(&format!("c-{n:04}"), "Anna Berg")).collect();
    f.put_all(&stored).await;
    let stored: BTreeMap<_, _> = stored.into_iter().map(|record| (record.key.clone(), record)).collect();
    let writes = stored.values().map(|record| put(&f.customer(record.key.id.as_str(), "Anna Lind")));
    let writes = writes.map(|write| write.expecting(Expect::Absent)).collect();
    let (conflicts, _) = f.conflicts(f.push(writes)).await;
    assert!((1..=Conflict::MAX_PER_OUTCOME).contains(&conflicts.len()), "{} conflicts", conflicts.len());
    for conflict in conflicts {
        assert_eq!(conflict.current.as_ref(), stored.get(conflict.write.action.key()));
    }
}

pub(crate) async fn state_conflicts_are_named_up_to_the_limit(f: Fixture) {
    let keys: Vec<_> = (0..Conflict::MAX_PER_OUTCOME + 5).map(|n| format!("entry-{n:04}")).collect();
    let set = |entry: &String, expect, value: &[u8]| StateWrite {
        key: entry.clone(),
        expect,
        value: Some(value.to_vec()),
    };
    let first = keys.iter().map(|entry| set(entry, ExpectState::Anything, entry.as_bytes()));
    f.apply(Commit { state: first.collect(), ..f.local(vec![]) }).await;
    let stale = keys.iter().map(|entry| set(entry, ExpectState::Absent, b"other"));
    let (writes, state) = f.conflicts(Commit { state: stale.collect(), ..f.local(vec![]) }).await;
    assert_eq!(writes, []);
    assert!((1..=Conflict::MAX_PER_OUTCOME).contains(&state.len()), "{} state conflicts", state.len());
    for conflict in state {
        assert_eq!(conflict.current.as_deref(), Some(conflict.key.as_bytes()));
        assert_eq!(f.state(&conflict.key).await, conflict.current, "nothing is changed");
    }
}

pub(crate) async fn skipped_writes_are_left_out_and_named(f: Fixture) {
    let ([nothing, synced, ..], _) = four_states(&f).await;
    let stale = Expect::Revision(f.revision());
    let on_record = put(&f.customer("c-2", "Anna Lind")).expecting(stale).or_skip();
    let on_nothing = put(&nothing).expecting(stale).or_skip();
    let applied = f.order("o-1", "c-2", 5);
    let writes =
        vec![on_record.clone(), put(&applied).expecting(Expect::Absent).or_skip(), on_nothing.clone()];
    let receipt = f.apply(f.push(writes)).await;
    let mut skipped = receipt.skipped;
    skipped.sort_by(|a, b| b.write.action.key().cmp(a.write.action.key()));
    let reason = ConflictReason::Mismatch;
    let expected = [
        Conflict { write: on_record, current: Some(synced.clone()), reason: reason.clone() },
        Conflict { write: on_nothing, current: None, reason },
    ];
    assert_eq!(skipped, expected);
    assert_eq!(f.get(&synced.key).await, Some(synced));
    assert_eq!(f.get(&nothing.key).await, None);
    assert_eq!(f.get(&applied.key).await, Some(applied));
}

pub(crate) async fn an_abort_outweighs_skips(f: Fixture) {
    let ([nothing, synced, ..], _) = four_states(&f).await;
    let fine = f.order("o-1", "c-2", 5);
    let writes = vec![
        put(&f.customer("c-2", "Anna Lind")).expecting(Expect::Absent).or_skip(),
        put(&fine),
        put(&nothing).expecting(Expect::Revision(f.revision())),
    ];
    let (conflicts, _) = f.conflicts(f.push(writes)).await;
    assert!(conflicts.iter().any(|conflict| conflict.write.action.key() == &nothing.key));
    assert_eq!(f.get(&fine.key).await, None);
    assert_eq!(f.get(&synced.key).await, Some(synced));
}

pub(crate) async fn expectations_see_the_state_before_the_clears(f: Fixture) {
    let base = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&base)).await;
    let next = f.customer("c-1", "Anna Lind");
    let with = |expect| Commit {
        writes: Writes::Inline(vec![put(&next).expecting(expect)]),
        ..f.clear("customers", &acme(), 0)
    };
    f.conflicts(with(Expect::Absent)).await;
    assert_eq!(f.get(&base.key).await.as_ref(), Some(&base));
    f.apply(with(Expect::Revision(base.metadata.revision))).await;
    assert_eq!(f.get(&base.key).await, Some(next));
}
