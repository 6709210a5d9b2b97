//! Several pushes of a device under way at once.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{
    ClientSide, ServerSide, client, ends, own_zone_policy, server, strict_server, task, zone,
};
use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply, PushRequest};
use fastsync_core::*;
use tokio::task::yield_now;

/// A way to a server, on which requests overtake each other or lose their answers as a test says.
#[derive(Debug)]
struct Road {
    /// The processes of the server; requests go to them in turn.
    processes: Vec<LoopbackTransport>,
    /// How often a request yields before it arrives, by its place; the last goes for all that follow.
    delays: Vec<usize>,
    /// How many answers get lost, from the first on.
    lost: AtomicUsize,
    sent: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    pushes: Mutex<Vec<(PushRequest, PushReply)>>,
}

impl Road {
    fn new(processes: Vec<LoopbackTransport>, delays: Vec<usize>) -> Self {
        let (lost, sent, under_way, most) = Default::default();
        Self { processes, delays, lost, sent, under_way, most, pushes: Mutex::default() }
    }

    fn to(server: &ServerSide) -> LoopbackTransport {
        LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"))
    }
}

#[async_trait]
impl Transport for Road {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let place = self.sent.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..self.delays.get(place).or(self.delays.last()).copied().unwrap_or(0) {
            yield_now().await;
        }
        let reply = self.processes[place % self.processes.len()].push(request).await?;
        self.pushes.lock().unwrap().push((request.request().clone(), reply.clone()));
        for _ in 0..3 {
            yield_now().await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if self.lost.load(Ordering::SeqCst) > 0 {
            self.lost.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Unavailable, "transport", "the connection broke"));
        }
        Ok(reply)
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.processes[0].pull(request).await
    }
}

/// A client with so many sessions of ten tasks to push, and its manager on a road.
async fn traveller(
    server: &ServerSide,
    road: Road,
    sessions: usize,
) -> (ClientSide, SyncManager<Client>, Arc<Road>) {
    let client = client(server, "ada").await;
    for n in 0..sessions {
        let tasks: Vec<_> = (0..10).map(|m| task(&format!("{n}-{m}"), "sweep")).collect();
        client.tasks.add_many(&tasks).await.unwrap();
    }
    let road = Arc::new(road);
    let sync = client.manager().transport(Arc::clone(&road)).build().unwrap();
    (client, sync, road)
}

async fn assert_all_there_once(server: &ServerSide, client: &ClientSide, sessions: usize) {
    assert_eq!(client.pending().await, 0);
    assert_eq!(server.tasks.get_all().await.unwrap().len(), 10 * sessions);
    let stored = server.store.source().sessions_of(&Zone::Global, Position(0), 1_000).await.unwrap();
    assert_eq!(stored.len(), sessions, "each session is stored once");
}

fn replies(road: &Road) -> Vec<PushReply> {
    road.pushes.lock().unwrap().iter().map(|(_, reply)| reply.clone()).collect()
}

fn gaps(road: &Road) -> usize {
    replies(road).iter().filter(|reply| matches!(reply, PushReply::Gap { .. })).count()
}

#[tokio::test]
async fn a_push_leaves_before_the_one_before_is_answered() {
    let server = server().await;
    let road = Road::new(vec![Road::to(&server)], vec![]);
    let (client, sync, road) = traveller(&server, road, 8).await;
    let report = sync.push().await.unwrap();
    assert_eq!((report.sessions, report.applied), (8, 80));
    assert_all_there_once(&server, &client, 8).await;
    assert_eq!(road.most.load(Ordering::SeqCst), 3);
    assert_eq!(gaps(&road), 0);
    let pushes = road.pushes.lock().unwrap();
    let follows: Vec<_> = pushes.iter().map(|(request, _)| request.follows).collect();
    let sessions = pushes.iter().map(|(request, _)| Some(request.session));
    let expected: Vec<_> = [None].into_iter().chain(sessions).take(8).collect();
    assert_eq!(follows, expected);
}

/// Takes its time with the first request.
struct SlowAtFirst(AtomicUsize);

#[async_trait]
impl ZonePolicy for SlowAtFirst {
    async fn zones(&self, context: &SyncContext) -> Result<ZoneAccess> {
        for _ in 0..self.0.swap(0, Ordering::SeqCst) {
            yield_now().await;
        }
        Ok(own_zone_policy(context))
    }
}

#[tokio::test]
async fn a_push_waits_for_the_one_that_it_follows() {
    let base = server().await;
    let manager = SyncManager::server(&base.store)
        .register(Repository::<crate::support::List>::new(&base.store), LastWriterWins)
        .register(base.tasks.clone(), LastWriterWins)
        .register(Repository::<crate::support::Note>::in_zone(&base.store, zone("any")), LastWriterWins)
        .zones(SlowAtFirst(AtomicUsize::new(50)))
        .build()
        .await
        .unwrap();
    let server = ServerSide { manager, ..base };
    let road = Road::new(vec![Road::to(&server)], vec![]);
    let (client, sync, road) = traveller(&server, road, 8).await;
    assert_eq!(sync.push().await.unwrap().sessions, 8);
    assert_all_there_once(&server, &client, 8).await;
    assert_eq!(gaps(&road), 0);
}

