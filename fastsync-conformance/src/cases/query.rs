//! Finding and counting.

use super::prelude::*;

pub(super) fn query(type_name: &str, filter: Filter) -> Query {
    let mut query = Query::all(name(type_name), acme());
    query.filter = filter;
    query
}

pub(super) fn field(text: &str) -> FieldName {
    FieldName::new(text).expect("a field name")
}

pub(super) fn compare(field: &str, comparison: Comparison, value: impl Into<Value>) -> Filter {
    Filter::compare(field, comparison, value).expect("a field name")
}

pub(super) fn by(text: &str, descending: bool) -> Order {
    Order::new(field(text), descending)
}

/// Asserts what a filter selects, by find and by count.
pub(super) async fn selects(f: &Fixture, type_name: &str, filter: Filter, expected: &[&str]) {
    let query = query(type_name, filter);
    assert_eq!(f.find_ids(&query).await, expected, "{:?}", query.filter);
    let count = f.source().count(&query).await.expect("count succeeds");
    assert_eq!(count, expected.len() as u64, "count of {:?}", query.filter);
}

/// Orders with quantities 10, 20, 20, 30 and notes null, "", "Gift", "gift 100%".
async fn orders(f: &Fixture) {
    let notes = [Value::Null, "".into(), "Gift".into(), "gift 100%".into()];
    let orders: Vec<_> = [10, 20, 20, 30]
        .into_iter()
        .zip(notes)
        .enumerate()
        .map(|(n, (quantity, note))| {
            let mut order = f.order(&format!("o-{n}"), "c-1", quantity);
            order.body = Some(vec!["c-1".into(), quantity.into(), note]);
            order
        })
        .collect();
    f.put_all(&orders).await;
}

pub(crate) async fn comparisons_select(f: Fixture) {
    orders(&f).await;
    let table: [(Comparison, &[&str]); 6] = [
        (Comparison::Equal, &["o-1", "o-2"]),
        (Comparison::NotEqual, &["o-0", "o-3"]),
        (Comparison::Less, &["o-0"]),
        (Comparison::LessOrEqual, &["o-0", "o-1", "o-2"]),
        (Comparison::Greater, &["o-3"]),
        (Comparison::GreaterOrEqual, &["o-1", "o-2", "o-3"]),
    ];
    for (comparison, expected) in table {
        selects(&f, "orders", compare("quantity", comparison, 20_i64), expected).await;
    }
    selects(&f, "orders", Filter::All, &["o-0", "o-1", "o-2", "o-3"]).await;
}

pub(crate) async fn text_compares_by_bytes(f: Fixture) {
    let names = ["Zoe", "anna", "Anna", "ängla", "10", "9", "anna ", ""];
    let records: Vec<_> =
        names.iter().enumerate().map(|(n, text)| f.customer(&format!("c-{n}"), text)).collect();
    f.put_all(&records).await;
    let mut sorted = query("customers", Filter::All);
    sorted.order = vec![by("name", false)];
    let found = f.source().find(&sorted).await.expect("find succeeds").records;
    let found: Vec<_> = found.into_iter().filter_map(|record| record.body?.into_iter().next()).collect();
    let mut expected = names;
    expected.sort_unstable();
    assert!(found == expected.map(Value::from), "names are in the order of their bytes");
    selects(&f, "customers", compare("name", Comparison::Equal, "anna"), &["c-1"]).await;
    selects(&f, "customers", compare("name", Comparison::Greater, "anna "), &["c-3"]).await;
    selects(&f, "customers", compare("name", Comparison::Less, "9"), &["c-4", "c-7"]).await;
}

pub(crate) async fn null_equals_nothing(f: Fixture) {
    orders(&f).await;
    let gift = || compare("note", Comparison::Equal, "Gift");
    selects(&f, "orders", compare("note", Comparison::NotEqual, "Gift"), &["o-1", "o-3"]).await;
    selects(&f, "orders", Filter::Not(Box::new(gift())), &["o-0", "o-1", "o-3"]).await;
    let less = compare("note", Comparison::Less, "Gift");
    selects(&f, "orders", less.clone(), &["o-1"]).await;
    selects(&f, "orders", Filter::Not(Box::new(less)), &["o-0", "o-2", "o-3"]).await;
    let twice = Filter::Not(Box::new(Filter::Not(Box::new(gift()))));
    selects(&f, "orders", twice, &["o-2"]).await;
    let starts = Filter::Not(Box::new(Filter::StartsWith(field("note"), "G".into())));
    selects(&f, "orders", starts, &["o-0", "o-1", "o-3"]).await;
    let within = Filter::Not(Box::new(Filter::In(field("note"), vec!["Gift".into()])));
    selects(&f, "orders", within, &["o-0", "o-1", "o-3"]).await;
}

