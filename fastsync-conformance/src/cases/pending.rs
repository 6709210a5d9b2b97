//! Local edits that wait to be pushed.

use super::prelude::*;

fn changed(record: &Record, change: u64) -> Record {
    let mut record = record.clone();
    record.metadata.change = change;
    record
}

pub(crate) async fn edits_are_numbered_upwards(f: Fixture) {
    let mut last = 0;
    for n in 0..5 {
        let records = [f.customer(&format!("c-{n}"), "Anna Berg"), f.order("o-1", "c-1", n)];
        let change = f.edit(&records).await;
        assert!(change > last, "{change} comes after {last}");
        for record in records {
            assert_eq!(f.get(&record.key).await, Some(changed(&record, change)), "the base is kept");
            f.apply(f.local(vec![acknowledge(&record, change, f.revision())])).await;
        }
        last = change;
    }
    let receipt = f.apply(f.local(vec![put(&f.customer("c-9", "Pulled"))])).await;
    assert_eq!(receipt.change, 0, "nothing was marked as pending");
}

pub(crate) async fn an_edit_can_keep_its_change(f: Fixture) {
    let first = f.edit(&[f.customer("c-1", "Anna Berg")]).await;
    let second = f.edit(&[f.customer("c-2", "Boris Lind")]).await;
    let merged = changed(&f.customer("c-1", "Anna Lind"), first);
    f.apply(f.local(vec![put_pending(&merged).expecting(Expect::Change(first))])).await;
    assert_eq!(f.get(&merged.key).await.as_ref(), Some(&merged));
    let pending: Vec<_> = f.pending().await.iter().map(|record| record.metadata.change).collect();
    assert_eq!(pending, [first, second]);
    assert!(f.edit(&[f.customer("c-3", "Cara Holm")]).await > second);
    f.apply(f.local(vec![acknowledge(&merged, first, f.revision())])).await;
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 2);
}

pub(crate) async fn edits_come_in_the_order_of_their_commits(f: Fixture) {
    let [first, second, third] =
        [f.customer("c-9", "Anna Berg"), f.customer("c-5", "Boris Lind"), f.order("o-1", "c-5", 1)];
    f.edit(std::slice::from_ref(&first)).await;
    let two = f.edit(&[third.clone(), second.clone()]).await;
    let pending = f.pending().await;
    let order: Vec<_> = pending.iter().map(|record| record.key.id.as_str()).collect();
    assert!(order == ["c-9", "c-5", "o-1"] || order == ["c-9", "o-1", "c-5"], "{order:?}");
    assert_eq!(f.pending().await, pending, "the order is fixed");

    let again = f.customer("c-9", "Anna Lind");
    let three = f.edit(std::slice::from_ref(&again)).await;
    let pending = f.pending().await;
    assert_eq!(pending.last(), Some(&changed(&again, three)), "an edit moves a record to the end");
    assert!(pending.contains(&changed(&second, two)) && pending.len() == 3);
}

pub(crate) async fn a_total_counts_all_that_wait(f: Fixture) {
    let mut changes = Vec::new();
    for n in 0..4 {
        changes.push(f.edit(&[f.customer(&format!("c-{n}"), "Anna Berg")]).await);
    }
    for (after, limit, records) in [(0, 0, 0), (0, 3, 3), (changes[2], 9, 1), (changes[3], 9, 0)] {
        for (total, counted) in [(true, Some(4)), (false, None)] {
            let request = PendingRequest { after, limit, total };
            let found = f.source().pending(&request).await.expect("pending succeeds");
            assert_eq!((found.records.len(), found.total), (records, counted), "{request:?}");
        }
    }
}

pub(crate) async fn edits_are_read_in_pages(f: Fixture) {
    let mut changes = Vec::new();
    for n in 0..6 {
        changes.push(f.edit(&[f.customer(&format!("c-{n}"), "Anna Berg")]).await);
    }
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 6);
    let read = |after, limit| {
        let f = &f;
        async move {
            let found = f.source().pending_after(after, limit).await.expect("pending succeeds");
            found.iter().map(|record| record.metadata.change).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(0, 4).await, changes[..4]);
    assert_eq!(read(changes[3], 4).await, changes[4..]);
    assert_eq!(read(changes[5], 4).await, [0_u64; 0]);
    assert_eq!(read(0, 0).await, [0_u64; 0]);
    assert_eq!(read(u64::MAX, 10).await, [0_u64; 0]);
}

pub(crate) async fn local_deletions_wait_too(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let tombstone = f.tombstone(&customer);
    let change = f.edit(std::slice::from_ref(&tombstone)).await;
    assert_eq!(f.pending().await, [changed(&tombstone, change)]);
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 1);
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    f.apply(f.local(vec![acknowledge(&customer, change, f.revision())])).await;
    assert_eq!(f.pending().await, []);
    assert!(f.get(&customer.key).await.is_some_and(|record| record.is_deleted()));
}

pub(crate) async fn an_acknowledged_edit_is_done(f: Fixture) {
    let record = f.customer("c-1", "Anna Berg");
    let change = f.edit(std::slice::from_ref(&record)).await;
    let revision = f.revision();
    f.apply(f.local(vec![acknowledge(&record, change, revision)])).await;
    let mut expected = record;
    expected.metadata.revision = revision;
    assert_eq!(f.get(&expected.key).await, Some(expected));
    assert_eq!(f.pending().await, []);
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 0);
}

