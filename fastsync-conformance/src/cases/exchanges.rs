//! Rows of one commit that exchange the values of unique columns, where the backend has such columns (see
//! [`Harness::constrain`](crate::Harness::constrain)).

use std::sync::atomic::{AtomicBool, Ordering};

use super::prelude::*;
use crate::harness::Constraint;

/// Text and whole numbers that are never null, and UUIDs that may be.
const UNIQUE: [(&str, &str); 3] = [("customers", "name"), ("orders", "quantity"), ("samples", "uuid")];

/// Whether these fields are unique now.
async fn made_unique(f: &Fixture, fields: &[(&str, &str)]) -> bool {
    for (type_name, field) in fields {
        let field = FieldName::new(*field).expect("a field name");
        let unique = Constraint::Unique { type_name: name(type_name), field };
        if !f.harness().constrain(&unique).await {
            f.skip("no constraint can be added here");
            return false;
        }
    }
    true
}

/// The row of a type whose unique field has this value.
fn row(f: &Fixture, type_name: &str, id: usize, value: u8) -> Record {
    let id = format!("r-{id}");
    match type_name {
        "customers" => f.customer(&id, &format!("name {value}")),
        "orders" => f.order(&id, "c-1", value.into()),
        _ => f.sample(&id, "uuid", format!("018f3a52-7f00-7000-8000-0000000000{value:02x}").into()),
    }
}

fn rows(f: &Fixture, type_name: &str, values: &[u8]) -> Vec<Record> {
    values.iter().enumerate().map(|(id, value)| row(f, type_name, id, *value)).collect()
}

/// Asserts that a type has these records and no other.
async fn holds(f: &Fixture, type_name: &str, expected: &[Record]) {
    let found = f.source().find(&Query::all(name(type_name), acme())).await.expect("find succeeds").records;
    assert!(found == expected, "{type_name} are {expected:?}, not {found:?}");
}

pub(crate) async fn rows_may_exchange_unique_values(f: Fixture) {
    if !made_unique(&f, &UNIQUE).await {
        return;
    }
    for (type_name, _) in UNIQUE {
        f.put_all(&rows(&f, type_name, &[1, 2, 3, 4])).await;
        // Two of them; three in a circle; each passes its value on, in an order and against it.
        for values in [[2, 1, 3, 4], [1, 3, 2, 4], [3, 2, 4, 5], [1, 3, 2, 4]] {
            let next = rows(&f, type_name, &values);
            f.put_all(&next).await;
            holds(&f, type_name, &next).await;
        }
        // Wherever they are staged.
        for values in [[4, 2, 3, 1], [2, 3, 4, 1], [3, 4, 1, 5], [2, 3, 4, 1]] {
            let next = rows(&f, type_name, &values);
            let staged =
                Commit { writes: Writes::Staged { overrides: vec![put(&next[2])] }, ..f.push(vec![]) };
            for (sequence, record) in (0..).zip([&next[3], &next[0], &next[1]]) {
                f.stage(staged.session, sequence, vec![put(record)]).await;
            }
            f.apply(staged).await;
            holds(&f, type_name, &next).await;
        }
        // A row that is deleted gives its value free.
        let next = [row(&f, type_name, 0, 1), row(&f, type_name, 1, 2), row(&f, type_name, 2, 9)];
        let deleted = f.tombstone(&row(&f, type_name, 3, 1));
        f.put_all(&[&next[..], &[deleted]].concat()).await;
        holds(&f, type_name, &next).await;
    }
}

pub(crate) async fn a_clash_beside_an_exchange_is_named_alone(f: Fixture) {
    if !made_unique(&f, &UNIQUE).await {
        return;
    }
    for (type_name, _) in UNIQUE {
        let before = rows(&f, type_name, &[1, 2, 3, 4]);
        f.put_all(&before).await;
        // The value of `r-3` is taken, by a row that is not written.
        let (one, two, clash) =
            (row(&f, type_name, 0, 2), row(&f, type_name, 1, 1), row(&f, type_name, 2, 4));
        let writes = || vec![put(&one), put(&two), put(&clash)];
        let staged = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.push(vec![]) };
        f.stage(staged.session, 0, writes()).await;
        for commit in [f.push(writes()), staged] {
            let (conflicts, _) = f.conflicts(commit).await;
            let [Conflict { write, current, reason: ConflictReason::Constraint(_) }] = &*conflicts else {
                panic!("one constraint refuses, not {conflicts:?}");
            };
            assert_eq!(write, &put(&clash));
            assert_eq!(current.as_ref(), Some(&before[2]), "it is as it was");
            holds(&f, type_name, &before).await;
        }
        // What is left out keeps its value, which another one cannot get either.
        let follower = row(&f, type_name, 4, 3);
        let writes = vec![put(&one), put(&two), put(&clash).or_skip(), put(&follower).or_skip()];
        let receipt = f.apply(f.push(writes)).await;
        let skipped: BTreeSet<_> = receipt.skipped.iter().map(|skipped| skipped.write.action.key()).collect();
        assert_eq!(skipped, BTreeSet::from([&clash.key, &follower.key]));
        assert!(
            receipt.skipped.iter().all(|skipped| matches!(skipped.reason, ConflictReason::Constraint(_)))
        );
        holds(&f, type_name, &[one, two, before[2].clone(), before[3].clone()]).await;
    }
}

pub(crate) async fn an_exchange_is_seen_whole_or_not_at_all(f: Fixture) {
    if !made_unique(&f, &UNIQUE[..1]).await {
        return;
    }
    f.put_all(&rows(&f, "customers", &[0, 1])).await;
    let is_done = AtomicBool::new(false);
    let exchanges = async {
        for n in 1..=20 {
            f.put_all(&rows(&f, "customers", &[n % 2, 1 - n % 2])).await;
        }
        is_done.store(true, Ordering::Relaxed);
    };
    let reads = async {
        while !is_done.load(Ordering::Relaxed) {
            let found =
                f.source().find(&Query::all(name("customers"), acme())).await.expect("find succeeds").records;
            let names: Vec<_> = found.iter().filter_map(|record| record.body.as_ref()?.first()).collect();
            let one: [Value; 2] = ["name 0".into(), "name 1".into()];
            let [zero, first] = &one;
            assert!(
                names == [zero, first] || names == [first, zero],
                "half of an exchange is seen: {names:?}"
            );
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::join(exchanges, reads).await;
}