/// The first two arrive after the third, which the server refuses as out of turn; it comes again.
#[tokio::test]
async fn a_push_that_overtakes_is_sent_again() {
    let server = server().await;
    let road = Road::new(vec![Road::to(&server)], vec![20, 10, 0, 0]);
    let (client, sync, road) = traveller(&server, road, 8).await;
    let report = sync.push().await.unwrap();
    assert_eq!((report.sessions, report.applied, report.forked), (8, 80, false));
    assert_all_there_once(&server, &client, 8).await;
    assert!(gaps(&road) > 0);
}

/// Each request goes to another process, which does not know what the others work on.
#[tokio::test]
async fn processes_that_do_not_know_of_each_other_serve_one_device() {
    let server = server().await;
    let other = SyncManager::server(&server.store)
        .register(Repository::<crate::support::List>::new(&server.store), LastWriterWins)
        .register(server.tasks.clone(), LastWriterWins)
        .register(Repository::<crate::support::Note>::in_zone(&server.store, zone("any")), LastWriterWins)
        .zones(own_zone_policy)
        .build()
        .await
        .unwrap();
    let other = LoopbackTransport::new(other, SyncContext::new("ada"));
    let road = Road::new(vec![Road::to(&server), other], [10, 0].repeat(50));
    let (client, sync, road) = traveller(&server, road, 30).await;
    let report = sync.push().await.unwrap();
    assert_eq!((report.sessions, report.applied, report.forked), (30, 300, false));
    assert_all_there_once(&server, &client, 30).await;
    // It stops sending in vain.
    assert!((1..=10).contains(&gaps(&road)), "{} gaps", gaps(&road));
}

#[tokio::test]
async fn answers_that_were_lost_are_given_again() {
    for lost in 1..=4 {
        let server = server().await;
        let road = Road::new(vec![Road::to(&server)], vec![]);
        let (client, sync, road) = traveller(&server, road, 8).await;
        road.lost.store(lost, Ordering::SeqCst);
        let mut failures = 0;
        // A push that loses an answer ends; each loses one at least.
        let report = loop {
            match ends(sync.push()).await {
                Ok(report) => break report,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            }
            failures += 1;
            assert!(failures <= lost, "{failures} failures of {lost} lost answers");
        };
        assert!(!report.forked && failures > 0);
        assert_all_there_once(&server, &client, 8).await;
    }
}

/// The server remembers the last push and the three before it, and none before those.
#[tokio::test]
async fn four_pushes_are_answered_again() {
    let server = server().await;
    let road = Road::new(vec![Road::to(&server)], vec![]);
    let (client, sync, road) = traveller(&server, road, 8).await;
    sync.push().await.unwrap();
    let way = Road::to(&server);
    let pushes = road.pushes.lock().unwrap().clone();
    for (request, reply) in pushes {
        let again = way.push(&request.clone().into()).await.unwrap();
        assert_eq!(
            again,
            if request.number > 4 { reply } else { PushReply::ClientForked },
            "{}",
            request.number
        );
    }
    assert_all_there_once(&server, &client, 8).await;
}

/// A push is dropped at any moment, whatever is under way; the next one brings everything to its end.
#[tokio::test]
async fn a_push_can_be_dropped_with_several_under_way() {
    use futures_util::FutureExt as _;
    for polls in 1..60 {
        let server = server().await;
        let road = Road::new(vec![Road::to(&server)], vec![2]);
        let (client, sync, _road) = traveller(&server, road, 8).await;
        let mut pushing = Box::pin(sync.push());
        for _ in 0..polls {
            if pushing.as_mut().now_or_never().is_some() {
                break;
            }
            yield_now().await;
        }
        drop(pushing);
        assert!(!sync.push().await.unwrap().forked);
        assert_all_there_once(&server, &client, 8).await;
    }
}

/// What follows a session that was refused may depend on it: the server does not store it as it was sent, whenever it
/// arrives.
#[tokio::test]
async fn a_push_is_not_stored_after_one_with_exceptions() {
    let mut refused_early = 0;
    for delays in [vec![0], vec![0, 30, 30, 0], vec![10, 0, 0]] {
        let server = strict_server().await;
        let road = Road::new(vec![Road::to(&server)], delays);
        let (client, sync, road) = traveller(&server, road, 0).await;
        client
            .tasks
            .add_many(&(0..10).map(|n| task(&format!("0-{n}"), "bad")).collect::<Vec<_>>())
            .await
            .unwrap();
        for n in 1..4 {
            let tasks: Vec<_> = (0..10).map(|m| task(&format!("{n}-{m}"), "sweep")).collect();
            client.tasks.add_many(&tasks).await.unwrap();
        }
        let report = sync.push().await.unwrap();
        assert_eq!((report.applied, report.rejected, report.forked), (30, 10, false));
        assert_eq!(server.tasks.get_all().await.unwrap().len(), 30);
        let pushes = road.pushes.lock().unwrap();
        let refused = pushes.iter().position(
            |(_, reply)| matches!(reply, PushReply::Processed(receipt) if !receipt.exceptions.is_empty()),
        );
        let refused = pushes[refused.unwrap()].0.session;
        for (request, reply) in pushes.iter().filter(|(request, _)| request.follows == Some(refused)) {
            refused_early += 1;
            assert!(matches!(reply, PushReply::Gap { .. }), "{} is not in turn: {reply:?}", request.number);
        }
    }
    assert!(refused_early > 0, "none was sent before the refusal was known");
}
