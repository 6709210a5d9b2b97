//! A push that fails never keeps a device from what others did.

use crate::support::gate::{Gate, refusal};
use crate::support::*;
use fastsync_core::*;

/// A client with a push in flight that was or was not processed, and whose answer cannot be had.
async fn unanswered(fault: Fault) -> (ServerSide, ClientSide, SyncManager<Client>, std::sync::Arc<Gate>) {
    let server = server().await;
    let a = client(&server, "ada").await;
    server.tasks.add_many(&[task("mine", "start"), task("theirs", "start")]).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("mine", "edited")).await.unwrap();
    a.tasks.add(&task("new", "edited")).await.unwrap();
    a.link.fail_next(fault);
    a.sync.push().await.unwrap_err();
    let (sync, gate) = Gate::before(&server, &a, "ada");
    gate.refuse(|_| Some(refusal(ErrorKind::Backend)));
    (server, a, sync, gate)
}

const FAULTS: [Fault; 2] = [Fault::DropRequest, Fault::LoseReply];

/// Fails if a server that answers every push with an error, or something before it, stops the pull as well.
#[tokio::test]
async fn others_changes_arrive_while_pushes_fail() {
    for fault in FAULTS {
        let (server, a, sync, gate) = unanswered(fault).await;
        server.tasks.update(&task("theirs", "changed")).await.unwrap();
        server.tasks.add(&task("other", "x")).await.unwrap();
        let error = sync.sync().await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Backend, false));
        assert!(error.push().is_err() && error.pull().is_ok(), "{error:?}");
        assert!(error.to_string().starts_with("the push failed, the pull is done: "), "{error}");
        assert_eq!(Error::from(error).kind(), ErrorKind::Backend);
        assert_eq!(a.task("theirs").await, Some(task("theirs", "changed")), "{fault:?}");
        assert_eq!(a.task("other").await, Some(task("other", "x")), "{fault:?}");
        assert_eq!(a.task("mine").await, Some(task("mine", "edited")), "{fault:?}");
        assert_eq!(a.pending().await, 2);

        gate.open();
        let report = sync.sync().await.unwrap();
        assert_eq!((report.push.applied, report.push.conflicts.len()), (2, 0), "{fault:?}");
        assert_eq!(report.pull.conflicts, []);
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap());
        assert_eq!(a.pending().await, 0);
    }
}

/// Fails if a pull decides about an object whose push is not answered, or passes over what it could not decide.
#[tokio::test]
async fn a_change_of_what_is_in_flight_waits_for_the_answer() {
    for fault in FAULTS {
        let (server, a, sync, gate) = unanswered(fault).await;
        server.tasks.update(&task("theirs", "changed")).await.unwrap();
        server.tasks.update(&task("mine", "changed too")).await.unwrap();
        let error = sync.sync().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(error.push().is_err() && error.pull().is_err());
        assert_eq!(a.task("theirs").await, Some(task("theirs", "start")), "{fault:?}: all of it, or nothing");
        assert_eq!(a.task("mine").await, Some(task("mine", "edited")));
        gate.open();
        sync.sync().await.unwrap();
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap(), "{fault:?}");
        assert_eq!(a.task("theirs").await, Some(task("theirs", "changed")));
        // Who came last wins: before the server's own edit if the push had arrived, after it if it had not.
        let mine = if fault == Fault::LoseReply { "changed too" } else { "edited" };
        assert_eq!(a.task("mine").await, Some(task("mine", mine)), "{fault:?}");
        assert_eq!(a.pending().await, 0);
    }
}

/// Fails if edits made on top of what is in flight are lost or conflict with it.
#[tokio::test]
async fn edits_on_top_of_what_is_in_flight_are_kept_while_pulls_go_on() {
    for fault in FAULTS {
        let (server, a, sync, gate) = unanswered(fault).await;
        a.tasks.update(&task("mine", "edited again")).await.unwrap();
        a.tasks.remove(&id("new")).await.unwrap();
        server.tasks.update(&task("theirs", "changed")).await.unwrap();
        assert!(sync.sync().await.unwrap_err().pull().is_ok());
        assert_eq!(a.task("mine").await, Some(task("mine", "edited again")));
        gate.open();
        let report = sync.sync().await.unwrap();
        assert_eq!((report.push.conflicts.len(), report.pull.conflicts.len()), (0, 0), "{fault:?}");
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap(), "{fault:?}");
        assert_eq!(
            server.tasks.get_all().await.unwrap(),
            [task("mine", "edited again"), task("theirs", "changed")]
        );
        assert_eq!(a.pending().await, 0);
    }
}

/// Fails if the pull that goes on loses what has to be fetched anew, or drops what is in flight with it.
#[tokio::test]
async fn everything_can_be_fetched_anew_while_pushes_fail() {
    for fault in FAULTS {
        let (server, a, sync, gate) = unanswered(fault).await;
        server.tasks.remove(&id("theirs")).await.unwrap();
        let head = server.store.source().sessions_of(&Zone::Global, Position::START, 99).await.unwrap().len();
        server.store.source().purge_tombstones(&Zone::Global, Position(head as u64)).await.unwrap();
        let error = sync.sync().await.unwrap_err();
        if let Ok(pull) = error.pull() {
            assert!(pull.reset.is_some());
            assert_eq!(a.task("theirs").await, None, "{fault:?}");
        }
        assert_eq!(a.task("mine").await, Some(task("mine", "edited")));
        assert_eq!(a.pending().await, 2);
        gate.open();
        sync.sync().await.unwrap();
        assert_eq!(a.tasks.get_all().await.unwrap(), server.tasks.get_all().await.unwrap(), "{fault:?}");
        assert_eq!(a.pending().await, 0);
    }
}

/// A way to a server on which every push fails, and every third pull.
#[derive(Debug)]
struct Flaky {
    to: LoopbackTransport,
    pulls: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl Transport for Flaky {
    async fn push(&self, _: &Outgoing) -> Result<protocol::PushReply> {
        Err(refusal(ErrorKind::Timeout))
    }

    async fn pull(&self, request: &protocol::PullRequest) -> Result<PullAnswer> {
        if self.pulls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 == 2 {
            return Err(refusal(ErrorKind::Unavailable));
        }
        self.to.pull(request).await
    }
}

/// Fails if a pull that is cut off begins anew each time because a push is not answered: it never ended.
#[tokio::test]
async fn a_large_pull_ends_though_no_push_is_answered() {
    let server = server().await;
    let tasks: Vec<_> = (0..60).map(|n| task(&format!("{n:02}"), "x")).collect();
    server.tasks.add_many(&tasks).await.unwrap();
    let a = client(&server, "ada").await;
    a.tasks.add(&task("mine", "x")).await.unwrap();
    let to = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let flaky = Flaky { to, pulls: Default::default() };
    let sync = a.manager().transport(flaky).pull_limits(PullLimits::new(5, 1 << 20)).build().unwrap();
    let mut tries = 0;
    while sync.sync().await.unwrap_err().pull().is_err() {
        tries += 1;
        assert!(tries < 20, "it begins at zero again and again");
    }
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 61);
}
