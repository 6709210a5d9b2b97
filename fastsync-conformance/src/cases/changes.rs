//! The history of a zone.

use super::prelude::*;

async fn history(f: &Fixture) -> Vec<Record> {
    Walk::new(all_changes(&acme())).rest(f.source()).await
}

pub(crate) async fn an_untouched_zone_is_empty(f: Fixture) {
    f.put_all(&[f.in_zone(&f.customer("c-1", "Anna Berg"), &birch())]).await;
    f.edit(&[f.customer("c-2", "Boris Lind")]).await;
    let mut walk = Walk::new(all_changes(&acme()));
    let page = walk.page(f.source()).await;
    assert!(page.records.is_empty() && page.caught_up);
    assert_eq!((page.head.position, page.next), (Position::START, Point::START));
}

pub(crate) async fn each_record_appears_once_at_its_last_position(f: Fixture) {
    let [first, second] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[first]).await;
    f.put_all(std::slice::from_ref(&second)).await;
    let again = f.customer("c-1", "Anna Lind");
    f.put_all(std::slice::from_ref(&again)).await;
    assert_eq!(history(&f).await, [second, again]);
}

pub(crate) async fn a_write_without_position_does_not_move_a_record(f: Fixture) {
    let [first, second] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[first]).await;
    f.put_all(std::slice::from_ref(&second)).await;
    let latest = f.customer("c-1", "Anna Lind");
    f.apply(f.local(vec![put(&latest)])).await;
    f.apply(f.local(vec![put(&f.customer("c-3", "Never positioned"))])).await;
    assert_eq!(history(&f).await, [latest, second]);
}

pub(crate) async fn tombstones_take_the_place_of_their_object(f: Fixture) {
    let [first, second] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[first.clone(), second.clone()]).await;
    let tombstone = f.tombstone(&first);
    f.put_all(std::slice::from_ref(&tombstone)).await;
    assert_eq!(history(&f).await, [second, tombstone]);
}

pub(crate) async fn records_come_by_position_type_and_id(f: Fixture) {
    let one =
        [f.order("o-2", "c-1", 1), f.customer("c-2", "B"), f.customer("c-10", "J"), f.order("O-9", "c", 1)];
    let two = [f.customer("c-1", "Anna Berg")];
    f.put_all(&one).await;
    f.put_all(&two).await;
    let [order_b, customer_b, customer_a, order_a] = one;
    let [last] = two;
    assert_eq!(history(&f).await, [customer_a, customer_b, order_a, order_b, last]);
}

pub(crate) async fn the_order_of_types_never_changes(f: Fixture) {
    let records = [f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 1)];
    f.put_all(&records).await;
    let before = history(&f).await;
    let first_by_priority =
        TypeSchema::builder("addresses", "id").priority(-10).restricted().field("street", FieldKind::Text);
    let customers_last = TypeSchema::builder("customers", "id")
        .priority(1_000)
        .restricted()
        .field("name", FieldKind::Text)
        .nullable_field("city", FieldKind::Text);
    let changed = [first_by_priority, customers_last].map(|builder| builder.build().expect("well formed"));
    f.source().prepare(&changed, Preparation::Apply).await.expect("prepare takes other priorities");
    assert_eq!(history(&f).await, before);

    let mut walk = Walk::new(ChangesRequest {
        limits: PageLimits { records: 1, bytes: 1 << 20 },
        ..all_changes(&acme())
    });
    f.put_all(&[
        f.record(key(&acme(), "addresses", "a-1"), vec!["Storgata 1".into()]),
        f.customer("c-1", "A"),
    ])
    .await;
    let first = walk.rest(f.source()).await;
    assert_eq!(first.len(), 3, "every record of the old and of the new type comes once");
}

pub(crate) async fn zones_have_histories_of_their_own(f: Fixture) {
    let here = f.customer("c-1", "Anna Berg");
    let there = f.in_zone(&f.customer("c-2", "Boris Lind"), &birch());
    let everywhere = f.article("a-1", "Lamp", 20.0);
    f.put_all(&[here.clone(), there.clone(), everywhere.clone()]).await;
    for (zone, record) in [(acme(), here), (birch(), there), (Zone::Global, everywhere)] {
        assert_eq!(Walk::new(all_changes(&zone)).rest(f.source()).await, [record]);
    }
}

pub(crate) async fn other_types_are_passed_over(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(&[customer.clone(), f.order("o-1", "c-1", 1)]).await;
    f.put_all(&[f.order("o-2", "c-1", 1)]).await;
    let only = |types: &[&str]| ChangesRequest {
        types: Some(types.iter().map(|type_name| name(type_name)).collect()),
        limits: PageLimits { records: 1, bytes: 1 << 20 },
        ..all_changes(&acme())
    };
    let mut walk = Walk::new(only(&["customers"]));
    let page = walk.page(f.source()).await;
    assert_eq!(page.records, [customer]);
    assert!(page.caught_up, "only records of other types follow");
    assert_eq!(page.next.position, Position(2));
    assert_eq!(Walk::new(only(&["orders"])).rest(f.source()).await.len(), 2);
    assert_eq!(Walk::new(only(&["orders", "customers"])).rest(f.source()).await.len(), 3);
    assert!(Walk::new(only(&["samples"])).page(f.source()).await.caught_up);
    assert!(Walk::new(only(&[])).rest(f.source()).await.is_empty());
}

pub(crate) async fn the_head_is_the_newest_session(f: Fixture) {
    for n in 1..=3 {
        let commit = f.push(vec![put(&f.customer("c-1", "Anna Berg"))]);
        let tag = commit.tag;
        f.apply(commit).await;
        let page = Walk::new(all_changes(&acme())).page(f.source()).await;
        assert_eq!((page.head.position, page.head.tag), (Position(n), tag));
        assert_eq!(page.records.len(), 1);
    }
}

pub(crate) async fn tags_keep_all_their_bits(f: Fixture) {
    for bits in [0, 1, 1 << 63, u64::MAX] {
        f.apply(Commit { tag: Tag(bits), ..f.push(vec![put(&f.customer("c-1", "Anna Berg"))]) }).await;
        let mut walk = Walk::new(all_changes(&acme()));
        walk.rest(f.source()).await;
        assert_eq!(walk.point().tag, Tag(bits));
        assert!(walk.page(f.source()).await.caught_up, "the point can be continued from");
    }
}
