//! "What a method acknowledged survives": the storage is closed and opened again.

use super::prelude::*;

pub(crate) async fn everything_is_there_after_a_restart(f: Fixture) {
    let [live, deleted] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[live.clone(), deleted.clone()]).await;
    f.put_all(&[f.tombstone(&deleted)]).await;
    let state = vec![StateWrite::set("cursor", Some(b"7".to_vec()))];
    f.apply(Commit { state, ..f.local(vec![put_pending(&f.order("o-1", "c-1", 1))]) }).await;
    let snapshot = |f: Fixture| async move {
        let found = (
            f.get(&key(&acme(), "customers", "c-1")).await,
            f.get(&key(&acme(), "customers", "c-2")).await,
            f.pending().await,
            f.source().entries("").await.expect("states succeeds"),
            f.source().sessions_of(&acme(), Position::START, 10).await.expect("sessions succeeds"),
            Walk::new(all_changes(&acme())).rest(f.source()).await,
        );
        (found, f)
    };
    let (before, f) = snapshot(f).await;
    let (after, _) = snapshot(f.reopen().await).await;
    assert_eq!(after, before);
    assert_eq!(after.0, Some(live));
}

pub(crate) async fn the_history_goes_on_after_a_restart(f: Fixture) {
    f.put_all(&[f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")]).await;
    let limits = PageLimits { records: 1, bytes: 1 << 20 };
    let mut walk = Walk::new(ChangesRequest { limits, ..all_changes(&acme()) });
    walk.page(f.source()).await;
    let f = f.reopen().await;
    let next = f.customer("c-3", "Cara Holm");
    assert_eq!(f.put_all(std::slice::from_ref(&next)).await.positions, [(acme(), Position(2))]);
    let rest: Vec<_> = walk.rest(f.source()).await.into_iter().map(|record| record.key.id).collect();
    assert_eq!(rest, ids(&["c-2", "c-3"]));
}

pub(crate) async fn a_session_is_a_duplicate_after_a_restart(f: Fixture) {
    let commit = f.push(vec![put(&f.customer("c-1", "Anna Berg"))]);
    let first = f.apply(commit.clone()).await;
    let edit = f.local(vec![put_pending(&f.customer("c-2", "Boris Lind"))]);
    let second = f.apply(edit.clone()).await;
    let f = f.reopen().await;
    for (commit, receipt) in [(commit, first), (edit, second)] {
        let again = f.source().commit_alone(commit).await.expect("commit succeeds");
        assert_eq!(again, CommitOutcome::Duplicate(receipt));
    }
}

pub(crate) async fn staged_batches_are_there_after_a_restart(f: Fixture) {
    let commit = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.push(vec![]) };
    let first = f.customer("c-1", "Anna Berg");
    f.stage(commit.session, 0, vec![put(&first)]).await;
    let f = f.reopen().await;
    f.stage(commit.session, 0, vec![put(&f.customer("c-1", "Later"))]).await;
    let second = f.customer("c-2", "Boris Lind");
    f.stage(commit.session, 1, vec![put(&second)]).await;
    let f = f.reopen().await;
    f.apply(commit).await;
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, [first, second]);
}

pub(crate) async fn changes_go_on_after_a_restart(f: Fixture) {
    let record = f.customer("c-1", "Anna Berg");
    let before = f.edit(std::slice::from_ref(&record)).await;
    f.apply(f.local(vec![acknowledge(&record, before, f.revision())])).await;
    f.apply(f.clear("customers", &acme(), 0)).await;
    let f = f.reopen().await;
    let after = f.edit(&[f.customer("c-2", "Boris Lind")]).await;
    assert!(after > before, "{after} comes after {before}");
}

pub(crate) async fn the_horizon_stays_after_a_restart(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let mut walk = Walk::new(all_changes(&acme()));
    walk.rest(f.source()).await;
    let old = walk.point().clone();
    f.put_all(&[f.tombstone(&customer)]).await;
    assert_eq!(f.purge(&acme(), 2).await, 1);
    let f = f.reopen().await;
    let request = ChangesRequest { after: old.into(), ..all_changes(&acme()) };
    let changes = f.source().changes(&request).await.expect("changes succeeds");
    assert_eq!(changes, Changes::ResetRequired(ResetReason::Horizon));
}

pub(crate) async fn a_second_handle_sees_what_the_first_wrote(f: Fixture) {
    let second = f.second_handle().await;
    let record = f.customer("c-1", "Anna Berg");
    let commit = f.push(vec![put(&record)]);
    let receipt = f.apply(commit.clone()).await;
    assert_eq!(second.get(&record.key).await.as_ref(), Some(&record));
    assert_eq!(Walk::new(all_changes(&acme())).rest(second.source()).await, [record]);
    let again = second.source().commit_alone(commit).await.expect("commit succeeds");
    assert_eq!(again, CommitOutcome::Duplicate(receipt));
    let change = second.edit(&[f.customer("c-2", "Boris Lind")]).await;
    assert!(f.edit(&[f.customer("c-3", "Cara Holm")]).await > change, "both handles share one numbering");
    let receipt = second.put_all(&[f.customer("c-4", "Dora Vik")]).await;
    assert_eq!(receipt.positions, [(acme(), Position(2))], "both handles share one history");
}
