//! Readers that have nothing and take records in any order.

use super::paging::three_sessions;
use super::prelude::*;

fn load(records: usize, bytes: usize) -> ChangesRequest {
    let limits = PageLimits { records, bytes };
    ChangesRequest { after: Point::LOAD.into(), limits, count_remaining: true, ..all_changes(&acme()) }
}

/// Three sessions of two types, some records of the first rewritten by the second; and one of another zone.
async fn sessions(f: &Fixture) -> Vec<Record> {
    f.put_all(&[f.in_zone(&f.customer("c-5", "Elsewhere"), &birch())]).await;
    three_sessions(f).await
}

fn by_key(records: Vec<Record>) -> BTreeMap<RecordKey, Record> {
    // Of a record that came twice the last counts.
    records.into_iter().map(|record| (record.key.clone(), record)).collect()
}

pub(crate) async fn a_load_gives_everything_once_however_pages_are_cut(f: Fixture) {
    let whole = by_key(sessions(&f).await);
    assert_eq!(whole.len(), 10);
    let cuts = (1..=whole.len() + 1).map(|records| (records, 1 << 20));
    for (records, bytes) in cuts.chain([1, 80, 150, 300, 700].map(|bytes| (100, bytes))) {
        let loaded = Walk::new(load(records, bytes)).rest(f.source()).await;
        assert_eq!(loaded.len(), whole.len(), "pages of {records} records and {bytes} bytes");
        assert_eq!(by_key(loaded), whole, "pages of {records} records and {bytes} bytes");
    }
}

pub(crate) async fn what_is_committed_during_a_load_follows(f: Fixture) {
    let whole = sessions(&f).await;
    for pages in 0..whole.len() {
        let mut walk = Walk::new(load(1, 1 << 20));
        let mut loaded = Vec::new();
        for _ in 0..pages {
            loaded.extend(walk.page(f.source()).await.records);
        }
        let round = format!("round {pages}");
        let new = f.customer(&format!("c-{pages}-new"), &round);
        f.put_all(&[
            f.customer("c-1", &round),
            f.order("o-9", "c-9", i64::try_from(pages).expect("few")),
            f.customer("c-0-first", &round),
            new.clone(),
        ])
        .await;
        loaded.extend(walk.page(f.source()).await.records);
        f.put_all(&[f.tombstone(&new), f.order(&format!("o-{pages}-last"), "c-1", 1)]).await;
        loaded.extend(walk.rest(f.source()).await);
        let now = by_key(Walk::new(all_changes(&acme())).rest(f.source()).await);
        assert_eq!(by_key(loaded), now, "written after {pages} pages");
    }
}

pub(crate) async fn a_load_passes_other_types_over(f: Fixture) {
    let whole = sessions(&f).await;
    for type_name in ["customers", "orders"] {
        let of_type = whole.iter().filter(|record| record.key.type_name == name(type_name)).cloned();
        let expected = by_key(of_type.collect());
        for records in 1..=6 {
            let request = ChangesRequest { types: Some(vec![name(type_name)]), ..load(records, 1 << 20) };
            let loaded = Walk::new(request).rest(f.source()).await;
            assert_eq!(by_key(loaded), expected, "{type_name} in pages of {records}");
        }
    }
    let request = ChangesRequest { types: Some(vec![name("customers")]), ..load(1, 1 << 20) };
    let mut walk = Walk::new(request);
    walk.page(f.source()).await;
    f.put_all(&[f.order("o-7", "c-1", 7)]).await;
    walk.rest(f.source()).await;
    assert_eq!(walk.point().position, Position(4), "of what follows nothing is asked for");
}

pub(crate) async fn a_load_leaves_out_records_without_a_position(f: Fixture) {
    f.apply(f.local(vec![put(&f.customer("c-0", "Never positioned"))])).await;
    assert!(Walk::new(load(10, 1 << 20)).rest(f.source()).await.is_empty(), "nothing has a position");
    f.put_all(&[f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 1), f.customer("c-5", "Boris Lind")])
        .await;
    f.edit(&[f.customer("c-3", "An edit"), f.order("o-0", "c-3", 1), f.customer("c-5", "Edited since")])
        .await;
    f.edit(&[f.tombstone(&f.customer("c-4", "Deleted, and never positioned"))]).await;
    let whole = by_key(Walk::new(all_changes(&acme())).rest(f.source()).await);
    assert_eq!(whole.len(), 3);
    for records in 1..=4 {
        let loaded = Walk::new(load(records, 1 << 20)).rest(f.source()).await;
        assert_eq!((loaded.len(), by_key(loaded)), (3, whole.clone()), "pages of {records} records");
    }
}

pub(crate) async fn a_load_of_an_untouched_zone_is_empty(f: Fixture) {
    let mut walk = Walk::new(load(10, 1 << 20));
    let page = walk.page(f.source()).await;
    assert!(page.records.is_empty() && page.caught_up);
    let customers = [f.customer("c-2", "Boris Lind"), f.customer("c-1", "Anna Berg")];
    for customer in &customers {
        f.put_all(std::slice::from_ref(customer)).await;
    }
    assert_eq!(walk.rest(f.source()).await, customers);
}

pub(crate) async fn a_load_starts_over_when_what_it_gave_was_purged(f: Fixture) {
    let customers = ["c-1", "c-2", "c-3"].map(|id| f.customer(id, "Anna Berg"));
    let gone = f.customer("c-0", "Bo Ek");
    f.put_all(&[f.tombstone(&gone)]).await;
    f.put_all(&customers).await;
    f.purge(&acme(), 1).await;
    let mut walk = Walk::new(load(1, 1 << 20));
    walk.page(f.source()).await;
    assert_eq!(walk.rest(f.source()).await.len(), 2, "what was purged before is no reason");

    let mut walk = Walk::new(load(1, 1 << 20));
    let first = walk.page(f.source()).await.records.remove(0);
    f.put_all(&[f.tombstone(&first)]).await;
    f.purge(&acme(), 3).await;
    let request = ChangesRequest { after: walk.point().clone().into(), ..load(1, 1 << 20) };
    let changes = f.source().changes(&request).await.expect("changes succeeds");
    assert_eq!(changes, Changes::ResetRequired(ResetReason::Horizon));
}

pub(crate) async fn a_load_of_another_history_must_reset(f: Fixture) {
    sessions(&f).await;
    let mut walk = Walk::new(load(1, 1 << 20));
    walk.page(f.source()).await;
    let point = walk.point().clone();
    for other in [
        Point { tag: Tag(point.tag.0 ^ 1), ..point.clone() },
        Point { position: Position(point.position.0 + 100), ..point.clone() },
    ] {
        let request = ChangesRequest { after: other.into(), ..load(1, 1 << 20) };
        let changes = f.source().changes(&request).await.expect("changes succeeds");
        assert_eq!(changes, Changes::ResetRequired(ResetReason::History));
    }
}
