//! What other processes, a lost connection and a caller that is gone do to a commit: each is forced, none
//! left to chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::Client;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};
use fastsync_dao_mongo::mongodb::options::{ClientOptions, ServerAddress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A commit of what is staged under its session.
fn staged() -> Commit {
    Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit(Vec::new()) }
}

/// "What keeps the commits of different processes apart is the zone's document, which a transaction writes
/// first." Fails if a transaction only looks at it: one that takes no position would not meet the other.
#[tokio::test]
async fn a_zone_in_the_hands_of_another_process_is_waited_for() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let mut other = scratch.held("global").await;
    let session = Commit { positioned: false, ..commit(vec![put(item("b", "two"))]) };
    let committing = tokio::spawn({
        let source = source.clone();
        async move { source.commit_alone(session).await }
    });
    sent.until_kept_out().await;
    other.abort_transaction().await.unwrap();
    assert!(matches!(soon(committing).await.unwrap().unwrap(), CommitOutcome::Applied(_)));
}

/// A commit has read what is staged and waits for its zone; a further batch is staged. Fails if the commit
/// does not look again before it drops the batches, or leaves them behind.
#[tokio::test]
async fn a_batch_that_is_staged_during_its_commit_is_not_lost() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let session = staged();
    source.stage(session.session, 1, vec![put(item("b", "two"))]).await.unwrap();
    let mut other = scratch.held("global").await;
    let committing = tokio::spawn({
        let (source, session) = (source.clone(), session.clone());
        async move { source.commit_alone(session).await }
    });
    sent.until_kept_out().await;
    source.stage(session.session, 2, vec![put(item("c", "three"))]).await.unwrap();
    other.abort_transaction().await.unwrap();
    assert!(matches!(soon(committing).await.unwrap().unwrap(), CommitOutcome::Applied(_)));
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), ["a", "b", "c"]);
    let left = source.database().collection::<Document>("fastsync_staged");
    assert_eq!(left.count_documents(doc! {}).await.unwrap(), 0);
}

/// A server fails in the middle of a batch. Fails if the part before stays.
#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    // Parts hold about 8 megabytes each.
    let large = |letter: &str| -> Vec<_> {
        (0..12).map(|n| put(item(&format!("i{n:02}"), &letter.repeat(900_000)))).collect()
    };
    let rule = |validator: Document| doc! { "collMod": "fastsync_staged", "validator": validator };
    source.database().run_command(rule(doc! { "_id.part": { "$ne": 1 } })).await.unwrap();
    let session = staged();
    source.stage(session.session, 1, large("a")).await.unwrap_err();
    source.database().run_command(rule(doc! {})).await.unwrap();
    source.stage(session.session, 1, large("b")).await.unwrap();
    assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Applied(_)));
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    let is_b =
        |record: &Record| matches!(&record.body.as_ref().unwrap()[0], Value::Text(t) if t.starts_with('b'));
    assert_eq!((found.len(), found.iter().all(is_b)), (12, true));
}

/// "A call that was started runs to its end, also if its future is dropped." Fails if it runs within its
/// caller's future.
#[tokio::test]
async fn a_commit_goes_on_when_its_caller_is_gone() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let mut other = scratch.held("global").await;
    let session = commit(vec![put(item("a", "two"))]);
    let id = session.session;
    tokio::select! {
        outcome = source.commit_alone(session) => panic!("{outcome:?}"),
        () = sent.until_kept_out() => {}
    }
    other.abort_transaction().await.unwrap();
    let there = async { while source.session(id).await.unwrap().is_none() {} };
    soon(there).await;
}

