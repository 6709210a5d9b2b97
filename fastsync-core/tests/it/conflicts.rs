//! Two edits of one object: who wins, and that both ends learn of it.

use crate::support::*;
use fastsync_core::*;

/// One task on the server and on two clients, edited differently by both, first pushed by `first`.
async fn conflict(handler: impl ConflictsHandler<Task> + Clone) -> (ServerSide, ClientSide, ClientSide) {
    let server = server_with(handler.clone()).await;
    let limits = PullLimits::default();
    let a = client_with(&server, "ada", MemoryDataSource::new(), handler.clone(), limits).await;
    let b = client_with(&server, "bob", MemoryDataSource::new(), handler, limits).await;
    a.tasks.add(&task("1", "start")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    (server, a, b)
}

async fn settle(sides: [&ClientSide; 2]) {
    for _ in 0..2 {
        for side in sides {
            side.sync.sync().await.unwrap();
        }
    }
}

#[tokio::test]
async fn last_writer_wins_takes_the_last_to_arrive() {
    let (server, a, b) = conflict(LastWriterWins).await;
    a.tasks.update(&task("1", "from a")).await.unwrap();
    b.tasks.update(&task("1", "from b")).await.unwrap();
    b.sync.sync().await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::KeptClient, "who overrides another is told");
    settle([&a, &b]).await;
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "from a")]);
    assert_eq!(b.task("1").await, Some(task("1", "from a")));
}

#[tokio::test]
async fn timestamp_ordering_takes_the_later_edit_whatever_the_order_of_arrival() {
    for a_arrives_first in [true, false] {
        let (server, a, b) = conflict(TimestampOrdering).await;
        a.clock.advance(10_000);
        a.tasks.update(&task("1", "edited later")).await.unwrap();
        b.clock.advance(5_000);
        b.tasks.update(&task("1", "edited earlier")).await.unwrap();
        server.clock.advance(20_000);
        let order = if a_arrives_first { [&a, &b] } else { [&b, &a] };
        settle(order).await;
        assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "edited later")]);
        assert_eq!(a.task("1").await, Some(task("1", "edited later")));
        assert_eq!(b.task("1").await, Some(task("1", "edited later")));
        assert_eq!(a.pending().await + b.pending().await, 0);
    }
}

// FastSync's F10: the loser of a conflict never got the winner's version.
#[tokio::test]
async fn the_loser_of_a_conflict_receives_the_winner_with_the_answer() {
    let (_server, a, b) = conflict(ServerWins).await;
    a.tasks.update(&task("1", "from a")).await.unwrap();
    a.sync.push().await.unwrap();
    b.tasks.update(&task("1", "from b")).await.unwrap();
    let report = b.sync.push().await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
    assert_eq!(report.conflicts[0].settlement, Settlement::KeptServer);
    let dropped = report.conflicts[0].dropped.as_ref().unwrap();
    assert!(
        dropped.body.as_ref().unwrap().contains(&Value::Text("from b".into())),
        "what gave way is reported"
    );
    assert_eq!(b.task("1").await, Some(task("1", "from a")), "before any pull");
    assert_eq!(b.pending().await, 0);
}

fn union() -> impl ConflictsHandler<Task> + Clone {
    #[derive(Clone)]
    struct Union;
    #[async_trait::async_trait]
    impl ConflictsHandler<Task> for Union {
        async fn resolve(&self, conflict: ObjectConflict<Task>) -> Result<Resolution<Task>> {
            Ok(match (conflict.server.object, conflict.client.object) {
                (Some(server), Some(client)) => {
                    let words: std::collections::BTreeSet<_> =
                        server.text.split(' ').chain(client.text.split(' ')).collect();
                    let text = words.into_iter().collect::<Vec<_>>().join(" ");
                    Resolution::Merged(Task { text, ..client.clone() })
                }
                (Some(_), None) => Resolution::Server,
                (None, _) => Resolution::Client,
            })
        }
    }
    Union
}

