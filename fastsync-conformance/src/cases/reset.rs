//! Purging, the horizon, and readers that must start over.

use super::prelude::*;

/// Five sessions: c-1 and c-2 stored, c-1 deleted, c-2 deleted, c-3 stored, c-3 written again. Gives the point
/// after each.
async fn five_sessions(f: &Fixture) -> Vec<Point> {
    let [first, second] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    let commits = [
        vec![put(&first), put(&second)],
        vec![put(&f.tombstone(&first))],
        vec![put(&f.tombstone(&second))],
        vec![put(&f.customer("c-3", "Cara Holm"))],
        vec![put(&f.customer("c-3", "Cara Vik"))],
    ];
    let mut points = vec![Point::START];
    let mut walk = Walk::new(all_changes(&acme()));
    for writes in commits {
        f.apply(f.push(writes)).await;
        walk.rest(f.source()).await;
        points.push(walk.point().clone());
    }
    points
}

async fn reset(f: &Fixture, after: Point) -> Option<ResetReason> {
    let request = ChangesRequest { after: after.into(), ..all_changes(&acme()) };
    match f.source().changes(&request).await.expect("changes succeeds") {
        Changes::ResetRequired(reason) => Some(reason),
        Changes::Page(_) => None,
    }
}

pub(crate) async fn a_point_beyond_the_head_must_reset(f: Fixture) {
    let points = five_sessions(&f).await;
    let beyond = Point { position: Position(6), ..points[5].clone() };
    assert_eq!(reset(&f, beyond).await, Some(ResetReason::History));
    let far = Point { position: Position(u64::MAX), ..points[5].clone() };
    assert_eq!(reset(&f, far).await, Some(ResetReason::History));
    let elsewhere = ChangesRequest { after: points[1].clone().into(), ..all_changes(&birch()) };
    let changes = f.source().changes(&elsewhere).await.expect("changes succeeds");
    assert_eq!(changes, Changes::ResetRequired(ResetReason::History), "an untouched zone has head 0");
}

pub(crate) async fn a_point_of_another_history_must_reset(f: Fixture) {
    let points = five_sessions(&f).await;
    for at in 1..=5 {
        assert_eq!(reset(&f, points[at].clone()).await, None, "position {at}");
        let other = Point { tag: points[at - 1].tag, ..points[at].clone() };
        assert_eq!(reset(&f, other).await, Some(ResetReason::History), "position {at} with another tag");
        let flipped = Point { tag: Tag(points[at].tag.0 ^ 1), ..points[at].clone() };
        assert_eq!(reset(&f, flipped).await, Some(ResetReason::History), "position {at} with a flipped bit");
    }
}

pub(crate) async fn a_point_before_the_horizon_must_reset(f: Fixture) {
    let points = five_sessions(&f).await;
    f.purge(&acme(), 3).await;
    let expected = [None, Some(ResetReason::Horizon), Some(ResetReason::Horizon), None, None, None];
    for (point, expected) in points.into_iter().zip(expected) {
        assert_eq!(reset(&f, point.clone()).await, expected, "position {:?}", point.position);
    }
}

pub(crate) async fn a_point_inside_the_session_at_the_horizon_must_reset(f: Fixture) {
    let customers = ["c-1", "c-2", "c-3"].map(|id| f.customer(id, "Anna Berg"));
    f.put_all(&customers).await;
    f.put_all(&customers.each_ref().map(|customer| f.tombstone(customer))).await;
    let limits = PageLimits { records: 1, bytes: 1 << 20 };
    let mut walk = Walk::new(ChangesRequest { limits, ..all_changes(&acme()) });
    walk.page(f.source()).await;
    assert!(walk.point().within.is_some());
    f.purge(&acme(), 2).await;
    assert_eq!(reset(&f, walk.point().clone()).await, Some(ResetReason::Horizon));
}

pub(crate) async fn the_beginning_is_never_before_the_horizon(f: Fixture) {
    five_sessions(&f).await;
    f.purge(&acme(), 5).await;
    let walked = Walk::new(all_changes(&acme())).rest(f.source()).await;
    let walked: Vec<_> = walked.iter().map(|record| record.key.id.as_str()).collect();
    assert_eq!(walked, ["c-3"]);
}

pub(crate) async fn a_reader_with_own_records_begins_before_the_horizon(f: Fixture) {
    five_sessions(&f).await;
    let skip_own = Some(SkipOwn { device: f.device(), through: 1 });
    let request = ChangesRequest { skip_own, ..all_changes(&acme()) };
    let reason = async || match f.source().changes(&request).await.expect("changes succeeds") {
        Changes::ResetRequired(reason) => Some(reason),
        Changes::Page(_) => None,
    };
    assert_eq!(reason().await, None, "nothing was purged");
    f.purge(&acme(), 1).await;
    assert_eq!(reason().await, Some(ResetReason::Horizon));
}

pub(crate) async fn a_reading_from_the_beginning_goes_on_below_the_horizon(f: Fixture) {
    for n in 1..=6 {
        f.put_all(&[f.customer(&format!("c-{n}"), "Anna Berg")]).await;
    }
    let gone = f.customer("c-9", "Bo Ek");
    f.put_all(std::slice::from_ref(&gone)).await;
    f.put_all(&[f.tombstone(&gone)]).await;
    f.purge(&acme(), 7).await;
    let limits = PageLimits { records: 2, bytes: 1 << 20 };
    let mut walk = Walk::new(ChangesRequest { limits, ..all_changes(&acme()) });
    walk.page(f.source()).await;
    let early = walk.point().clone();
    assert_eq!(
        walk.rest(f.source()).await.len(),
        5,
        "four customers and the tombstone follow the first page"
    );
    f.purge(&acme(), 8).await;
    assert_eq!(reset(&f, early).await, Some(ResetReason::Horizon), "the horizon has moved since");
}