pub(crate) async fn is_null_selects_only_null(f: Fixture) {
    orders(&f).await;
    selects(&f, "orders", Filter::IsNull(field("note")), &["o-0"]).await;
    selects(&f, "orders", Filter::IsNull(field("quantity")), &[]).await;
    selects(&f, "orders", Filter::IsNull(field("id")), &[]).await;
    let some = Filter::Not(Box::new(Filter::IsNull(field("note"))));
    selects(&f, "orders", some, &["o-1", "o-2", "o-3"]).await;
}

pub(crate) async fn in_selects_any_of_the_values(f: Fixture) {
    orders(&f).await;
    let quantities = |values: &[i64]| {
        Filter::In(field("quantity"), values.iter().map(|value| Value::Integer(*value)).collect())
    };
    selects(&f, "orders", quantities(&[30, 10, 99]), &["o-0", "o-3"]).await;
    selects(&f, "orders", quantities(&[]), &[]).await;
    selects(&f, "orders", Filter::In(field("note"), vec!["".into(), "gift".into()]), &["o-1"]).await;
    let many: Vec<_> = (0..999).collect();
    selects(&f, "orders", quantities(&many), &["o-0", "o-1", "o-2", "o-3"]).await;
}

pub(crate) async fn text_searches_are_literal(f: Fixture) {
    let names =
        ["100% wool", "100 wool", "a_b", "aXb", "A_B", "a*b", "back\\slash", "it's", "ünder", "[ab]", ""];
    let records: Vec<_> =
        names.iter().enumerate().map(|(n, text)| f.customer(&format!("c-{n}"), text)).collect();
    f.put_all(&records).await;
    let starts = |text: &str| Filter::StartsWith(field("name"), text.to_owned());
    let contains = |text: &str| Filter::Contains(field("name"), text.to_owned());
    let table: [(Filter, &[&str]); 11] = [
        (starts("100%"), &["c-0"]),
        (starts("a_"), &["c-2"]),
        (starts("a*"), &["c-5"]),
        (starts("ün"), &["c-8"]),
        (starts("[ab]"), &["c-9"]),
        (contains("% w"), &["c-0"]),
        (contains("_"), &["c-2", "c-4"]),
        (contains("k\\s"), &["c-6"]),
        (contains("'"), &["c-7"]),
        (contains("' OR 1=1 --"), &[]),
        (contains("B"), &["c-4"]),
    ];
    for (filter, expected) in table {
        selects(&f, "customers", filter, expected).await;
    }
    let mut everything: Vec<_> = (0..names.len()).map(|n| format!("c-{n}")).collect();
    everything.sort();
    let everything: Vec<_> = everything.iter().map(String::as_str).collect();
    selects(&f, "customers", starts(""), &everything).await;
    selects(&f, "customers", contains(""), &everything).await;
    selects(&f, "customers", Filter::StartsWith(field("city"), String::new()), &[]).await;
}

pub(crate) async fn conditions_combine(f: Fixture) {
    orders(&f).await;
    selects(&f, "orders", Filter::And(vec![]), &["o-0", "o-1", "o-2", "o-3"]).await;
    selects(&f, "orders", Filter::Or(vec![]), &[]).await;
    let small = compare("quantity", Comparison::Less, 20_i64);
    let gift = Filter::Contains(field("note"), "ift".into());
    selects(&f, "orders", Filter::Or(vec![small.clone(), gift.clone()]), &["o-0", "o-2", "o-3"]).await;
    selects(&f, "orders", Filter::And(vec![small.clone(), gift.clone()]), &[]).await;
    let neither = Filter::Not(Box::new(Filter::Or(vec![small, gift.clone()])));
    selects(&f, "orders", neither.clone(), &["o-1"]).await;
    let nested =
        Filter::Or(vec![neither, Filter::And(vec![gift, compare("quantity", Comparison::Equal, 20_i64)])]);
    selects(&f, "orders", nested, &["o-1", "o-2"]).await;
}