/// Commits to several zones take their turns in one order. Fails if some take them in another: two wait for
/// each other.
#[tokio::test]
async fn commits_to_the_same_zones_do_not_wait_for_each_other_in_a_ring() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.open().await;
    source.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zones = ["one", "two"].map(|zone| Zone::restricted(zone).unwrap());
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (source, zones) = (source.clone(), zones.clone());
            tokio::spawn(async move {
                for round in 0..8 {
                    let note = |zone: &Zone| {
                        let key = format!("{task}-{round}");
                        put(record("notes", zone, &key, Some(vec!["x".into()])))
                    };
                    let mut session = commit(zones.iter().map(note).collect());
                    session.author.number = task;
                    let outcome = source.commit_alone(session).await.unwrap();
                    assert!(matches!(outcome, CommitOutcome::Applied(_)));
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(page(&source, &request(&zones[0])).await.head.position, Position(32));
}

/// One object of a group has become too large by fields of the user's. Fails if those that share its
/// transaction are refused with it.
#[tokio::test]
async fn a_commit_that_is_too_large_does_not_touch_those_beside_it() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(item("large", "x"))]).await;
    let own = source.database().collection::<Document>("items");
    let field = doc! { "$set": { "picture": "x".repeat((16 << 20) - 500_000) } };
    own.update_one(doc! { "id": "large" }, field).await.unwrap();
    // The first commit waits for the zone, the others for the first, so that they share the next transaction.
    let mut other = scratch.held("global").await;
    let spawn = |write: Write| {
        let source = source.clone();
        tokio::spawn(async move { source.commit_alone(commit(vec![write])).await })
    };
    let first = spawn(put(item("a", "one")));
    sent.until_kept_out().await;
    let large = spawn(put(item("large", &"x".repeat(900_000))));
    let beside = ["b", "c"].map(|key| spawn(put(item(key, "two"))));
    // They run on this thread, so they have come as far as they can.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    other.abort_transaction().await.unwrap();
    assert!(matches!(soon(first).await.unwrap().unwrap(), CommitOutcome::Applied(_)));
    let error = soon(large).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    for beside in beside {
        assert!(matches!(soon(beside).await.unwrap().unwrap(), CommitOutcome::Applied(_)));
    }
}

/// Stands between a client and the server, and cuts the connection on which a commit is sent, so often: the
/// server has it, and its answer is lost.
async fn cutting(server: ServerAddress, cuts: Arc<AtomicUsize>) -> ServerAddress {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ServerAddress::Tcp { host, port: server } = server else { panic!("{server}") };
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (address, cuts) = ((host.clone(), server.unwrap_or(27_017)), Arc::clone(&cuts));
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(address).await else { return };
                let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
                let mut cuts_now = false;
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => {
                            let Ok(length @ 1..) = read else { return };
                            let sent = &up[..length];
                            cuts_now |= sent.windows(17).any(|part| part == b"commitTransaction")
                                && cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                            if server.write_all(sent).await.is_err() { return }
                        }
                        read = server.read(&mut down) => {
                            let Ok(length @ 1..) = read else { return };
                            if cuts_now || client.write_all(&down[..length]).await.is_err() { return }
                        }
                    }
                }
            });
        }
    });
    ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) }
}

/// Fails if a commit whose answer is lost is not asked for again, or is done twice.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_asked_for_again() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    let mut options = ClientOptions::parse(url().unwrap()).await.unwrap();
    let cuts = Arc::new(AtomicUsize::new(0));
    let through = cutting(options.hosts[0].clone(), Arc::clone(&cuts)).await;
    (options.hosts, options.repl_set_name, options.direct_connection) = (vec![through], None, Some(true));
    let client = Client::with_options(options).unwrap();
    let cut = MongoDataSource::open(&client.database(source.database().name())).await.unwrap();
    apply(&cut, vec![put(item("a", "one"))]).await;
    // The driver itself asks once more.
    cuts.store(5, Ordering::SeqCst);
    let receipt = soon(apply(&cut, vec![put(item("a", "two"))])).await;
    assert_eq!(cuts.load(Ordering::SeqCst), 0);
    assert_eq!(receipt.positions, [(Zone::Global, Position(2))]);
    assert_eq!(page(&source, &request(&Zone::Global)).await.head.position, Position(2));
}
