//! The audit trail.

use super::prelude::*;

pub(crate) async fn a_session_says_who_when_what_and_how_much(f: Fixture) {
    let gone = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&gone)).await;
    let skipped = put(&f.customer("c-1", "Anna Lind")).expecting(Expect::Absent).or_skip();
    let writes = vec![
        put(&f.customer("c-2", "Boris Lind")),
        put(&f.tombstone(&f.customer("c-3", "Cara Holm"))),
        skipped,
        put(&f.order("o-1", "c-2", 1)),
        put(&f.in_zone(&gone, &birch())),
        put(&f.article("a-1", "Lamp", 20.0)),
    ];
    for kind in [SessionKind::Push, SessionKind::Direct] {
        let commit = Commit { kind, ..f.push(writes.clone()) };
        let receipt = f.apply(commit.clone()).await;
        let mut summary = f.source().session(commit.session).await.expect("session succeeds").expect("there");
        assert_eq!(summary.id, commit.session);
        assert_eq!(summary.kind, kind);
        assert_eq!(summary.author, commit.author);
        assert_eq!(summary.committed_at, commit.at);
        assert_eq!(summary.positions, receipt.positions);
        assert_eq!(summary.positions.len(), 3);
        summary.counts.sort();
        assert_eq!(summary.counts, [(name("articles"), 1), (name("customers"), 3), (name("orders"), 1)]);
    }
}

pub(crate) async fn only_written_records_are_counted(f: Fixture) {
    let edited = f.customer("c-1", "Anna Berg");
    f.put_all(&[f.order("o-1", "c-1", 1)]).await;
    let change = f.edit(std::slice::from_ref(&edited)).await;
    let acknowledgement = acknowledge(&edited, change, f.revision());
    let absent = acknowledge(&f.customer("c-9", "Nobody"), change, f.revision());
    let clears = vec![Clear { type_name: name("orders"), zone: acme(), through_change: 0 }];
    let only = Commit { clears: clears.clone(), ..f.push(vec![acknowledgement, absent]) };
    let again = acknowledge(&edited, change, f.revision());
    let beside = Commit { clears, ..f.local(vec![again, put(&f.customer("c-2", "Boris Lind"))]) };
    for (commit, expected) in [(only, vec![]), (beside, vec![(name("customers"), 1)])] {
        f.apply(commit.clone()).await;
        let summary = f.source().session(commit.session).await.expect("session succeeds").expect("there");
        assert_eq!(summary.counts, expected);
    }
}

pub(crate) async fn every_commit_is_a_session(f: Fixture) {
    let edit = Commit { kind: SessionKind::Edit, ..f.local(vec![put_pending(&f.customer("c-1", "Anna"))]) };
    let empty = f.local(vec![]);
    for commit in [edit.clone(), empty.clone()] {
        f.apply(commit.clone()).await;
        let summary =
            f.source().session(commit.session).await.expect("session succeeds").expect("it is there");
        assert_eq!((summary.kind, summary.author), (commit.kind, commit.author));
        assert_eq!(summary.positions, []);
    }
    let unknown = f.push(vec![]).session;
    assert_eq!(f.source().session(unknown).await.expect("session succeeds"), None);
    assert_eq!(f.source().sessions_of(&acme(), Position::START, 10).await.expect("sessions succeeds"), []);
}

pub(crate) async fn a_zones_sessions_come_in_commit_order(f: Fixture) {
    let mut here = Vec::new();
    for n in 0..6 {
        let customer = f.customer("c-1", "Anna Berg");
        let elsewhere = f.in_zone(&customer, &birch());
        f.put_all(&[elsewhere]).await;
        // Session ids that sort against the order of the commits.
        let late = SessionId::new(Timestamp::from_millis(1_763_800_000_000 - n), &Descending(n));
        let commit = Commit { session: late, ..f.push(vec![put(&customer)]) };
        here.push(commit.session);
        f.apply(commit).await;
    }
    let read = |after, limit| {
        let f = &f;
        async move {
            let found =
                f.source().sessions_of(&acme(), Position(after), limit).await.expect("sessions succeeds");
            found.into_iter().map(|summary| summary.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(0, 100).await, here);
    assert_eq!(read(0, 2).await, here[..2]);
    assert_eq!(read(2, 3).await, here[2..5]);
    assert_eq!(read(6, 3).await, []);
    assert_eq!(read(0, 0).await, []);
    assert_eq!(read(u64::MAX, 3).await, []);
}

struct Descending(u64);

impl fastsync_core::Random for Descending {
    fn next_u64(&self) -> u64 {
        u64::MAX - self.0
    }
}

pub(crate) async fn the_trail_outlives_the_records(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    f.put_all(&[f.tombstone(&customer)]).await;
    let before = f.source().sessions_of(&acme(), Position::START, 10).await.expect("sessions succeeds");
    assert_eq!(before.len(), 2);
    f.purge(&acme(), 2).await;
    f.apply(f.clear("customers", &acme(), 0)).await;
    let after = f.source().sessions_of(&acme(), Position::START, 10).await.expect("sessions succeeds");
    assert_eq!(after, before);
}

pub(crate) async fn authors_are_kept_as_they_are(f: Fixture) {
    for user in [None, Some("Åsa O'Neil <asa@acme.example>; 💡".to_owned())] {
        let commit = f.push(vec![put(&f.customer("c-1", "Anna Berg"))]);
        let number = u64::from(u32::MAX) + 7;
        let commit = Commit { author: Author { user, number, ..commit.author.clone() }, ..commit };
        f.apply(commit.clone()).await;
        let summary =
            f.source().session(commit.session).await.expect("session succeeds").expect("it is there");
        assert_eq!(summary.author, commit.author);
    }
}