pub(crate) async fn purging_removes_old_tombstones_only(f: Fixture) {
    five_sessions(&f).await;
    let there = f.in_zone(&f.customer("c-1", "Dora Vik"), &birch());
    f.put_all(std::slice::from_ref(&there)).await;
    let there = f.tombstone(&there);
    f.put_all(std::slice::from_ref(&there)).await;
    assert_eq!(f.purge(&acme(), 1).await, 0);
    assert_eq!(f.purge(&acme(), 2).await, 1);
    assert_eq!(f.purge(&acme(), 2).await, 0);
    assert_eq!(f.get(&key(&acme(), "customers", "c-1")).await, None);
    assert!(f.get(&key(&acme(), "customers", "c-2")).await.is_some_and(|record| record.is_deleted()));
    assert_eq!(f.live_ids("customers", &acme()).await, ["c-3"]);
    assert_eq!(f.get(&there.key).await, Some(there), "another zone is left alone");
    let walked = Walk::new(all_changes(&acme())).rest(f.source()).await;
    let walked: Vec<_> = walked.iter().map(|record| record.key.id.as_str()).collect();
    assert_eq!(walked, ["c-2", "c-3"]);
}

pub(crate) async fn a_deletion_that_waits_is_not_purged(f: Fixture) {
    let [waits, done] = [f.customer("c-1", "Anna Berg"), f.customer("c-2", "Boris Lind")];
    f.put_all(&[waits.clone(), done.clone()]).await;
    let (tombstone, local) = (f.tombstone(&waits), f.tombstone(&f.customer("c-3", "Never positioned")));
    let change = f.edit(&[tombstone.clone(), local.clone()]).await;
    f.put_all(&[f.tombstone(&done)]).await;
    assert_eq!(f.purge(&acme(), u64::MAX).await, 1, "only the deletion that is done with");
    assert_eq!(f.get(&done.key).await, None);
    let pending: BTreeSet<_> = f.pending().await.into_iter().map(|record| record.key).collect();
    assert_eq!(pending, [tombstone.key.clone(), local.key.clone()].into());
    for record in [&tombstone, &local] {
        assert!(f.get(&record.key).await.is_some_and(|found| found.is_deleted()), "{:?}", record.key);
    }
    f.apply(f.local(vec![acknowledge(&tombstone, change, f.revision())])).await;
    assert_eq!(f.purge(&acme(), u64::MAX).await, 1, "acknowledged, it is done with");
    assert_eq!(f.get(&tombstone.key).await, None);
}

pub(crate) async fn a_purged_id_is_absent(f: Fixture) {
    five_sessions(&f).await;
    f.purge(&acme(), 5).await;
    let reborn = f.customer("c-1", "Anna Lind");
    f.apply(f.push(vec![put(&reborn).expecting(Expect::Absent)])).await;
    assert_eq!(f.get(&reborn.key).await, Some(reborn));
}

pub(crate) async fn the_horizon_moves_up_to_the_head_only(f: Fixture) {
    let points = five_sessions(&f).await;
    f.purge(&acme(), 3).await;
    f.purge(&acme(), 1).await;
    assert_eq!(reset(&f, points[2].clone()).await, Some(ResetReason::Horizon), "it does not move back");
    f.purge(&acme(), u64::MAX).await;
    assert_eq!(reset(&f, points[5].clone()).await, None, "it does not move beyond the head");
    assert_eq!(reset(&f, points[4].clone()).await, Some(ResetReason::Horizon));
    let mut walk = Walk::new(ChangesRequest { after: points[5].clone().into(), ..all_changes(&acme()) });
    let next = f.customer("c-4", "Elin Moe");
    f.put_all(std::slice::from_ref(&next)).await;
    assert_eq!(walk.rest(f.source()).await, [next]);
    assert_eq!(f.purge(&birch(), 10).await, 0, "an untouched zone has nothing to purge");
}

pub(crate) async fn a_reader_goes_on_by_its_position(f: Fixture) {
    let points = five_sessions(&f).await;
    let rest = |after: After| {
        let f = &f;
        async move { Walk::new(ChangesRequest { after, ..all_changes(&acme()) }).rest(f.source()).await }
    };
    let at = |position| After::Position(Position(position));
    for (position, known) in points.iter().enumerate() {
        assert_eq!(rest(at(position as u64)).await, rest(known.clone().into()).await, "position {position}");
    }
    for (zone, position, is_there) in [
        (acme(), 0, true),
        (birch(), 0, true),
        (acme(), 6, false),
        (acme(), u64::MAX, false),
        (birch(), 1, false),
    ] {
        let request = ChangesRequest { after: at(position), ..all_changes(&zone) };
        let reason = match f.source().changes(&request).await.expect("changes succeeds") {
            Changes::Page(_) => None,
            Changes::ResetRequired(reason) => Some(reason),
        };
        assert_eq!(reason, (!is_there).then_some(ResetReason::History), "{zone} {position}");
    }
    let after = rest(points[3].clone().into()).await;
    f.purge(&acme(), 3).await;
    for position in 1..=3 {
        assert_eq!(rest(at(position)).await, after, "what was purged is passed over");
    }
}