pub(crate) async fn an_edit_since_stays_pending_on_the_new_base(f: Fixture) {
    let first = f.edit(&[f.customer("c-1", "Anna Berg")]).await;
    let newer = f.customer("c-1", "Anna Lind");
    let second = f.edit(std::slice::from_ref(&newer)).await;
    let revision = f.revision();
    f.apply(f.local(vec![acknowledge(&newer, first, revision)])).await;
    let mut expected = changed(&newer, second);
    expected.metadata.revision = revision;
    assert_eq!(f.get(&expected.key).await.as_ref(), Some(&expected));
    assert_eq!(f.pending().await, [expected]);
}

pub(crate) async fn another_life_keeps_its_own_base(f: Fixture) {
    let first = f.customer("c-1", "Anna Berg");
    let pushed = f.edit(std::slice::from_ref(&first)).await;
    let mut anew = f.customer("c-1", "Anna Lind");
    anew.metadata.incarnation = Incarnation::from_bits(first.metadata.incarnation.to_bits() ^ 1);
    anew.metadata.revision = Revision::NONE;
    let change = f.edit(std::slice::from_ref(&anew)).await;
    f.apply(f.local(vec![acknowledge(&first, pushed, f.revision())])).await;
    assert_eq!(f.pending().await, [changed(&anew, change)]);

    // Another life under the number that was pushed, as a merge leaves it: the edit ends, its base stays.
    let mut merged = changed(&f.customer("c-1", "Anna Holm"), change);
    merged.metadata.revision = f.revision();
    f.apply(f.local(vec![put_pending(&merged)])).await;
    f.apply(f.local(vec![acknowledge(&anew, change, f.revision())])).await;
    assert_eq!(f.get(&merged.key).await, Some(changed(&merged, 0)));
    assert_eq!(f.pending().await, []);
}

pub(crate) async fn many_are_acknowledged_as_exactly_as_one(f: Fixture) {
    let pushed: Vec<_> = (0..40).map(|n| f.customer(&format!("c-{n:02}"), "Anna Berg")).collect();
    let change = f.edit(&pushed).await;
    let (mut edited, mut anew) = (f.customer("c-07", "Anna Lind"), f.customer("c-19", "Anna Holm"));
    edited.metadata.incarnation = pushed[7].metadata.incarnation;
    anew.metadata.incarnation = Incarnation::from_bits(pushed[19].metadata.incarnation.to_bits() ^ 1);
    let since = f.edit(&[edited.clone(), anew.clone()]).await;
    // Another life under the number that was pushed, as a merge leaves it.
    let mut merged = changed(&f.customer("c-23", "Anna Vik"), change);
    merged.metadata.incarnation = Incarnation::from_bits(pushed[23].metadata.incarnation.to_bits() ^ 1);
    f.apply(f.local(vec![put_pending(&merged)])).await;

    // The first come in runs of one revision, the others have each their own.
    let shared = f.revision();
    let revisions: Vec<_> = (0..pushed.len()).map(|at| if at < 4 { shared } else { f.revision() }).collect();
    let named = pushed.iter().zip(&revisions).enumerate().filter(|(at, _)| at % 13 != 5);
    let writes = named.map(|(_, (record, revision))| acknowledge(record, change, *revision)).collect();
    f.apply(f.local(writes)).await;
    for (at, record) in pushed.iter().enumerate() {
        let mut expected = match at {
            7 => changed(&edited, since),
            19 => changed(&anew, since),
            23 => changed(&merged, 0),
            _ if at % 13 == 5 => changed(record, change),
            _ => record.clone(),
        };
        if at % 13 != 5 && at != 19 && at != 23 {
            expected.metadata.revision = revisions[at];
        }
        assert_eq!(f.get(&record.key).await, Some(expected), "record {at}");
    }
    assert_eq!(f.source().count_pending().await.expect("count succeeds"), 5);
}

pub(crate) async fn acknowledging_what_is_not_there_does_nothing(f: Fixture) {
    let absent = f.customer("c-1", "Anna Berg");
    f.apply(f.local(vec![acknowledge(&absent, 1, f.revision())])).await;
    assert_eq!(f.get(&absent.key).await, None);
    assert_eq!(f.pending().await, []);
    let expecting = acknowledge(&absent, 1, f.revision()).expecting(Expect::Change(1)).or_skip();
    assert_eq!(f.apply(f.local(vec![expecting])).await.skipped.len(), 1);
}

pub(crate) async fn a_plain_write_ends_an_edit(f: Fixture) {
    let change = f.edit(&[f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")]).await;
    let server = f.customer("c-1", "Anna Lind");
    f.apply(f.local(vec![put(&server).expecting(Expect::Change(change))])).await;
    assert_eq!(f.get(&server.key).await, Some(server));
    let pending: Vec<_> = f.pending().await.into_iter().map(|record| record.key.id).collect();
    assert_eq!(pending, ids(&["c-2"]));
}

pub(crate) async fn an_expected_change_notices_a_newer_edit(f: Fixture) {
    let first = f.edit(&[f.customer("c-1", "Anna Berg")]).await;
    let newer = f.customer("c-1", "Anna Lind");
    let second = f.edit(std::slice::from_ref(&newer)).await;
    let server = put(&f.customer("c-1", "Server's"));
    f.conflicts(f.local(vec![server.clone().expecting(Expect::Change(first))])).await;
    f.conflicts(f.local(vec![server.expecting(Expect::Change(0))])).await;
    assert_eq!(f.get(&newer.key).await, Some(changed(&newer, second)));
}