#[tokio::test]
async fn a_rule_merges_both_edits_and_everyone_receives_the_result() {
    let (server, a, b) = conflict(union()).await;
    a.tasks.update(&task("1", "apples")).await.unwrap();
    b.tasks.update(&task("1", "bread")).await.unwrap();
    a.sync.sync().await.unwrap();
    let report = b.sync.push().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::Merged);
    settle([&a, &b]).await;
    for side in [&a, &b] {
        assert_eq!(side.task("1").await, Some(task("1", "apples bread")));
    }
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "apples bread")]);
}

// FastSync's F3, SyncSession's S3: a pull overwrote local edits.
#[tokio::test]
async fn a_pull_merges_into_a_pending_edit_instead_of_overwriting_it() {
    let (server, a, b) = conflict(union()).await;
    a.tasks.update(&task("1", "apples")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.tasks.update(&task("1", "bread")).await.unwrap();
    let report = b.sync.pull().await.unwrap();
    assert_eq!(report.conflicts[0].settlement, Settlement::Merged);
    assert_eq!(b.task("1").await, Some(task("1", "apples bread")));
    assert_eq!(b.pending().await, 1, "the merged edit still has to go up");
    b.sync.push().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "apples bread")]);
}

#[tokio::test]
async fn a_pull_reports_a_local_edit_that_gave_way() {
    let (_server, a, b) = conflict(ServerWins).await;
    a.tasks.update(&task("1", "from a")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.tasks.update(&task("1", "from b")).await.unwrap();
    let report = b.sync.pull().await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
    let dropped = report.conflicts[0].dropped.as_ref().unwrap();
    assert!(dropped.body.as_ref().unwrap().contains(&Value::Text("from b".into())));
    assert_eq!((b.task("1").await, b.pending().await), (Some(task("1", "from a")), 0));
}

// FastSync's F4 and SyncSession's S2: an edit made while its push is in flight was marked clean.
#[tokio::test]
async fn an_edit_made_before_a_merged_answer_arrives_is_merged_again() {
    let (server, a, b) = conflict(union()).await;
    a.tasks.update(&task("1", "apples")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.tasks.update(&task("1", "bread")).await.unwrap();
    b.link.fail_next(Fault::LoseReply);
    b.sync.push().await.unwrap_err();
    b.tasks.update(&task("1", "bread cheese")).await.unwrap();
    settle([&b, &a]).await;
    assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "apples bread cheese")]);
    assert_eq!(a.task("1").await, b.task("1").await);
}

#[tokio::test]
async fn a_stale_edit_never_undoes_a_deletion() {
    for purge in [false, true] {
        let (server, a, b) = conflict(LastWriterWins).await;
        b.tasks.update(&task("1", "stale")).await.unwrap();
        a.tasks.remove(&id("1")).await.unwrap();
        a.sync.sync().await.unwrap();
        if purge {
            let head = Position(2);
            assert_eq!(server.store.source().purge_tombstones(&Zone::Global, head).await.unwrap(), 1);
        }
        let report = b.sync.push().await.unwrap();
        assert_eq!(report.conflicts[0].settlement, Settlement::KeptServer, "purge: {purge}");
        assert_eq!(b.task("1").await, None);
        settle([&a, &b]).await;
        assert!(server.tasks.get_all().await.unwrap().is_empty());
    }
}

// FastSync's F11: a stale delete always won.
#[tokio::test]
async fn a_deletion_wins_or_loses_like_any_edit() {
    for (handler_keeps_server, left) in [(true, 1), (false, 0)] {
        let handler = Choose { server: handler_keeps_server };
        let (server, a, b) = conflict(handler).await;
        a.tasks.update(&task("1", "newer")).await.unwrap();
        a.sync.sync().await.unwrap();
        b.tasks.remove(&id("1")).await.unwrap();
        settle([&b, &a]).await;
        assert_eq!(server.tasks.get_all().await.unwrap().len(), left);
        assert_eq!(b.tasks.get_all().await.unwrap().len(), left);
        assert_eq!(a.tasks.get_all().await.unwrap().len(), left);
    }
}

