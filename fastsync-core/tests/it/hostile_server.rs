//! A broken or hostile server: a typed error, and the local store is as before.

use std::sync::{Arc, Mutex};

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::protocol::*;
use fastsync_core::*;

type Tamper<R> = Box<dyn Fn(R) -> R + Send + Sync>;

/// Changes what the server answers.
struct Tampering {
    inner: LoopbackTransport,
    push: Tamper<PushReply>,
    pull: Tamper<PullReply>,
    pulls: Arc<Mutex<usize>>,
}

impl std::fmt::Debug for Tampering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tampering")
    }
}

#[async_trait]
impl Transport for Tampering {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        self.inner.push(request).await.map(&self.push)
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        *self.pulls.lock().unwrap() += 1;
        Ok((self.pull)(self.inner.pull(request).await?.read().await?).into())
    }
}

async fn tampered(
    server: &ServerSide,
    push: Tamper<PushReply>,
    pull: Tamper<PullReply>,
) -> (ClientSide, Arc<Mutex<usize>>) {
    let base = client(server, "ada").await;
    let inner = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let pulls = Arc::new(Mutex::new(0));
    let sync =
        base.manager().transport(Tampering { inner, push, pull, pulls: pulls.clone() }).build().unwrap();
    (ClientSide { sync, ..base }, pulls)
}

fn page(change: impl Fn(&mut PullPage) + Send + Sync + 'static) -> Tamper<PullReply> {
    Box::new(move |reply| match reply {
        PullReply::Page(mut page) => {
            change(&mut page);
            PullReply::Page(page)
        }
        other => other,
    })
}

fn receipt(change: impl Fn(&mut PushReceipt) + Send + Sync + 'static) -> Tamper<PushReply> {
    Box::new(move |reply| match reply {
        PushReply::Processed(mut receipt) => {
            change(&mut receipt);
            PushReply::Processed(receipt)
        }
        other => other,
    })
}

#[tokio::test]
async fn pages_that_were_not_asked_for_are_refused_whole() {
    let cases: Vec<(&str, ErrorKind, Tamper<PullReply>)> = vec![
        // Of a type that lives in such zones: that the zone was not asked for is all that is wrong.
        ("a zone not asked for", ErrorKind::Protocol, page(|p| p.payload.groups[1].zone = zone("bob"))),
        (
            "a type not asked for",
            ErrorKind::Protocol,
            page(|p| p.payload.groups[0].type_name = TypeName::new("nothing").unwrap()),
        ),
        (
            "a global type in a restricted zone",
            ErrorKind::UnknownZone,
            page(|p| p.payload.groups[0].zone = zone("ada")),
        ),
        (
            "a body of another shape",
            ErrorKind::Protocol,
            page(|p| {
                p.payload.groups[0].rows[0].5.as_mut().unwrap().pop();
            }),
        ),
        ("no revision", ErrorKind::Protocol, page(|p| p.payload.groups[0].rows[0].1 = Revision::NONE)),
        ("no such device", ErrorKind::Protocol, page(|p| p.payload.devices.clear())),
    ];
    for (name, kind, tamper) in cases {
        let server = server().await;
        server.tasks.add_many(&[task("1", "x"), task("2", "y")]).await.unwrap();
        let notes = Repository::<Note>::in_zone(&server.store, zone("ada"));
        notes.add(&Note { id: "n".into(), text: "of ada".into() }).await.unwrap();
        let (a, _) = tampered(&server, Box::new(|reply| reply), tamper).await;
        let error = a.sync.pull().await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(a.tasks.get_all().await.unwrap().is_empty(), "{name}");
        for name in ["ada", "bob"] {
            assert!(Repository::<Note>::in_zone(&a.store, zone(name)).get_all().await.unwrap().is_empty());
        }
        assert!(!a.sync.status().await.unwrap().has_pulled, "{name}: the cursor has not moved");
    }
}

