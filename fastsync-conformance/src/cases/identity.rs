//! What is the same and what is not: "types, zones, ids and state keys are compared byte by byte."

use super::prelude::*;

/// Ids that some database or other takes for one.
fn lookalikes() -> Vec<String> {
    let mut ids: Vec<_> = [
        "abc",
        "ABC",
        "Abc",
        "abc ",
        " abc",
        "ábc",
        "a\u{301}bc",
        "a\u{200b}bc",
        "é",
        "e\u{301}",
        "ss",
        "ß",
        "1",
        "01",
        "1.0",
        "1e0",
        "ı",
        "i",
        "I",
        "a%",
        "a_",
        "a*",
        "a\\",
        "a'b",
        "a\"b",
        "a`b",
        "a;--",
        "$a.b",
        "null",
        "💡",
        "../a",
        "a/b",
        "{\"$gt\":\"\"}",
    ]
    .map(str::to_owned)
    .into();
    let longest = ObjectId::MAX_BYTES;
    ids.extend(["x", "y"].map(|last| format!("{}{last}", "x".repeat(longest - 1))));
    ids.push("x".repeat(longest - 1));
    ids.push(format!("{}xyz", "💡".repeat((longest - 3) / 4)));
    ids
}

pub(crate) async fn object_ids_are_bytes(f: Fixture) {
    let records: Vec<_> = lookalikes().iter().map(|id| f.customer(id, id)).collect();
    f.put_all(&records).await;
    for record in &records {
        assert!(f.get(&record.key).await.as_ref() == Some(record), "id {:?}", record.key.id);
    }
    let mut expected = lookalikes();
    expected.sort();
    assert_eq!(f.live_ids("customers", &acme()).await, expected, "a query gives ids by their bytes");
    let walked = Walk::new(all_changes(&acme())).rest(f.source()).await;
    let walked: Vec<_> = walked.iter().map(|record| record.key.id.as_str()).collect();
    assert_eq!(walked, expected, "the feed gives ids by their bytes");
}

pub(crate) async fn expectations_are_of_exactly_this_id(f: Fixture) {
    for id in lookalikes() {
        let write = put(&f.customer(&id, &id)).expecting(Expect::Absent);
        f.apply(f.push(vec![write])).await;
    }
    let first = f.customer("abc", "Anna Berg");
    f.apply(f.push(vec![put(&f.tombstone(&first))])).await;
    let mut expected: Vec<_> = lookalikes().into_iter().filter(|id| id != "abc").collect();
    expected.sort();
    assert_eq!(f.live_ids("customers", &acme()).await, expected);
}

pub(crate) async fn zones_are_bytes(f: Fixture) {
    let longest = "z".repeat(Zone::MAX_KEY_BYTES);
    let keys =
        ["acme", "ACME", "acme ", "acmé", "acme\u{301}", "global", "restricted:acme", "%", "*", &longest];
    let zones = keys.map(|text| Zone::restricted(text).expect("a zone key"));
    let mut stored = Vec::new();
    for zone in &zones {
        let record = f.in_zone(&f.customer("c-1", zone.key().unwrap_or_default()), zone);
        let receipt = f.put_all(std::slice::from_ref(&record)).await;
        assert_eq!(receipt.positions, [(zone.clone(), Position(1))], "each zone counts its own positions");
        stored.push(record);
    }
    for (zone, record) in zones.iter().zip(stored) {
        assert_eq!(f.get(&record.key).await.as_ref(), Some(&record));
        assert_eq!(Walk::new(all_changes(zone)).rest(f.source()).await, [record], "zone {zone}");
        assert_eq!(f.live_ids("customers", zone).await, ["c-1"]);
    }
}

pub(crate) async fn one_id_in_two_zones_is_two_records(f: Fixture) {
    let here = f.customer("c-1", "Anna Berg");
    let there = f.in_zone(&here, &birch());
    f.put_all(&[here.clone(), there.clone()]).await;
    let edited = f.customer("c-1", "Anna Lind");
    f.put_all(std::slice::from_ref(&edited)).await;
    assert_eq!(f.get(&there.key).await.as_ref(), Some(&there));
    f.put_all(&[f.tombstone(&there)]).await;
    assert_eq!(f.get(&here.key).await, Some(edited));
    assert_eq!(f.live_ids("customers", &birch()).await, Vec::<String>::new());
}

pub(crate) async fn one_id_in_two_types_is_two_records(f: Fixture) {
    let customer = f.customer("1", "Anna Berg");
    let order = f.order("1", "1", 4);
    f.put_all(&[customer.clone(), order.clone()]).await;
    f.put_all(&[f.tombstone(&order)]).await;
    assert_eq!(f.get(&customer.key).await, Some(customer));
    assert_eq!(f.live_ids("customers", &acme()).await, ["1"]);
    assert_eq!(f.live_ids("orders", &acme()).await, Vec::<String>::new());
}

pub(crate) async fn records_in_a_zone_of_the_other_kind_are_refused(f: Fixture) {
    let customer = f.in_zone(&f.customer("c-1", "Anna Berg"), &Zone::Global);
    let article = f.in_zone(&f.article("a-1", "Lamp", 20.0), &acme());
    for record in [customer, article] {
        let error = f.refused(f.push(vec![put(&record)])).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(f.get(&record.key).await, None);
    }
}