#[derive(Clone)]
struct Choose {
    server: bool,
}

#[async_trait::async_trait]
impl ConflictsHandler<Task> for Choose {
    async fn resolve(&self, _: ObjectConflict<Task>) -> Result<Resolution<Task>> {
        Ok(if self.server { Resolution::Server } else { Resolution::Client })
    }
}

#[tokio::test]
async fn a_re_created_object_is_a_new_one() {
    let (server, a, b) = conflict(LastWriterWins).await;
    // B edits the first life offline; meanwhile A deletes it and makes the id anew.
    b.tasks.update(&task("1", "edit of the first life")).await.unwrap();
    a.tasks.remove(&id("1")).await.unwrap();
    a.sync.sync().await.unwrap();
    a.tasks.add(&task("1", "second life")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.push().await.unwrap();
    settle([&a, &b]).await;
    for tasks in [&server.tasks, &a.tasks, &b.tasks] {
        assert_eq!(tasks.get_all().await.unwrap(), vec![task("1", "second life")]);
    }
}

#[tokio::test]
async fn two_clients_that_make_the_same_id_conflict_and_converge() {
    let server = server_with(union()).await;
    let limits = PullLimits::default();
    let a = client_with(&server, "ada", MemoryDataSource::new(), union(), limits).await;
    let b = client_with(&server, "bob", MemoryDataSource::new(), union(), limits).await;
    a.tasks.add(&task("1", "apples")).await.unwrap();
    b.tasks.add(&task("1", "bread")).await.unwrap();
    settle([&a, &b]).await;
    a.tasks.update(&task("1", "apples bread cheese")).await.unwrap();
    settle([&a, &b]).await;
    for tasks in [&server.tasks, &a.tasks, &b.tasks] {
        assert_eq!(tasks.get_all().await.unwrap(), vec![task("1", "apples bread cheese")]);
    }
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_refuses_the_edit_and_changes_nothing() {
    let fail = PredefinedRules::<Task>::new(|_| Err(Error::new(ErrorKind::Backend, "rule", "no idea")));
    let panic = PredefinedRules::<Task>::new_async(|_| async { panic!("a fault in the rule") });
    let other_id = PredefinedRules::<Task>::new(|_| Ok(Resolution::Merged(task("other", "x"))));
    for handler in [fail, panic, other_id] {
        let server = server_with(handler).await;
        let a = client(&server, "ada").await;
        let b = client(&server, "bob").await;
        a.tasks.add(&task("1", "start")).await.unwrap();
        a.sync.sync().await.unwrap();
        b.sync.sync().await.unwrap();
        a.tasks.update(&task("1", "from a")).await.unwrap();
        a.sync.sync().await.unwrap();
        b.tasks.update(&task("1", "from b")).await.unwrap();
        let report = b.sync.push().await.unwrap();
        assert_eq!(report.rejected, 1);
        let rejected = b.sync.rejected().await.unwrap();
        assert_eq!(rejected[0].code, "handler_failed");
        assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", "from a")]);
        assert_eq!(b.task("1").await, Some(task("1", "from b")), "the edit is kept");
        b.sync.discard_rejected(&rejected).await.unwrap();
        assert_eq!((b.task("1").await, b.pending().await), (Some(task("1", "from a")), 0));
    }
}

// FastSync's F8: a server two versions ahead was taken for no conflict.
#[tokio::test]
async fn a_conflict_is_found_however_far_the_server_is_ahead() {
    for steps in 1..5 {
        let (server, a, b) = conflict(ServerWins).await;
        for step in 0..steps {
            a.tasks.update(&task("1", &format!("step {step}"))).await.unwrap();
            a.sync.sync().await.unwrap();
        }
        b.tasks.update(&task("1", "stale")).await.unwrap();
        assert_eq!(b.sync.push().await.unwrap().conflicts.len(), 1, "{steps}");
        assert_eq!(server.tasks.get_all().await.unwrap(), vec![task("1", &format!("step {}", steps - 1))]);
    }
}
