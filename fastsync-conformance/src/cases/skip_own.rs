//! Passing over a reader's own pushes.

use super::prelude::*;

fn by(f: &Fixture, device: DeviceId, number: u64, record: &Record) -> Commit {
    let commit = f.push(vec![put(record)]);
    Commit { author: Author { device, number, ..commit.author.clone() }, ..commit }
}

fn skipping(device: DeviceId, through: u64) -> ChangesRequest {
    ChangesRequest { skip_own: Some(SkipOwn { device, through }), ..all_changes(&acme()) }
}

fn another_device() -> DeviceId {
    struct Fixed;
    impl fastsync_core::Random for Fixed {
        fn next_u64(&self) -> u64 {
            42
        }
    }
    DeviceId::random(&Fixed)
}

pub(crate) async fn own_pushes_up_to_the_number_are_passed_over(f: Fixture) {
    let (own, other) = (f.device(), another_device());
    let records = ["c-1", "c-2", "c-3", "c-4"].map(|id| f.customer(id, "Anna Berg"));
    let [own_1, other_1, own_2, direct] = &records;
    f.apply(by(&f, own, 1, own_1)).await;
    f.apply(by(&f, other, 1, other_1)).await;
    f.apply(by(&f, own, 2, own_2)).await;
    f.apply(Commit { kind: SessionKind::Direct, ..by(&f, own, 0, direct) }).await;
    let table: [(DeviceId, u64, Vec<&Record>); 4] = [
        (own, 0, vec![own_1, other_1, own_2, direct]),
        (own, 1, vec![other_1, own_2, direct]),
        (own, 2, vec![other_1, direct]),
        (other, 9, vec![own_1, own_2, direct]),
    ];
    for (device, through, expected) in table {
        for limit in 1..=5 {
            let limits = PageLimits { records: limit, bytes: 1 << 20 };
            let mut walk = Walk::new(ChangesRequest { limits, ..skipping(device, through) });
            let walked = walk.rest(f.source()).await;
            assert_eq!(walked.iter().collect::<Vec<_>>(), expected, "through {through} in pages of {limit}");
            assert_eq!(walk.point().position, Position(4), "the reader stands at the head");
        }
    }
}

pub(crate) async fn own_records_that_others_rewrote_are_delivered(f: Fixture) {
    let (own, other) = (f.device(), another_device());
    f.apply(by(&f, own, 1, &f.customer("c-1", "Anna Berg"))).await;
    let theirs = f.customer("c-1", "Anna Lind");
    f.apply(by(&f, other, 1, &theirs)).await;
    assert_eq!(Walk::new(skipping(own, 1)).rest(f.source()).await, [theirs]);
    f.apply(by(&f, own, 2, &f.customer("c-1", "Anna Holm"))).await;
    assert_eq!(Walk::new(skipping(own, 2)).rest(f.source()).await, []);
}

pub(crate) async fn only_own_records_left_is_caught_up(f: Fixture) {
    let (own, other) = (f.device(), another_device());
    f.apply(by(&f, other, 1, &f.customer("c-1", "Anna Berg"))).await;
    for number in 1..=5 {
        f.apply(by(&f, own, number, &f.customer(&format!("c-1{number}"), "Boris Lind"))).await;
    }
    let limits = PageLimits { records: 1, bytes: 1 << 20 };
    let request = ChangesRequest { limits, count_remaining: true, ..skipping(own, 5) };
    let page = Walk::new(request).page(f.source()).await;
    assert!(page.caught_up && page.records.len() == 1);
    assert_eq!(page.next.position, Position(6));
}
