//! The order of what is stored as text: ids of each kind, and texts that read as something else.

use super::prelude::*;
use super::query::{by, compare, field, query, selects};

pub(crate) async fn ids_of_every_kind_are_ordered_by_bytes(f: Fixture) {
    let whole = ["-1", "-10", "-9223372036854775808", "0", "10", "100", "9", "9223372036854775807"];
    let uuids = [
        "018f3a52-7f00-7000-8000-0000000000aa",
        "10000000-0000-4000-8000-000000000000",
        "9fffffff-0000-4000-8000-000000000000",
        "a0000000-0000-4000-8000-000000000000",
    ];
    for (type_name, kind, ids) in
        [("tickets", IdKind::Integer, &whole[..]), ("devices", IdKind::Uuid, &uuids[..])]
    {
        let schema = TypeSchema::builder(type_name, "id").id_kind(kind).field("rank", FieldKind::Integer);
        let schema = schema.restricted().build().expect("a schema");
        f.source().prepare(&[schema], Preparation::Apply).await.expect("prepare takes a new type");
        let records: Vec<_> =
            ids.iter().rev().map(|id| f.record(key(&acme(), type_name, id), vec![1_i64.into()])).collect();
        f.put_all(&records).await;
        let descending: Vec<_> = ids.iter().rev().copied().collect();
        for (order, expected) in [
            (vec![], ids),
            (vec![by("id", false)], ids),
            (vec![by("id", true)], &*descending),
            (vec![by("rank", true)], ids),
        ] {
            let mut sorted = query(type_name, Filter::All);
            sorted.order = order;
            assert_eq!(f.find_ids(&sorted).await, expected, "{type_name} by {:?}", sorted.order);
        }
        for (at, id) in ids.iter().enumerate() {
            selects(&f, type_name, compare("id", Comparison::Equal, *id), &[*id]).await;
            selects(&f, type_name, compare("id", Comparison::Less, *id), &ids[..at]).await;
            selects(&f, type_name, compare("id", Comparison::GreaterOrEqual, *id), &ids[at..]).await;
        }
    }
    let one = Filter::In(field("id"), vec!["9".into(), "09".into(), "9.0".into(), "1e1".into()]);
    selects(&f, "tickets", one, &["9"]).await;
}

pub(crate) async fn text_is_never_a_number(f: Fixture) {
    // As variants of an enum are stored, and numbers and dates in a text field: in the order of their bytes.
    let texts = [
        " 9",
        "-1",
        "-9",
        "0",
        "007",
        "12.30",
        "12.5",
        "1e1",
        "2026-01-02",
        "2026-1-1",
        "9",
        "9.0",
        "Done",
        "Open",
        "done",
        "open",
    ];
    let mut sorted = texts;
    sorted.sort_unstable();
    let id =
        |text: &str| format!("c-{:02}", texts.iter().position(|known| *known == text).unwrap_or_default());
    let records: Vec<_> = texts.iter().map(|text| f.customer(&id(text), text)).collect();
    f.put_all(&records).await;
    let mut by_name = query("customers", Filter::All);
    by_name.order = vec![by("name", false)];
    assert_eq!(f.find_ids(&by_name).await, sorted.map(id), "names are in the order of their bytes");
    for (at, text) in sorted.iter().enumerate() {
        let found = |range: &[&str]| {
            let mut found: Vec<_> = range.iter().map(|text| id(text)).collect();
            found.sort();
            found
        };
        for (comparison, expected) in [
            (Comparison::Equal, found(&sorted[at..=at])),
            (Comparison::Less, found(&sorted[..at])),
            (Comparison::Greater, found(&sorted[at + 1..])),
        ] {
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            selects(&f, "customers", compare("name", comparison, *text), &expected).await;
        }
    }
}
