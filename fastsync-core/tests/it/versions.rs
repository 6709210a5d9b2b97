//! Two protocol versions at once. The second one is made up: a device's pushes are numbered in tens there, both ways.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::*;

use crate::support::*;

type Versions = RangeInclusive<u16>;

/// A server that answers each request in the version that it is in.
#[derive(Clone)]
struct Serving {
    server: SyncManager<Server>,
    versions: Arc<Mutex<Versions>>,
    asked: Arc<Mutex<Vec<u16>>>,
}

impl Serving {
    fn new(server: &ServerSide, versions: Versions) -> Self {
        Self {
            server: server.manager.clone(),
            versions: Arc::new(Mutex::new(versions)),
            asked: Arc::default(),
        }
    }

    fn check(&self, version: u16) -> Result<()> {
        self.asked.lock().unwrap().push(version);
        let versions = self.versions.lock().unwrap().clone();
        if versions.contains(&version) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::UpgradeRequired, "negotiate", "another version is served");
        Err(error.with_protocols(versions))
    }

    /// The versions that were asked for since the last look.
    fn asked(&self) -> Vec<u16> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl SyncHandler for Serving {
    async fn process_push(&self, context: &SyncContext, mut request: PushRequest) -> Result<PushReply> {
        let version = request.metadata.protocol;
        self.check(version)?;
        request.metadata.protocol = 1;
        if version == 2 {
            request.number /= 10;
        }
        Ok(match self.server.process_push(context, request).await? {
            PushReply::Gap { last } if version == 2 => PushReply::Gap { last: last * 10 },
            reply => reply,
        })
    }

    async fn process_pull(&self, context: &SyncContext, mut request: PullRequest) -> Result<PullReply> {
        let version = request.metadata.protocol;
        self.check(version)?;
        request.metadata.protocol = 1;
        if version == 2 {
            request.own_through /= 10;
        }
        self.server.process_pull(context, request).await
    }
}

/// A client's transport that writes each request in the version that it names, and loses answers when it is told to.
#[derive(Debug)]
struct Speaking {
    to: LoopbackTransport,
    losing: Arc<Mutex<bool>>,
}

#[async_trait]
impl Transport for Speaking {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let mut request = request.request().clone();
        let version = request.metadata.protocol;
        if version == 2 {
            request.number *= 10;
        }
        let reply = self.to.push(&request.into()).await?;
        if std::mem::take(&mut *self.losing.lock().unwrap()) {
            return Err(Error::new(ErrorKind::Unavailable, "transport", "the connection broke"));
        }
        Ok(match reply {
            PushReply::Gap { last } if version == 2 => PushReply::Gap { last: last / 10 },
            reply => reply,
        })
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        let mut request = request.clone();
        if request.metadata.protocol == 2 {
            request.own_through *= 10;
        }
        self.to.pull(&request).await
    }
}

/// A manager of this client's store that offers these versions, and the switch that loses its next answer.
fn manager(
    client: &ClientSide,
    serving: &Serving,
    user: &str,
    versions: Versions,
) -> (SyncManager<Client>, Arc<Mutex<bool>>) {
    let losing: Arc<Mutex<bool>> = Arc::default();
    let to = LoopbackTransport::new(serving.clone(), SyncContext::new(user));
    let transport = Speaking { to, losing: Arc::clone(&losing) };
    (client.manager().protocols(versions).transport(transport).build().unwrap(), losing)
}

/// Fails if the client offers anything but its newest first, or goes on with less than the highest common one.
#[tokio::test]
async fn both_go_on_with_the_highest_version_that_they_have_in_common() {
    for (ours, theirs, asked) in [
        (1..=1, 1..=1, vec![1, 1]),
        (1..=1, 1..=2, vec![1, 1]),
        (1..=2, 1..=1, vec![2, 1, 1]),
        (1..=2, 1..=2, vec![2, 2]),
        (2..=2, 1..=2, vec![2, 2]),
    ] {
        let server = server().await;
        let serving = Serving::new(&server, theirs.clone());
        let client = client(&server, "ada").await;
        let (sync, _) = manager(&client, &serving, "ada", ours.clone());
        client.tasks.add(&task("1", "of ada")).await.unwrap();
        assert_eq!(sync.sync().await.unwrap().push.sessions, 1);
        assert_eq!(serving.asked(), asked, "{ours:?} meets {theirs:?}");
        assert_eq!(server.tasks.find_by_id(&id("1")).await.unwrap(), Some(task("1", "of ada")));
    }
}