pub(crate) async fn order_breaks_ties_by_id(f: Fixture) {
    orders(&f).await;
    let table: [(Vec<Order>, [&str; 4]); 6] = [
        (vec![], ["o-0", "o-1", "o-2", "o-3"]),
        (vec![by("quantity", true)], ["o-3", "o-1", "o-2", "o-0"]),
        (vec![by("quantity", false), by("note", true)], ["o-0", "o-2", "o-1", "o-3"]),
        (vec![by("note", false)], ["o-0", "o-1", "o-2", "o-3"]),
        (vec![by("note", true)], ["o-3", "o-2", "o-1", "o-0"]),
        (vec![by("customer", true), by("id", true)], ["o-3", "o-2", "o-1", "o-0"]),
    ];
    for (order, expected) in table {
        let mut query = query("orders", Filter::All);
        query.order = order;
        assert_eq!(f.find_ids(&query).await, expected, "{:?}", query.order);
    }
}

pub(crate) async fn offset_and_limit_cut(f: Fixture) {
    orders(&f).await;
    let table: [(u64, Option<u64>, &[&str]); 7] = [
        (0, Some(2), &["o-3", "o-1"]),
        (2, Some(1), &["o-2"]),
        (3, None, &["o-0"]),
        (3, Some(10), &["o-0"]),
        (4, Some(1), &[]),
        (0, Some(0), &[]),
        (9_000_000_000_000_000_000, Some(u64::MAX), &[]),
    ];
    for (offset, limit, expected) in table {
        let mut query = query("orders", Filter::All);
        query.order = vec![by("quantity", true)];
        (query.offset, query.limit) = (offset, limit);
        assert_eq!(f.find_ids(&query).await, expected, "offset {offset}, limit {limit:?}");
    }
}

pub(crate) async fn a_total_is_of_the_filter_alone(f: Fixture) {
    orders(&f).await;
    let mut query = query("orders", compare("quantity", Comparison::GreaterOrEqual, 20_i64));
    query.order = vec![by("quantity", true)];
    let found = async |query: &Query| {
        let Found { records, total } = f.source().find(query).await.expect("find succeeds");
        (records.len(), total)
    };
    assert_eq!(found(&query).await, (3, None), "nothing is counted unasked");
    query.total = true;
    assert_eq!(found(&query).await, (3, Some(3)));
    (query.offset, query.limit) = (2, Some(1));
    assert_eq!(found(&query).await, (1, Some(3)));
    (query.offset, query.limit) = (9, None);
    assert_eq!(found(&query).await, (0, Some(3)));
    (query.offset, query.limit) = (0, Some(0));
    assert_eq!(found(&query).await, (0, Some(3)));
    query.zone = birch();
    assert_eq!(found(&query).await, (0, Some(0)), "a zone without records has none");
}

pub(crate) async fn the_id_can_be_queried(f: Fixture) {
    orders(&f).await;
    selects(&f, "orders", compare("id", Comparison::Equal, "o-2"), &["o-2"]).await;
    selects(&f, "orders", compare("id", Comparison::Greater, "o-1"), &["o-2", "o-3"]).await;
    selects(&f, "orders", Filter::In(field("id"), vec!["o-3".into(), "O-1".into()]), &["o-3"]).await;
    selects(&f, "orders", Filter::StartsWith(field("id"), "O".into()), &[]).await;
    // A prefix is followed by any character, also by those at the ends of the planes.
    let ids = ["p", "p\u{d7ff}", "p\u{e000}", "p\u{ffff}", "p\u{1f4a1}", "p\u{10ffff}"];
    f.put_all(&ids.map(|id| f.customer(id, "any"))).await;
    selects(&f, "customers", Filter::StartsWith(field("id"), "p".into()), &ids).await;
    let bulb = Filter::StartsWith(field("id"), "p\u{1f4a1}".into());
    selects(&f, "customers", bulb, &["p\u{1f4a1}"]).await;
}

