//! A push that is refused whole is cut smaller, down to the local commit that is refused.

use crate::support::by_hand::*;
use crate::support::gate::{Gate, refusal};
use crate::support::*;
use fastsync_core::protocol::PushRequest;
use fastsync_core::*;

/// A limit of something before the server, in records.
fn at_most(records: usize) -> impl FnMut(&PushRequest) -> Option<Error> + Send {
    move |request| (request.payload.len() > records).then(|| refusal(ErrorKind::TooLarge))
}

fn holds(request: &PushRequest, name: &str) -> bool {
    ids(&request.payload).contains(&name)
}

async fn add_each(client: &ClientSide, names: impl Iterator<Item = usize>) {
    for n in names {
        client.tasks.add(&task(&format!("{n:02}"), "sweep")).await.unwrap();
    }
}

/// Fails if a push that a proxy finds too large is sent for ever, or if the size that fits is not remembered.
#[tokio::test]
async fn what_is_too_large_on_the_way_arrives_in_smaller_sessions() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let (sync, gate) = Gate::before(&server, &a, "ada");
    gate.refuse(at_most(3));
    add_each(&a, 0..40).await;
    let report = sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected, report.forked), (40, 0, false));
    assert_eq!((a.pending().await, server.tasks.get_all().await.unwrap().len()), (0, 40));
    assert!(gate.passed().iter().all(|size| *size <= 3));
    assert!(gate.refused() < gate.passed().len(), "{} of {}", gate.refused(), gate.passed().len());
    // A limit that is gone is found out.
    gate.open();
    for round in 2..16 {
        add_each(&a, 20 * round..20 * (round + 1)).await;
        sync.push().await.unwrap();
    }
    assert_eq!(gate.passed().iter().max(), Some(&10));
}

/// Fails if a client asks again for what its server has told it.
#[tokio::test]
async fn the_limit_that_a_server_tells_is_kept_to() {
    for limits in [SessionLimits::new(4, 1 << 20), SessionLimits::new(1_000, 400)] {
        let server_limits = ServerLimits::default().with_session(limits);
        let server = serve(MemoryDataSource::new(), LastWriterWins, own_zone_policy, server_limits).await;
        let a = client(&server, "ada").await;
        add_each(&a, 0..40).await;
        assert_eq!(a.sync.push().await.unwrap().applied, 40);
        let pushes = a.link.pushes.lock().unwrap();
        let (withdrawn, sent): (Vec<_>, Vec<_>) = pushes.iter().partition(|r| !r.withdraw.is_empty());
        assert_eq!(withdrawn.len(), 1, "{limits:?}");
        let largest = sent.iter().skip(3).map(|request| request.payload.len()).max();
        assert_eq!(largest, Some(4), "{limits:?}");
    }
}

/// Fails if a local commit is cut, or if one that is refused stops the others or is dropped.
#[tokio::test]
async fn a_local_commit_that_is_too_large_alone_is_listed_whole_and_the_others_go_on() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let (sync, gate) = Gate::before(&server, &a, "ada");
    gate.refuse(at_most(3));
    add_each(&a, 0..5).await;
    let four: Vec<_> = (0..4).map(|n| task(&format!("large {n}"), "sweep")).collect();
    a.tasks.add_many(&four).await.unwrap();
    add_each(&a, 5..10).await;
    let report = sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.rejected), (10, 4));
    let rejected = sync.rejected().await.unwrap();
    assert_eq!(rejected.len(), 4);
    for edit in &rejected {
        assert_eq!(edit.code, "too_large");
        assert!(edit.message.contains("4 records and about"), "{}", edit.message);
    }
    let unseen = a.source.entries("fastsync/unseen/").await.unwrap();
    assert_eq!(unseen[0], ("fastsync/unseen/tasks/global/large 0".to_owned(), vec![1]), "its stored form");
    let refused = gate.refused();
    sync.sync().await.unwrap();
    assert_eq!(gate.refused(), refused, "it is not sent again by itself");
    assert_eq!(a.pending().await, 4);
    gate.open();
    sync.retry_rejected(&rejected).await.unwrap();
    assert_eq!(sync.push().await.unwrap().applied, 4);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 14);
}

