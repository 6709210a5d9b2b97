//! What a commit stores, and where it puts it in the history of its zones.

use super::prelude::*;

pub(crate) async fn records_are_stored_as_they_are(f: Fixture) {
    let mut record = f.customer("c-1", "Anna Berg");
    record.metadata.revision = Revision::from_bits(u64::MAX);
    record.metadata.incarnation = Incarnation::from_bits(1 << 63);
    record.metadata.modified_at = Hlc::MAX;
    f.put_all(std::slice::from_ref(&record)).await;
    assert_eq!(f.get(&record.key).await.as_ref(), Some(&record));
    let query = Query::all(name("customers"), acme());
    assert_eq!(f.source().find(&query).await.expect("find succeeds").records, [record.clone()]);
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, [record.clone()]);
    let moved = Expect::Revision(Revision::from_bits(u64::MAX - 1));
    f.conflicts(f.push(vec![put(&record).expecting(moved)])).await;
    f.apply(f.push(vec![put(&record).expecting(Expect::Revision(record.metadata.revision))])).await;
}

pub(crate) async fn a_plain_write_is_not_pending(f: Fixture) {
    let mut record = f.customer("c-1", "Anna Berg");
    record.metadata.change = 77;
    f.put_all(std::slice::from_ref(&record)).await;
    record.metadata.change = 0;
    assert_eq!(f.get(&record.key).await, Some(record));
    assert_eq!(f.pending().await, []);
}

pub(crate) async fn put_replaces_the_whole_record(f: Fixture) {
    let mut first = f.customer("c-1", "Anna Berg");
    first.body = Some(vec!["Anna Berg".into(), "Oslo".into()]);
    f.put_all(&[first]).await;
    let second = f.customer("c-1", "Anna Lind");
    f.put_all(std::slice::from_ref(&second)).await;
    assert_eq!(f.get(&second.key).await, Some(second));
}

pub(crate) async fn tombstones_leave_queries_and_stay_in_the_history(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let tombstone = f.tombstone(&customer);
    f.put_all(std::slice::from_ref(&tombstone)).await;
    assert_eq!(f.live_ids("customers", &acme()).await, Vec::<String>::new());
    assert_eq!(f.get(&customer.key).await, Some(tombstone.clone()));
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, [tombstone]);

    let unknown = f.tombstone(&f.customer("c-9", "Never stored"));
    f.put_all(std::slice::from_ref(&unknown)).await;
    assert_eq!(f.get(&unknown.key).await, Some(unknown), "a tombstone needs no object before it");
}

pub(crate) async fn a_deleted_id_can_live_again(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    f.put_all(&[f.tombstone(&customer)]).await;
    let reborn = f.customer("c-1", "Anna Lind");
    f.put_all(std::slice::from_ref(&reborn)).await;
    assert_ne!(reborn.metadata.incarnation, customer.metadata.incarnation);
    assert_eq!(f.get(&reborn.key).await.as_ref(), Some(&reborn));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1"]);
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, [reborn]);
}

pub(crate) async fn clears_writes_and_state_come_together(f: Fixture) {
    f.put_all(&[f.customer("c-1", "Anna Berg")]).await;
    let next = f.customer("c-2", "Boris Lind");
    let commit = Commit {
        state: vec![StateWrite::set("cursor", Some(b"7".to_vec()))],
        writes: Writes::Inline(vec![put(&next), put(&f.order("o-1", "c-2", 1))]),
        ..f.clear("customers", &acme(), 0)
    };
    f.apply(commit).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-2"]);
    assert_eq!(f.live_ids("orders", &acme()).await, ["o-1"]);
    assert_eq!(f.state("cursor").await.as_deref(), Some(&b"7"[..]));
}

pub(crate) async fn a_key_written_twice_is_refused(f: Fixture) {
    let other = f.customer("c-2", "Boris Lind");
    let writes =
        vec![put(&other), put(&f.customer("c-1", "Anna Berg")), put(&f.customer("c-1", "Anna Lind"))];
    assert_eq!(f.refused(f.push(writes)).await.kind(), ErrorKind::InvalidInput);
    let one = f.customer("c-1", "Anna Berg");
    let writes = vec![put(&one), acknowledge(&one, 1, f.revision())];
    assert_eq!(f.refused(f.push(writes)).await.kind(), ErrorKind::InvalidInput);
    assert_eq!(f.get(&one.key).await, None);
    assert_eq!(f.get(&other.key).await, None, "a refused commit changes nothing");
}

