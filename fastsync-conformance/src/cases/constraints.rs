//! Constraints of the user's own tables, where the backend has them (see
//! [`Harness::constrain`](crate::Harness::constrain)).

use super::prelude::*;
use crate::harness::Constraint;

pub(crate) async fn a_refused_write_is_a_conflict(f: Fixture) {
    let unique = Constraint::Unique {
        type_name: name("customers"),
        field: FieldName::new("name").expect("a field name"),
    };
    if !f.harness().constrain(&unique).await {
        return f.skip("no constraint can be added here");
    }
    let holder = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&holder)).await;
    let clash = put(&f.customer("c-2", "Anna Berg"));
    let fine = f.customer("c-3", "Cara Holm");
    let (conflicts, _) = f.conflicts(f.push(vec![put(&fine), clash.clone()])).await;
    let [Conflict { write, current, reason: ConflictReason::Constraint(text) }] = &*conflicts else {
        panic!("one constraint refuses, not {conflicts:?}");
    };
    assert_eq!((write, current), (&clash, &None));
    assert!(!text.is_empty(), "a text says what is in the way");
    assert_eq!(f.get(&holder.key).await.as_ref(), Some(&holder));
    assert_eq!(f.get(&fine.key).await, None, "nothing is changed");

    let receipt = f.apply(f.push(vec![put(&fine), clash.or_skip()])).await;
    assert!(matches!(&*receipt.skipped, [Conflict { reason: ConflictReason::Constraint(_), .. }]));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-1", "c-3"]);

    f.put_all(&[f.tombstone(&holder)]).await;
    f.put_all(&[f.customer("c-2", "Anna Berg")]).await;
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-2", "c-3"], "a deleted object holds no value");
}

pub(crate) async fn parents_are_written_first_and_deleted_last(f: Fixture) {
    let reference = Constraint::Reference {
        type_name: name("orders"),
        field: FieldName::new("customer").expect("a field name"),
        parent: name("customers"),
    };
    if !f.harness().constrain(&reference).await {
        return f.skip("no constraint can be added here");
    }
    let (customer, order) = (f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 1));
    f.put_all(&[order.clone(), customer.clone()]).await;
    assert_eq!(f.live_ids("orders", &acme()).await, ["o-1"]);

    let staged = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.push(vec![]) };
    f.stage(staged.session, 0, vec![put(&f.order("o-2", "c-2", 1))]).await;
    f.stage(staged.session, 1, vec![put(&f.customer("c-2", "Boris Lind"))]).await;
    f.apply(staged).await;
    assert_eq!(f.live_ids("orders", &acme()).await, ["o-1", "o-2"]);

    f.put_all(&[f.tombstone(&customer), f.tombstone(&order)]).await;
    assert_eq!(f.live_ids("orders", &acme()).await, ["o-2"]);
    let orphan = put(&f.order("o-3", "c-9", 1));
    let (conflicts, _) = f.conflicts(f.push(vec![orphan])).await;
    assert!(matches!(conflicts[0].reason, ConflictReason::Constraint(_)));
}