/// Tells where a pull goes on before its page can be read.
#[derive(Debug)]
struct Ahead {
    inner: LoopbackTransport,
    /// What it tells instead of the truth.
    lie: Option<Cursor>,
    asked: tokio::sync::watch::Sender<usize>,
}

#[async_trait]
impl Transport for Ahead {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        self.inner.push(request).await
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.asked.send_modify(|asked| *asked += 1);
        let reply = self.inner.pull(request).await?.read().await?;
        let Some(next) = reply.next().cloned() else { return Ok(reply.into()) };
        let (mut asked, now) = (self.asked.subscribe(), *self.asked.borrow());
        Ok(PullAnswer::ahead(self.lie.clone().unwrap_or(next), async move {
            // Not before the next one is asked for.
            asked.wait_for(|asked| *asked > now).await.unwrap();
            Ok(reply)
        }))
    }
}

async fn ahead(server: &ServerSide, lie: Option<Cursor>) -> ClientSide {
    let base = client(server, "ada").await;
    let inner = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
    let sync = base
        .manager()
        .pull_limits(PullLimits::new(1, 1 << 20))
        .transport(Ahead { inner, lie, asked: tokio::sync::watch::Sender::new(0) })
        .build()
        .unwrap();
    ClientSide { sync, ..base }
}

#[tokio::test]
async fn the_next_page_is_asked_for_before_this_one_is_read() {
    let server = server().await;
    server.tasks.add_many(&[task("1", "x"), task("2", "y"), task("3", "z")]).await.unwrap();
    let a = ahead(&server, None).await;
    assert_eq!(a.sync.pull().await.unwrap().received, 3);
    assert_eq!(a.tasks.get_all().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_page_that_goes_on_elsewhere_than_was_said_is_refused() {
    let server = server().await;
    server.tasks.add_many(&[task("1", "x"), task("2", "y"), task("3", "z")]).await.unwrap();
    let a = ahead(&server, Some(Cursor::from("elsewhere".to_owned()))).await;
    assert_eq!(a.sync.pull().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(a.tasks.get_all().await.unwrap().is_empty());
    assert!(!a.sync.status().await.unwrap().has_pulled, "the cursor has not moved");
}

#[tokio::test]
async fn a_pull_that_never_ends_is_given_up() {
    let server = server().await;
    let (a, pulls) = tampered(&server, Box::new(|reply| reply), page(|p| p.caught_up = false)).await;
    assert_eq!(a.sync.pull().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(*pulls.lock().unwrap() <= 3);
    let reset: Tamper<PullReply> =
        Box::new(|_| PullReply::ResetRequired(ResetRequired::new(source::ResetReason::History)));
    let (b, pulls) = tampered(&server, Box::new(|reply| reply), reset).await;
    assert!(b.sync.pull().await.unwrap_err().is_retryable());
    assert!(*pulls.lock().unwrap() <= 5);
}

#[tokio::test]
async fn receipts_for_something_else_leave_the_edits_pending() {
    let cases: Vec<(&str, Tamper<PushReply>)> = vec![
        ("another session", receipt(|r| r.session = SessionId::from_uuid(uuid::Uuid::from_u128(1)))),
        ("no revision", receipt(|r| r.revision = Revision::NONE)),
        (
            "an object that was not pushed",
            receipt(|r| {
                let tasks = TypeName::new("tasks").unwrap();
                r.exceptions.push(ObjectOutcome::new(Zone::Global, tasks, id("other"), Outcome::Superseded));
            }),
        ),
        ("for ever another number", Box::new(|_| PushReply::Gap { last: 0 })),
        ("for ever a copy", Box::new(|_| PushReply::ClientForked)),
    ];
    for (name, tamper) in cases {
        let server = server().await;
        let (a, _) = tampered(&server, tamper, Box::new(|reply| reply)).await;
        a.tasks.add(&task("1", "x")).await.unwrap();
        assert_eq!(a.sync.push().await.expect_err(name).kind(), ErrorKind::Protocol, "{name}");
        assert_eq!(a.pending().await, 1, "{name}");
        assert_eq!(a.task("1").await, Some(task("1", "x")));
    }
}
