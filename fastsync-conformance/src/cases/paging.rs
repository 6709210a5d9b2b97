//! Cutting a history into pages.

use super::prelude::*;

/// Three sessions of two types, some records of the first rewritten by the second.
pub(super) async fn three_sessions(f: &Fixture) -> Vec<Record> {
    let first: Vec<_> = (0..4)
        .flat_map(|n| [f.customer(&format!("c-{n}"), "Anna Berg"), f.order(&format!("o-{n}"), "c-1", n)])
        .collect();
    f.put_all(&first).await;
    f.put_all(&[f.customer("c-2", "Boris Lind"), f.tombstone(&first[1]), f.customer("c-9", "Cara Holm")])
        .await;
    f.put_all(&[f.order("o-9", "c-9", 9)]).await;
    Walk::new(all_changes(&acme())).rest(f.source()).await
}

fn cut(records: usize, bytes: usize) -> ChangesRequest {
    ChangesRequest { limits: PageLimits { records, bytes }, count_remaining: true, ..all_changes(&acme()) }
}

pub(crate) async fn every_cut_gives_the_same_records(f: Fixture) {
    let whole = three_sessions(&f).await;
    assert_eq!(whole.len(), 10);
    for records in 1..=whole.len() + 1 {
        assert_eq!(Walk::new(cut(records, 1 << 20)).rest(f.source()).await, whole, "pages of {records}");
    }
    for bytes in [1, 80, 150, 300, 700] {
        assert_eq!(Walk::new(cut(100, bytes)).rest(f.source()).await, whole, "pages of {bytes} bytes");
    }
}

pub(crate) async fn every_cut_of_some_types_gives_the_same_records(f: Fixture) {
    let whole = three_sessions(&f).await;
    for type_name in ["customers", "orders"] {
        let expected: Vec<_> =
            whole.iter().filter(|record| record.key.type_name == name(type_name)).cloned().collect();
        for records in 1..=6 {
            let request = ChangesRequest { types: Some(vec![name(type_name)]), ..cut(records, 1 << 20) };
            let walked = Walk::new(request).rest(f.source()).await;
            assert_eq!(walked, expected, "{type_name} in pages of {records}");
        }
    }
}

pub(crate) async fn a_full_last_page_is_caught_up(f: Fixture) {
    let whole = three_sessions(&f).await;
    let mut walk = Walk::new(cut(whole.len() / 2, 1 << 20));
    assert!(!walk.page(f.source()).await.caught_up);
    assert!(walk.page(f.source()).await.caught_up);
    let page = walk.page(f.source()).await;
    assert!(page.caught_up && page.records.is_empty());
}

pub(crate) async fn a_record_larger_than_the_limit_comes_alone(f: Fixture) {
    let large = f.customer("c-2", &"x".repeat(50_000));
    let records = [f.customer("c-1", "Anna Berg"), large.clone(), f.customer("c-3", "Cara Holm")];
    f.put_all(&records).await;
    let mut walk = Walk::new(cut(100, 1_000));
    let mut pages = Vec::new();
    loop {
        let page = walk.page(f.source()).await;
        pages.push(page.records);
        if page.caught_up {
            break;
        }
    }
    assert!(pages.len() >= 2, "50,000 bytes do not go with more under a limit of 1,000");
    assert!(pages.concat() == records);
}

pub(crate) async fn a_record_written_meanwhile_turns_up_again(f: Fixture) {
    let whole = three_sessions(&f).await;
    for read in 1..whole.len() {
        let mut walk = Walk::new(cut(read, 1 << 20));
        let mut seen = walk.page(f.source()).await.records;
        let last = seen[read - 1].key.clone();
        let rewritten = rewritten(&f, last);
        let unseen = Walk::new(ChangesRequest { after: walk.point().clone().into(), ..cut(100, 1 << 20) });
        let expected_before = unseen.clone().rest(f.source()).await;
        f.put_all(std::slice::from_ref(&rewritten)).await;
        seen = walk.rest(f.source()).await;
        let mut expected: Vec<_> =
            expected_before.into_iter().filter(|record| record.key != rewritten.key).collect();
        expected.push(rewritten);
        assert_eq!(seen, expected, "after {read} records");
    }
}

fn rewritten(f: &Fixture, key: RecordKey) -> Record {
    let customer = vec!["Dora Vik".into(), Value::Null];
    let order = vec!["c-1".into(), 1_i64.into(), Value::Null];
    let body = if key.type_name == name("customers") { customer } else { order };
    f.record(key, body)
}

pub(crate) async fn the_rest_is_counted_if_asked_for(f: Fixture) {
    let whole = three_sessions(&f).await;
    let page = Walk::new(cut(3, 1 << 20)).page(f.source()).await;
    let remaining = page.remaining.expect("it was asked for");
    let rest = whole.len() as u64 - 3;
    assert!((rest / 2..=rest * 2).contains(&remaining), "{remaining} is about {rest}");
    let silent = ChangesRequest { count_remaining: false, ..cut(3, 1 << 20) };
    assert_eq!(Walk::new(silent).page(f.source()).await.remaining, None);
}