pub(crate) async fn every_kind_can_be_compared(f: Fixture) {
    let json = |text: &str| Value::Json(text.to_owned());
    let samples = [
        ("s-0", "flag", Value::Bool(true)),
        ("s-1", "flag", Value::Bool(false)),
        ("s-2", "real", Value::Real(-1.5)),
        ("s-3", "real", Value::Real(10.0)),
        ("s-4", "moment", "2026-11-21T10:00:00.000000000Z".into()),
        ("s-5", "bytes", vec![0_u8, 255].into()),
        ("s-6", "json", json("{\"b\":1,\"a\":[]}")),
        ("s-7", "uuid", "018f3a52-7f00-7000-8000-0000000000aa".into()),
        ("s-8", "whole", Value::Integer(i64::MIN)),
    ];
    let records: Vec<_> = samples.iter().map(|(id, name, value)| f.sample(id, name, value.clone())).collect();
    f.put_all(&records).await;
    for (id, name, value) in samples {
        selects(&f, "samples", compare(name, Comparison::Equal, value), &[id]).await;
    }
    selects(&f, "samples", compare("flag", Comparison::NotEqual, true), &["s-1"]).await;
    selects(&f, "samples", compare("real", Comparison::Less, 9.5), &["s-2"]).await;
    selects(&f, "samples", compare("real", Comparison::Equal, 10_i64), &["s-3"]).await;
    selects(&f, "samples", compare("moment", Comparison::Less, "2026-12-01T00:00:00Z"), &["s-4"]).await;
    selects(&f, "samples", compare("bytes", Comparison::Equal, vec![0_u8]), &[]).await;
    selects(&f, "samples", compare("json", Comparison::Equal, json("{\"a\":[],\"b\":1}")), &[]).await;
    selects(&f, "samples", compare("whole", Comparison::Less, i64::MIN + 1), &["s-8"]).await;
}

pub(crate) async fn dates_and_times_are_ordered_by_time(f: Fixture) {
    // Each in the order of time, whose texts as they are given are in another one.
    let table: [(&str, [&str; 5]); 4] = [
        (
            "moment",
            [
                "2026-11-21T12:00:00+05:30",
                "2026-11-21T10:00:00Z",
                "2026-11-21T10:00:00.000000001Z",
                "2026-11-21T10:00:00.5Z",
                "2026-11-21T08:00:01-02:00",
            ],
        ),
        (
            "local",
            [
                "0999-12-31T23:59:59.999999999",
                "2026-11-21T10:00:00",
                "2026-11-21T10:00:00.01",
                "2026-11-21T10:00:00.1",
                "2026-11-21T10:00:01",
            ],
        ),
        ("day", ["0999-12-31", "2026-01-31", "2026-02-01", "2026-10-01", "9999-01-01"]),
        ("clock", ["00:00:00", "09:59:59.999999999", "10:00:00", "10:00:00.09", "10:00:00.1"]),
    ];
    for (name, times) in table {
        let ids = ["s-4", "s-2", "s-0", "s-3", "s-1"];
        let records: Vec<_> =
            ids.iter().zip(times).map(|(id, time)| f.sample(id, name, time.into())).collect();
        f.put_all(&records).await;
        let mut sorted = query("samples", Filter::All);
        sorted.order = vec![by(name, false)];
        assert_eq!(f.find_ids(&sorted).await, ids, "{name} ascending");
        sorted.order = vec![by(name, true)];
        let mut descending = ids;
        descending.reverse();
        assert_eq!(f.find_ids(&sorted).await, descending, "{name} descending");
        let third = times[2];
        selects(&f, "samples", compare(name, Comparison::Equal, third), &["s-0"]).await;
        selects(&f, "samples", compare(name, Comparison::Less, third), &["s-2", "s-4"]).await;
        selects(&f, "samples", compare(name, Comparison::GreaterOrEqual, third), &["s-0", "s-1", "s-3"])
            .await;
        let within = Filter::In(field(name), vec![times[0].into(), times[4].into()]);
        selects(&f, "samples", within, &["s-1", "s-4"]).await;
        f.apply(f.clear("samples", &acme(), 0)).await;
    }
    let records = ["2026-11-21T10:00:00Z", "2026-12-01T10:00:00Z"].map(Value::from);
    let records: Vec<_> =
        ["s-0", "s-1"].iter().zip(records).map(|(id, time)| f.sample(id, "moment", time)).collect();
    f.put_all(&records).await;
    // The same moment, said in another way.
    selects(&f, "samples", compare("moment", Comparison::Equal, "2026-11-21T11:00:00.0+01:00"), &["s-0"])
        .await;
    selects(&f, "samples", Filter::StartsWith(field("moment"), "2026-12".into()), &["s-1"]).await;
}