pub(crate) async fn bodies_that_do_not_fit_are_refused(f: Fixture) {
    let fine = f.customer("c-1", "Anna Berg");
    let too_large = "x".repeat(fastsync_core::MAX_RECORD_BYTES + 1);
    let bad: [(Vec<Value>, ErrorKind); 7] = [
        (vec!["Boris Lind".into()], ErrorKind::InvalidInput),
        (vec!["Boris Lind".into(), Value::Null, Value::Null], ErrorKind::InvalidInput),
        (vec![], ErrorKind::InvalidInput),
        (vec![Value::Null, Value::Null], ErrorKind::InvalidInput),
        (vec![Value::Integer(7), Value::Null], ErrorKind::InvalidInput),
        (vec!["nul\0".into(), Value::Null], ErrorKind::InvalidInput),
        (vec![too_large.into(), Value::Null], ErrorKind::TooLarge),
    ];
    for (at, (body, kind)) in bad.into_iter().enumerate() {
        let record = f.record(key(&acme(), "customers", "c-2"), body);
        let state = vec![StateWrite::set("cursor", Some(b"7".to_vec()))];
        let commit = Commit { state, ..f.push(vec![put(&fine), put(&record)]) };
        let session = commit.session;
        assert_eq!(f.refused(commit).await.kind(), kind, "body {at}");
        assert_eq!(f.get(&fine.key).await, None, "a refused commit changes nothing");
        assert_eq!(f.state("cursor").await, None);
        assert_eq!(f.source().session(session).await.expect("session succeeds"), None);
    }
    assert!(Walk::new(all_changes(&acme())).rest(f.source()).await.is_empty());
}

pub(crate) async fn positions_count_up_in_each_zone_written(f: Fixture) {
    let here = f.customer("c-1", "Anna Berg");
    let there = f.in_zone(&here, &birch());
    let article = f.article("a-1", "Lamp", 20.0);
    assert_eq!(f.put_all(std::slice::from_ref(&here)).await.positions, [(acme(), Position(1))]);
    assert_eq!(f.put_all(std::slice::from_ref(&here)).await.positions, [(acme(), Position(2))]);
    let receipt = f.put_all(&[there, article, here.clone(), f.order("o-1", "c-1", 1)]).await;
    let expected = [(Zone::Global, Position(1)), (acme(), Position(3)), (birch(), Position(1))];
    assert_eq!(receipt.positions, expected, "positions come by zone");
    assert_eq!(f.apply(f.push(vec![])).await.positions, []);

    let cleared = Commit { positioned: true, ..f.clear("orders", &acme(), 0) };
    assert_eq!(f.apply(cleared).await.positions, [], "a clear writes no record");
    let skipped = put(&here).expecting(Expect::Absent).or_skip();
    assert_eq!(f.apply(f.push(vec![skipped])).await.positions, [], "a skipped write writes no record");
    assert_eq!(f.put_all(std::slice::from_ref(&here)).await.positions, [(acme(), Position(4))]);
}

pub(crate) async fn commits_without_position_take_none(f: Fixture) {
    let receipt = f.apply(f.local(vec![put(&f.customer("c-1", "Anna Berg"))])).await;
    assert_eq!(receipt, Receipt::default());
    let receipt = f.put_all(&[f.customer("c-2", "Boris Lind")]).await;
    assert_eq!(receipt.positions, [(acme(), Position(1))]);
}

pub(crate) async fn acknowledgements_take_no_position(f: Fixture) {
    let [here, there] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    let there = f.in_zone(&there, &birch());
    f.put_all(&[here.clone(), there.clone()]).await;
    let [mut edited, other] = [f.customer("c-1", "Anna Lind"), f.order("o-1", "c-1", 1)];
    let changed = f.in_zone(&there, &birch());
    let change = f.edit(&[edited.clone(), changed.clone()]).await;
    f.put_all(std::slice::from_ref(&other)).await;

    edited.metadata.revision = f.revision();
    let writes = [&edited, &changed].map(|record| acknowledge(record, change, edited.metadata.revision));
    assert_eq!(f.apply(f.push(writes.into())).await.positions, [], "alone");
    let again = acknowledge(&changed, change, f.revision());
    let receipt = f.apply(f.push(vec![again, put(&f.order("o-2", "c-1", 1))])).await;
    assert_eq!(receipt.positions, [(acme(), Position(3))], "beside a record of another zone");
    let walked = Walk::new(all_changes(&acme())).rest(f.source()).await;
    assert_eq!(walked[..2], [edited, other], "an acknowledged record stays where it was in the history");
}

pub(crate) async fn a_large_commit_is_stored_whole(f: Fixture) {
    let records: Vec<_> = (0..2_500)
        .flat_map(|n| [f.customer(&format!("c-{n:04}"), "Anna Berg"), f.order(&format!("o-{n:04}"), "c", n)])
        .collect();
    assert_eq!(f.put_all(&records).await.positions, [(acme(), Position(1))]);
    for type_name in ["customers", "orders"] {
        let count = f.source().count(&Query::all(name(type_name), acme())).await.expect("count succeeds");
        assert_eq!(count, 2_500, "{type_name}");
    }
    let mut sorted = records;
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    assert!(
        Walk::new(all_changes(&acme())).rest(f.source()).await == sorted,
        "the feed has each record once"
    );
}
