//! Pulls that are cut off: what arrived is not fetched again, and nothing is skipped, whoever goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::source::ResetReason;
use fastsync_core::source::memory::MemoryConstraint;
use fastsync_core::*;
use futures_util::FutureExt as _;

use crate::support::*;

const ALL: PullLimits = PullLimits::new(3, 1 << 20);

/// A link on which every so manieth pull is cut.
#[derive(Debug)]
struct Cut {
    link: Link,
    every: usize,
    asked: AtomicUsize,
}

#[async_trait]
impl Transport for Cut {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        self.link.push(request).await
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if n.is_multiple_of(self.every) {
            return Err(Error::new(ErrorKind::Unavailable, "transport", "the connection broke"));
        }
        self.link.pull(request).await
    }
}

async fn fill(server: &ServerSide, tasks: std::ops::Range<usize>) {
    for n in tasks {
        server.tasks.add(&task(&format!("{n:03}"), &format!("text {n}"))).await.unwrap();
    }
}

/// A client that reads three records at a time.
async fn slow(server: &ServerSide, source: MemoryDataSource) -> ClientSide {
    client_with(server, "ada", source, LastWriterWins, ALL).await
}

async fn assert_equal(client: &ClientSide, server: &ServerSide) {
    assert_eq!(client.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
    assert_eq!(client.source.staged_batches(), 0);
    assert_eq!(client.source.entry("fastsync/pull").await.unwrap(), None);
}

fn places(client: &ClientSide) -> Vec<Option<String>> {
    let pulls = client.link.pulls.lock().unwrap();
    pulls
        .iter()
        .map(|(request, _)| request.cursor.as_ref().map(|cursor| cursor.as_str().to_owned()))
        .collect()
}

/// Pulls up to this many local commits, and is cut off before the next one: as by a crash.
async fn pull_until(server: &ServerSide, source: &MemoryDataSource, commits: usize) -> bool {
    let hooked = Hooked::on(source.clone());
    let base = client_behind(server, "ada", hooked.clone(), LastWriterWins).await;
    let sync = base.manager().transport(base.link.clone()).pull_limits(ALL).build().unwrap();
    hooked.before(Call::Commit(SessionKind::Apply), commits + 1, std::future::pending());
    sync.pull().now_or_never().is_none()
}

/// Fails if a pull that was cut off begins at zero, or fetches what had arrived.
#[tokio::test]
async fn a_pull_that_was_cut_off_goes_on_where_it_was() {
    for restarts in [false, true] {
        let server = server().await;
        fill(&server, 0..180).await;
        let source = MemoryDataSource::new();
        let mut client = slow(&server, source.clone()).await;
        let cut = Cut { link: client.link.clone(), every: 8, asked: AtomicUsize::new(0) };
        let cut = std::sync::Arc::new(cut);
        let mut failed = 0;
        let report = loop {
            let sync =
                client.manager().transport(std::sync::Arc::clone(&cut)).pull_limits(ALL).build().unwrap();
            match sync.pull().await {
                Ok(report) => break report,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            }
            assert_eq!(client.tasks.get_all().await.unwrap(), [], "nothing is visible before the end");
            failed += 1;
            assert!(failed < 10);
            if restarts {
                client = ClientSide { link: client.link.clone(), ..slow(&server, source.clone()).await };
            }
        };
        assert_eq!((failed, report.received), (8, 180));
        let places = places(&client);
        let distinct: BTreeSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "no page came twice");
        assert_equal(&client, &server).await;
    }
}

/// Fails if a page that is fetched again, and ends elsewhere, is taken for the one that was staged before a crash.
#[tokio::test]
async fn a_crash_at_any_commit_of_a_pull_skips_nothing() {
    for delta in [false, true] {
        for commits in 0..8 {
            let server = server().await;
            fill(&server, 0..20).await;
            let source = MemoryDataSource::new();
            let client = slow(&server, source.clone()).await;
            if delta {
                client.sync.pull().await.unwrap();
                for n in (0..20).rev() {
                    server.tasks.update(&task(&format!("{n:03}"), "again")).await.unwrap();
                }
            }
            assert!(pull_until(&server, &source, commits).await, "{commits}");
            // The next pages end elsewhere, and what was staged is no longer what there is.
            for n in [1, 4, 5, 9] {
                server.tasks.remove(&id(&format!("{n:03}"))).await.unwrap();
            }
            for n in [0, 2, 7, 19] {
                server.tasks.update(&task(&format!("{n:03}"), "changed")).await.unwrap();
            }
            // Twice at the same place.
            assert!(pull_until(&server, &source, 1).await, "{commits}");
            server.tasks.update(&task("018", "changed")).await.unwrap();
            client.sync.pull().await.unwrap();
            assert_equal(&client, &server).await;
            client.sync.pull().await.unwrap();
            assert_equal(&client, &server).await;
        }
    }
}

