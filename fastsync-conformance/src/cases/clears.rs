//! Removing records without tombstones.

use super::prelude::*;

pub(crate) async fn cleared_records_leave_nothing(f: Fixture) {
    let [live, deleted] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[live.clone(), deleted.clone()]).await;
    f.put_all(&[f.tombstone(&deleted)]).await;
    f.apply(f.clear("customers", &acme(), 0)).await;
    assert_eq!(f.get(&live.key).await, None);
    assert_eq!(f.get(&deleted.key).await, None);
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    assert!(Walk::new(all_changes(&acme())).rest(f.source()).await.is_empty());
    f.apply(f.push(vec![put(&live).expecting(Expect::Absent)])).await;
}

pub(crate) async fn other_types_and_zones_stay(f: Fixture) {
    let customer = f.customer("1", "Anna Berg");
    let kept = [f.order("1", "1", 1), f.in_zone(&customer, &birch()), f.article("1", "Lamp", 20.0)];
    f.put_all(&[customer]).await;
    f.put_all(&kept).await;
    f.apply(f.clear("customers", &acme(), u64::MAX)).await;
    f.apply(f.clear("samples", &acme(), u64::MAX)).await;
    for record in kept {
        assert_eq!(f.get(&record.key).await, Some(record));
    }
}

pub(crate) async fn newer_edits_stay(f: Fixture) {
    f.put_all(&[f.customer("c-0", "Anna Berg")]).await;
    let mut changes = Vec::new();
    for n in 1..=3 {
        changes.push(f.edit(&[f.customer(&format!("c-{n}"), "Boris Lind")]).await);
    }
    let deleted = f.customer("c-4", "Cara Holm");
    changes.push(f.edit(&[f.tombstone(&deleted)]).await);
    let pending = || async { f.pending().await.into_iter().map(|at| at.metadata.change).collect::<Vec<_>>() };
    f.apply(f.clear("customers", &acme(), 0)).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1", "c-2", "c-3"]);
    assert_eq!(pending().await, changes);
    f.apply(f.clear("customers", &acme(), changes[1])).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-3"]);
    assert_eq!(pending().await, changes[2..]);
    f.apply(f.clear("customers", &acme(), u64::MAX)).await;
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    assert_eq!(f.get(&deleted.key).await, None);
    assert_eq!(pending().await, [0_u64; 0]);
}

pub(crate) async fn cleared_edits_wait_no_more(f: Fixture) {
    let count = async || f.source().count_pending().await.expect("count succeeds");
    let kept = f.order("o-1", "c-1", 1);
    let gone = f.customer("c-2", "Boris Lind");
    f.put_all(std::slice::from_ref(&gone)).await;
    f.edit(&[f.customer("c-1", "Anna Berg"), kept.clone(), f.in_zone(&gone, &birch())]).await;
    f.edit(&[f.tombstone(&gone)]).await;
    assert_eq!(count().await, 4);
    f.apply(f.clear("customers", &acme(), u64::MAX)).await;
    assert_eq!(count().await, 2, "the edits of another type and zone are counted, and no cleared one");
    f.apply(f.clear("customers", &birch(), u64::MAX)).await;
    let pending: Vec<_> = f.pending().await.into_iter().map(|record| record.key).collect();
    assert_eq!((pending, count().await), (vec![kept.key], 1));

    // One that is made anew waits once.
    let change = f.edit(&[f.customer("c-1", "Anna Lind")]).await;
    let pending: Vec<_> = f.pending().await.iter().map(|record| record.metadata.change).collect();
    assert_eq!((pending.len(), pending.last(), count().await), (2, Some(&change), 2));
}

pub(crate) async fn a_set_is_swapped_in_one_commit(f: Fixture) {
    let old: Vec<_> = (0..5).map(|n| f.customer(&format!("c-{n}"), "Anna Berg")).collect();
    f.put_all(&old).await;
    let new: Vec<_> = (3..8).map(|n| f.customer(&format!("c-{n}"), "Boris Lind")).collect();
    let commit = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.clear("customers", &acme(), 0) };
    f.stage(commit.session, 0, new.iter().map(put).collect()).await;
    f.apply(commit).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-3", "c-4", "c-5", "c-6", "c-7"]);
    for record in new {
        assert_eq!(f.get(&record.key).await, Some(record));
    }
}
