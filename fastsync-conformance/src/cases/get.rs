//! Reading by id.

use super::prelude::*;

pub(crate) async fn records_come_in_the_order_of_ids(f: Fixture) {
    let records = ["c-2", "c-9", "c-1", "c-5"].map(|id| f.customer(id, "Anna Berg"));
    f.put_all(&records).await;
    let wanted = ids(&["c-9", "c-1", "c-5", "c-2"]);
    let found = f.source().get(&name("customers"), &acme(), &wanted).await.expect("get succeeds");
    let found: Vec<_> = found.into_iter().map(|record| record.key.id).collect();
    assert_eq!(found, wanted);

    let twice = ids(&["c-1", "c-2", "c-1"]);
    let found = f.source().get(&name("customers"), &acme(), &twice).await.expect("get succeeds");
    assert!((2..=3).contains(&found.len()), "an id named twice came {} times", found.len() - 1);
    assert_eq!(found[0].key.id.as_str(), "c-1");
    assert_eq!(found[1].key.id.as_str(), "c-2");
}

pub(crate) async fn absent_ids_are_left_out(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let type_name = name("customers");
    let wanted = ids(&["c-0", "c-1", "c-2"]);
    assert_eq!(f.source().get(&type_name, &acme(), &wanted).await.expect("get succeeds"), [customer]);
    assert_eq!(f.source().get(&type_name, &acme(), &[]).await.expect("get succeeds"), []);
    assert_eq!(f.source().get(&type_name, &birch(), &wanted).await.expect("get succeeds"), []);
}

pub(crate) async fn only_this_zone_and_type_are_found(f: Fixture) {
    let here = f.customer("1", "Anna Berg");
    let elsewhere = f.in_zone(&f.customer("1", "Boris Lind"), &birch());
    let other_type = f.order("1", "1", 3);
    f.put_all(&[here.clone(), elsewhere.clone(), other_type.clone()]).await;
    for record in [here, elsewhere, other_type] {
        assert_eq!(f.get(&record.key).await, Some(record));
    }
    assert_eq!(f.get(&key(&birch(), "orders", "1")).await, None);
}

pub(crate) async fn tombstones_are_included(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let tombstone = f.tombstone(&customer);
    f.put_all(std::slice::from_ref(&tombstone)).await;
    assert_eq!(f.get(&customer.key).await, Some(tombstone));
}

pub(crate) async fn thousands_of_ids_are_found(f: Fixture) {
    const COUNT: usize = 3_000;
    let records: Vec<_> = (0..COUNT).map(|n| f.customer(&format!("c-{n}"), "Anna Berg")).collect();
    f.put_all(&records).await;
    let wanted: Vec<_> = (0..COUNT * 12).map(|n| ObjectId::new(format!("c-{n}")).expect("an id")).collect();
    let found = f.source().get(&name("customers"), &acme(), &wanted).await.expect("get succeeds");
    assert!(found == records, "{} of {COUNT} records were found as they were stored", found.len());
}

pub(crate) async fn zones_are_those_with_records_of_the_type(f: Fixture) {
    let zones = async |type_name: &str| f.source().zones(&name(type_name)).await.expect("zones succeeds");
    assert_eq!(zones("customers").await, []);
    let customer = f.customer("c-1", "Anna Berg");
    let elsewhere = f.in_zone(&customer, &birch());
    f.put_all(&[customer.clone(), elsewhere.clone(), f.order("o-1", "c-1", 2)]).await;
    assert_eq!(zones("customers").await, [acme(), birch()]);
    assert_eq!(zones("orders").await, [acme()]);

    f.put_all(&[f.tombstone(&elsewhere)]).await;
    assert_eq!(zones("customers").await, [acme(), birch()], "tombstones are records");
    f.apply(f.clear("customers", &acme(), 0)).await;
    assert_eq!(zones("customers").await, [birch()], "what was cleared is not there");
    assert_eq!(zones("orders").await, [acme()]);
}