pub(crate) async fn decimals_are_ordered_by_size(f: Fixture) {
    // In the order of size, which neither their texts have nor the floating point numbers next to them.
    let numbers = [
        "-9999999999999999999999999999",
        "-10",
        "-9",
        "-1.5",
        "-0.0000000000000000000000000001",
        "0",
        "0.0000000000000000000000000001",
        "1",
        "1.05",
        "1.5",
        "9",
        "10",
        "1234567890.000000000000000011",
        "1234567890.000000000000000012",
        "9007199254740992",
        "9007199254740993",
        "9999999999999999999999999998",
        "9999999999999999999999999999",
    ];
    // Ids go against the order of size.
    let id = |at: usize| format!("s-{:02}", 99 - at);
    let records: Vec<_> = numbers
        .iter()
        .enumerate()
        .map(|(at, number)| f.sample(&id(at), "decimal", (*number).into()))
        .collect();
    f.put_all(&records).await;
    let mut ids: Vec<_> = (0..numbers.len()).map(id).collect();
    let mut sorted = query("samples", Filter::All);
    sorted.order = vec![by("decimal", false)];
    assert_eq!(f.find_ids(&sorted).await, ids, "ascending");
    sorted.order = vec![by("decimal", true)];
    ids.reverse();
    assert_eq!(f.find_ids(&sorted).await, ids, "descending");
    ids.reverse();
    for (at, number) in numbers.iter().enumerate() {
        let found = |range: &[String]| {
            let mut found = range.to_vec();
            found.sort();
            found
        };
        for (comparison, expected) in [
            (Comparison::Equal, found(&ids[at..=at])),
            (Comparison::Less, found(&ids[..at])),
            (Comparison::LessOrEqual, found(&ids[..=at])),
            (Comparison::Greater, found(&ids[at + 1..])),
            (Comparison::GreaterOrEqual, found(&ids[at..])),
        ] {
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            selects(&f, "samples", compare("decimal", comparison, *number), &expected).await;
        }
    }
    selects(&f, "samples", compare("decimal", Comparison::Equal, "01.50"), &[&id(9)]).await;
    selects(&f, "samples", compare("decimal", Comparison::Equal, 10_i64), &[&id(11)]).await;
    let within = Filter::In(field("decimal"), vec!["10.0".into(), "1.050".into(), "2".into()]);
    selects(&f, "samples", within.clone(), &[&id(11), &id(8)]).await;
    let others =
        Filter::And(vec![Filter::Not(Box::new(within)), compare("decimal", Comparison::Greater, "1.04")]);
    assert_eq!(f.find_ids(&query("samples", others)).await.len(), numbers.len() - 10);
}

pub(crate) async fn only_live_records_of_the_zone_are_found(f: Fixture) {
    let kept = f.customer("c-1", "Anna Berg");
    let deleted = f.customer("c-2", "Boris Lind");
    let elsewhere = f.in_zone(&f.customer("c-3", "Cara Holm"), &birch());
    f.put_all(&[kept, deleted.clone(), elsewhere, f.order("c-4", "c-1", 1)]).await;
    f.put_all(&[f.tombstone(&deleted)]).await;
    f.edit(&[f.customer("c-5", "Dora Vik")]).await;
    selects(&f, "customers", Filter::All, &["c-1", "c-5"]).await;
    selects(&f, "customers", Filter::Not(Box::new(Filter::Or(vec![]))), &["c-1", "c-5"]).await;
    selects(&f, "customers", Filter::IsNull(field("city")), &["c-1", "c-5"]).await;
}

pub(crate) async fn queries_that_do_not_fit_are_refused(f: Fixture) {
    let bad = [
        query("orders", compare("price", Comparison::Equal, 1_i64)),
        query("orders", compare("quantity", Comparison::Equal, "1")),
        query("orders", compare("quantity", Comparison::Equal, Value::Null)),
        query("orders", Filter::Contains(field("quantity"), "1".into())),
        query("samples", compare("json", Comparison::Less, Value::Json("1".into()))),
        query("samples", compare("moment", Comparison::Less, "2026-12")),
        query("samples", compare("local", Comparison::Equal, "2026-11-21T10:00:00Z")),
        query("samples", compare("day", Comparison::Equal, "2026-02-30")),
        query("samples", compare("decimal", Comparison::Less, "one")),
        query("samples", Filter::StartsWith(field("decimal"), "1".into())),
        Query::all(name("samples"), acme()).with_order(vec![by("bytes", false)]),
        Query::all(name("samples"), acme()).with_order(vec![by("unknown", false)]),
    ];
    for query in bad {
        let error = f.source().find(&query).await.expect_err("the query does not fit");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{query:?}");
        let error = f.source().count(&query).await.expect_err("the query does not fit");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{query:?}");
    }
}