#[tokio::test]
async fn without_a_version_in_common_nothing_is_changed_and_nothing_lost() {
    for (ours, theirs) in [(1..=1, 2..=3), (2..=2, 1..=1), (1..=2, RangeInclusive::new(2, 1))] {
        let server = server().await;
        let serving = Serving::new(&server, theirs);
        let client = client(&server, "ada").await;
        let (sync, _) = manager(&client, &serving, "ada", ours);
        client.tasks.add(&task("1", "of ada")).await.unwrap();
        for error in [sync.push().await.unwrap_err(), sync.pull().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::UpgradeRequired);
        }
        // A pull asks for the answer to the push first.
        assert_eq!(serving.asked().len(), 3, "asked once each");
        assert_eq!((client.pending().await, server.tasks.get_all().await.unwrap().len()), (1, 0));
    }
}

/// Old and new devices on one server; each sees what the other pushed.
#[tokio::test]
async fn devices_of_both_versions_share_a_server() {
    let server = server().await;
    let serving = Serving::new(&server, 1..=2);
    let (old, new) = (client(&server, "ada").await, client(&server, "ada").await);
    let ((first, _), (second, _)) =
        (manager(&old, &serving, "ada", 1..=1), manager(&new, &serving, "ada", 1..=2));
    for round in 0..3 {
        old.tasks.add(&task(&format!("old-{round}"), "x")).await.unwrap();
        new.tasks.add(&task(&format!("new-{round}"), "x")).await.unwrap();
        for sync in [&first, &second, &first] {
            sync.sync().await.unwrap();
        }
        let (one, two) = (old.tasks.get_all().await.unwrap(), new.tasks.get_all().await.unwrap());
        assert_eq!((one.len(), one), (2 * (round + 1), two));
    }
}

/// Fails if a push whose answer was lost counts as another one after an update of the client, or of the server.
#[tokio::test]
async fn a_retry_in_another_version_is_the_same_push() {
    for (before, after) in [(1..=1, 1..=2), (1..=2, 1..=1)] {
        let server = server().await;
        let serving = Serving::new(&server, 1..=2);
        let client = client(&server, "ada").await;
        let (sync, losing) = manager(&client, &serving, "ada", before);
        client.tasks.add(&task("1", "of ada")).await.unwrap();
        *losing.lock().unwrap() = true;
        assert_eq!(sync.push().await.unwrap_err().kind(), ErrorKind::Unavailable);
        let (sync, _) = manager(&client, &serving, "ada", after);
        let report = sync.push().await.unwrap();
        assert_eq!((report.sessions, report.forked, client.pending().await), (1, false, 0));
    }
}

/// The server is replaced by an older release between two calls, and by a newer one that no longer has the old version.
#[tokio::test]
async fn what_was_agreed_on_is_agreed_on_again() {
    let server = server().await;
    let serving = Serving::new(&server, 1..=2);
    let client = client(&server, "ada").await;
    let (sync, _) = manager(&client, &serving, "ada", 1..=2);
    for (theirs, asked) in [(1..=2, vec![2]), (1..=1, vec![2, 1]), (2..=3, vec![1, 2])] {
        *serving.versions.lock().unwrap() = theirs;
        sync.pull().await.unwrap();
        assert_eq!(serving.asked(), asked);
    }
}

/// Says with each answer that it serves the other version only.
#[derive(Debug)]
struct Fickle(Mutex<u64>);

#[async_trait]
impl Transport for Fickle {
    async fn push(&self, _: &Outgoing) -> Result<PushReply> {
        Err(Error::new(ErrorKind::Unavailable, "push", "it pulls only"))
    }
    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        *self.0.lock().unwrap() += 1;
        let other = 3 - request.metadata.protocol;
        Err(Error::new(ErrorKind::UpgradeRequired, "negotiate", "not this one").with_protocols(other..=other))
    }
}

#[tokio::test]
async fn a_server_that_never_agrees_is_given_up() {
    let server = server().await;
    let client = client(&server, "ada").await;
    let fickle = Arc::new(Fickle(Mutex::new(0)));
    let sync = client.manager().protocols(1..=2).transport(Arc::clone(&fickle)).build().unwrap();
    assert_eq!(ends(sync.pull()).await.unwrap_err().kind(), ErrorKind::UpgradeRequired);
    assert_eq!(*fickle.0.lock().unwrap(), 3);
}
