//! What becomes of objects that are kept because the server has forgotten them.

use super::*;

/// Fails if what a user made of a default object gives way to the bare one without a word, or is sent unasked.
#[tokio::test]
async fn a_default_object_that_was_edited_is_one_like_any_other() {
    let first = server().await;
    let a = client(&first, "ada").await;
    a.tasks.add_if_absent(&task("settings", "default")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.update(&task("settings", "mine")).await.unwrap();
    a.sync.sync().await.unwrap();
    for (edited, sent) in [(false, false), (false, true), (true, true)] {
        let empty = server().await;
        let a = client_on(&empty, "ada", a.source.snapshot()).await;
        let b = client(&empty, "ada").await;
        a.sync.sync().await.unwrap();
        assert_eq!(forgotten(&a).await, ["settings"]);
        if edited {
            a.tasks.update(&task("settings", "mine again")).await.unwrap();
            a.sync.sync().await.unwrap();
            assert_eq!(forgotten(&a).await, ["settings"], "it is not sent unasked");
            assert_eq!(empty.tasks.get_all().await.unwrap(), []);
        }
        b.tasks.add_if_absent(&task("settings", "default")).await.unwrap();
        b.sync.sync().await.unwrap();
        let conflicts = if sent {
            a.sync.send_forgotten(&keys(&a).await).await.unwrap();
            a.sync.push().await.unwrap().conflicts
        } else {
            a.sync.pull().await.unwrap().conflicts
        };
        assert_eq!(conflicts.len(), 1, "the handler decides");
        for side in [&a, &b, &a] {
            side.sync.sync().await.unwrap();
        }
        for side in [&a, &b] {
            assert_in_step(side, &empty).await;
        }
    }
}

/// Fails if what only the server had acknowledged that was there in between is taken for deleted, once the first one is back.
#[tokio::test]
async fn what_was_acknowledged_during_a_failover_is_asked_about() {
    let (source, live) = backed_up().await;
    let a = client(&live, "ada").await;
    a.tasks.add(&task("1", "before")).await.unwrap();
    a.sync.sync().await.unwrap();
    let stale = source.snapshot();
    for name in ["2", "3"] {
        a.tasks.add(&task(name, "not copied")).await.unwrap();
        a.sync.sync().await.unwrap();
    }
    let a = moved(&a, &restored(stale).await).await;
    a.tasks.add(&task("4", "in between")).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_eq!(forgotten(&a).await, ["2", "3"]);
    let a = moved(&a, &live).await;
    a.tasks.add(&task("5", "unsent")).await.unwrap();
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.push.forked, report.pull.reset), (true, Some(ResetReason::History)));
    assert_eq!(forgotten(&a).await, ["4"]);
    a.sync.send_forgotten(&keys(&a).await).await.unwrap();
    a.sync.sync().await.unwrap();
    assert_in_step(&a, &live).await;
    assert_eq!(live.tasks.get_all().await.unwrap().len(), 5);
}

/// Fails if a kept object goes aside as if the server had it, because the table does not let go what it refers to.
#[tokio::test]
async fn a_kept_object_keeps_what_it_refers_to() {
    for limits in [PullLimits::default(), PullLimits::new(1, 1 << 20)] {
        let (source, live) = backed_up().await;
        let a = client_with(&live, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
        let name = |name: &str| TypeName::new(name).unwrap();
        a.source.constrain(source::memory::MemoryConstraint::Parent {
            type_name: name("tasks"),
            field: FieldName::new("list").unwrap(),
            parent: name("lists"),
        });
        a.lists.add(&List { id: "home".into(), title: "t".into() }).await.unwrap();
        a.sync.sync().await.unwrap();
        let backup = source.snapshot();
        a.tasks.add(&task("1", "after")).await.unwrap();
        a.sync.sync().await.unwrap();
        let server = restored(backup).await;
        Repository::<List>::new(&server.store).remove(&id("home")).await.unwrap();
        let a_source = a.source.clone();
        let a = client_with(&server, "ada", a_source, LastWriterWins, limits).await;
        for _ in 0..2 {
            a.sync.sync().await.unwrap();
            assert_eq!(forgotten(&a).await, ["1"]);
            let aside = a.sync.set_aside().await.unwrap();
            let aside: Vec<_> = aside.iter().map(|aside| aside.server.key.id.as_str()).collect();
            assert_eq!(aside, ["home"]);
        }
        // Without it, the list goes.
        a.sync.accept_forgotten(&keys(&a).await).await.unwrap();
        a.sync.sync().await.unwrap();
        a.sync.sync().await.unwrap();
        assert_in_step(&a, &server).await;
        assert_eq!(a.lists.get_all().await.unwrap(), []);
    }
}

/// Refuses pulls while its flag is set.
#[derive(Debug)]
struct SignedOut(Link, std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl Transport for SignedOut {
    async fn push(&self, request: &Outgoing) -> Result<protocol::PushReply> {
        self.0.push(request).await
    }
    async fn pull(&self, request: &protocol::PullRequest) -> Result<PullAnswer> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unauthorized, "pull", "sign in"));
        }
        self.0.pull(request).await
    }
}

/// Fails if an object that was deleted is taken for forgotten because the server could not be asked at that moment: it may be
/// asked later, and the answer to the push waits for that.
#[tokio::test]
async fn an_error_says_nothing_of_the_history() {
    let server = server().await;
    let (a, b) = (client(&server, "ada").await, client(&server, "ada").await);
    a.tasks.add(&task("1", "x")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    b.tasks.remove(&id("1")).await.unwrap();
    b.sync.sync().await.unwrap();
    server.store.source().purge_tombstones(&Zone::Global, Position(2)).await.unwrap();
    a.tasks.update(&task("1", "mine")).await.unwrap();
    let link = Arc::new(SignedOut(a.link.clone(), true.into()));
    let manager = a.manager().transport(Arc::clone(&link)).build().unwrap();
    manager.push().await.unwrap_err();
    assert!(manager.status().await.unwrap().push_in_flight);
    assert!(manager.forgotten().await.unwrap().is_empty());
    link.1.store(false, Ordering::SeqCst);
    manager.sync().await.unwrap();
    assert!(manager.forgotten().await.unwrap().is_empty());
    assert_eq!((a.task("1").await, a.pending().await), (None, 0));
}