/// Fails if an edit that was pushed between the parts of a pull is taken back by what had arrived before.
#[tokio::test]
async fn an_edit_between_the_parts_of_a_pull_stays() {
    for commits in 2..6 {
        let server = server().await;
        fill(&server, 0..15).await;
        let source = MemoryDataSource::new();
        let client = slow(&server, source.clone()).await;
        client.sync.pull().await.unwrap();
        for n in 0..15 {
            server.tasks.update(&task(&format!("{n:03}"), "again")).await.unwrap();
        }
        assert!(pull_until(&server, &source, commits).await, "{commits}");
        client.tasks.update(&task("000", "mine")).await.unwrap();
        client.tasks.update(&task("014", "mine")).await.unwrap();
        client.tasks.add(&task("100", "mine")).await.unwrap();
        client.sync.push().await.unwrap();
        client.tasks.update(&task("001", "waits")).await.unwrap();
        client.sync.pull().await.unwrap();
        client.sync.sync().await.unwrap();
        assert_equal(&client, &server).await;
        for name in ["000", "014", "100"] {
            assert_eq!(client.task(name).await.unwrap().text, "mine");
        }
        assert_eq!(client.task("001").await.unwrap().text, "waits");
    }
}

/// Fails if a place that the server does not know any more ends all pulls.
#[tokio::test]
async fn a_place_that_is_too_old_is_given_up() {
    let first = server().await;
    fill(&first, 0..15).await;
    let source = MemoryDataSource::new();
    let client = slow(&first, source.clone()).await;
    assert!(pull_until(&first, &source, 3).await);
    // Another server at the same address.
    let second = server().await;
    fill(&second, 7..12).await;
    let client = slow(&second, client.source).await;
    client.sync.pull().await.unwrap();
    assert_equal(&client, &second).await;

    // Tombstones that the walk has not seen are gone.
    for n in 7..12 {
        second.tasks.update(&task(&format!("{n:03}"), "again")).await.unwrap();
    }
    fill(&second, 20..40).await;
    assert!(pull_until(&second, &source, 3).await);
    second.tasks.remove(&id("008")).await.unwrap();
    let head = second.sessions(&Zone::Global).await.len() as u64;
    second.store.source().purge_tombstones(&Zone::Global, Position(head)).await.unwrap();
    client.sync.pull().await.unwrap();
    assert_equal(&client, &second).await;
}

/// Fails if a reset that is cut off begins at zero each time: the server requires it anew of the stored cursor.
#[tokio::test]
async fn a_required_reset_goes_on_where_it_was() {
    let server = server().await;
    fill(&server, 0..3).await;
    let source = MemoryDataSource::new();
    let client = slow(&server, source.clone()).await;
    client.sync.pull().await.unwrap();
    server.tasks.remove(&id("001")).await.unwrap();
    fill(&server, 10..25).await;
    let head = server.sessions(&Zone::Global).await.len() as u64;
    server.store.source().purge_tombstones(&Zone::Global, Position(head)).await.unwrap();
    for commits in [4, 3] {
        assert!(pull_until(&server, &source, commits).await);
        assert!(source.staged_batches() > 0);
    }
    client.link.pulls.lock().unwrap().clear();
    let report = client.sync.pull().await.unwrap();
    assert_eq!(report.reset, Some(ResetReason::Horizon));
    assert!(places(&client).iter().all(Option::is_some), "not from the beginning");
    assert_equal(&client, &server).await;
}

/// Fails if one process takes the batches of another one for its own, or drops them from under it.
#[tokio::test]
async fn two_processes_pull_at_the_same_time() {
    for commits in 1..9 {
        let server = server().await;
        fill(&server, 0..15).await;
        let source = Hooked::default();
        let base = client_behind(&server, "ada", source.clone(), LastWriterWins).await;
        let first = base.manager().transport(base.link.clone()).pull_limits(ALL).build().unwrap();
        let second = slow(&server, source.inner.clone()).await;
        let (other, stored) = (second.clone(), server.tasks.clone());
        source.before(Call::Commit(SessionKind::Apply), commits, async move {
            stored.update(&task("003", "changed")).await.unwrap();
            other.sync.pull().await.unwrap();
        });
        ends(first.pull()).await.unwrap();
        assert_equal(&second, &server).await;

        // And where the second one is cut off in the middle.
        fill(&server, 20..35).await;
        let (memory, again) = (source.inner.clone(), slow(&server, source.inner.clone()).await);
        let cut = Cut { link: again.link.clone(), every: 3, asked: AtomicUsize::new(0) };
        let sync = again.manager().transport(cut).pull_limits(ALL).build().unwrap();
        source.before(Call::Commit(SessionKind::Apply), commits, async move {
            // Late enough, it comes to its end.
            drop(sync.pull().await);
        });
        ends(first.pull()).await.unwrap();
        let client = slow(&server, memory).await;
        client.sync.pull().await.unwrap();
        assert_equal(&client, &server).await;
    }
}

/// Fails if a walk forgets, where it is cut off, what cannot be stored.
#[tokio::test]
async fn what_is_aside_is_known_after_a_break() {
    let server = server().await;
    let source = MemoryDataSource::new();
    let client = slow(&server, source.clone()).await;
    source.constrain(MemoryConstraint::Unique {
        type_name: TypeName::new("tasks").unwrap(),
        field: FieldName::new("text").unwrap(),
    });
    client.tasks.add(&task("mine", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.add(&task("000", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!(client.sync.status().await.unwrap().aside, 1);
    // A newer version comes in the first part.
    server.tasks.update(&task("000", "free")).await.unwrap();
    fill(&server, 1..15).await;
    assert!(pull_until(&server, &source, 3).await);
    let report = client.sync.pull().await.unwrap();
    assert_eq!((report.received, report.set_aside, report.from_aside), (15, 0, 0));
    assert_equal(&client, &server).await;
    assert!(client.sync.status().await.unwrap().in_step);
}