/// Fails if one record that is refused with its whole session stops every other one.
#[tokio::test]
async fn an_edit_that_makes_every_push_of_it_invalid_is_found_and_listed() {
    for (kind, code) in [(ErrorKind::InvalidInput, "invalid"), (ErrorKind::UnknownZone, "zone")] {
        let server = server().await;
        let a = client(&server, "ada").await;
        let (sync, gate) = Gate::before(&server, &a, "ada");
        gate.refuse(move |request| holds(request, "13").then(|| refusal(kind)));
        add_each(&a, 0..30).await;
        let report = sync.push().await.unwrap();
        assert_eq!((report.applied, report.rejected), (29, 1), "{kind}");
        let rejected = sync.rejected().await.unwrap();
        assert_eq!((rejected[0].key.id.as_str(), &*rejected[0].code), ("13", code));
        assert_eq!(server.tasks.get_all().await.unwrap().len(), 29);
        sync.discard_rejected(&rejected).await.unwrap();
        assert_eq!((a.pending().await, a.task("13").await), (0, None), "nobody else has it");
    }
}

/// What the server has in place of an edit that was never looked at is not known here. Fails if giving the edit up loses the
/// object.
#[tokio::test]
async fn giving_up_what_was_refused_unseen_brings_the_servers_version_back() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "start"), task("2", "start")]).await.unwrap();
    a.sync.sync().await.unwrap();
    let (sync, gate) = Gate::before(&server, &a, "ada");
    gate.refuse(|request| (!request.payload.is_empty()).then(|| refusal(ErrorKind::InvalidInput)));
    a.tasks.update(&task("1", "mine")).await.unwrap();
    a.tasks.remove(&id("2")).await.unwrap();
    assert_eq!(sync.push().await.unwrap().rejected, 2);
    sync.discard_rejected(&sync.rejected().await.unwrap()).await.unwrap();
    assert_eq!((a.pending().await, sync.rejected().await.unwrap().len()), (0, 0));
    sync.sync().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "start"), task("2", "start")]);
}

/// A store may be opened with smaller limits than what waits in it. Fails if that stops every push.
#[tokio::test]
async fn a_local_commit_over_the_limits_of_its_own_store_is_listed() {
    let server = server().await;
    let source = MemoryDataSource::new();
    let wide = Store::client(source.clone()).register::<List>().register::<Task>().register::<Note>();
    let wide = wide.clock(TestClock::new(1_000_000)).open().await.unwrap();
    let tasks = Repository::<Task>::new(&wide);
    tasks.add(&task("before", "x")).await.unwrap();
    tasks.add_many(&(0..11).map(|n| task(&n.to_string(), "x")).collect::<Vec<_>>()).await.unwrap();
    tasks.add(&task("between", "x")).await.unwrap();
    tasks.add(&task("long", &"x".repeat(10_000))).await.unwrap();
    tasks.add(&task("after", "x")).await.unwrap();
    let a = client_on(&server, "ada", source).await;
    let report = a.sync.push().await.unwrap();
    assert_eq!((report.applied, report.rejected), (3, 12));
    let rejected = a.sync.rejected().await.unwrap();
    assert!(
        rejected.iter().all(|edit| edit.code == "too_large" && edit.message.contains("limit of 10 records"))
    );
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 3);
    assert_eq!(a.sync.push().await.unwrap().sessions, 0, "nothing is sent again");
}

/// Fails if each of many local commits that are refused is searched for from the largest session on.
#[tokio::test]
async fn many_refused_commits_cost_a_few_requests_each() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let (sync, gate) = Gate::before(&server, &a, "ada");
    gate.refuse(|request| request.withdraw.is_empty().then(|| refusal(ErrorKind::InvalidInput)));
    add_each(&a, 0..40).await;
    assert_eq!(sync.push().await.unwrap().rejected, 40);
    let requests = gate.pushes.lock().unwrap().len();
    // Three sessions are under way at a time, and one withdrawal follows.
    assert!(requests <= 5 * 40, "{requests}");
    // What is taken again comes in ever larger sessions.
    gate.open();
    sync.retry_rejected(&sync.rejected().await.unwrap()).await.unwrap();
    assert_eq!(sync.push().await.unwrap().applied, 40);
    assert!(gate.passed().iter().any(|records| *records >= 8), "{:?}", gate.passed());
}
