//! An object that is removed and made anew before anything is sent: its device knows what it replaces.

use crate::support::*;
use fastsync_core::*;

/// A handler that must not be asked.
#[derive(Clone)]
struct Never;

#[async_trait::async_trait]
impl ConflictsHandler<Task> for Never {
    async fn resolve(&self, conflict: ObjectConflict<Task>) -> Result<Resolution<Task>> {
        panic!("{conflict:?} is none");
    }
}

async fn pair(handler: impl ConflictsHandler<Task> + Clone) -> (ServerSide, ClientSide, ClientSide) {
    let server = server_with(handler.clone()).await;
    let limits = PullLimits::default();
    let a = client_with(&server, "ada", MemoryDataSource::new(), handler.clone(), limits).await;
    let b = client_with(&server, "bob", MemoryDataSource::new(), handler, limits).await;
    a.tasks.add(&task("1", "first")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    (server, a, b)
}

async fn make_anew(side: &ClientSide, text: &str) {
    assert!(side.tasks.remove(&id("1")).await.unwrap());
    side.tasks.add(&task("1", text)).await.unwrap();
}

/// Fails if a device is in conflict with what it has sent itself: with `ServerWins` the user's new object was gone, and a
/// handler that sums counted twice.
#[tokio::test]
async fn what_a_device_sent_itself_is_no_conflict() {
    let (server, a, b) = pair(Never).await;
    let before = a.record("1").await.unwrap().metadata.incarnation;
    make_anew(&a, "second").await;
    make_anew(&a, "third").await;
    let report = a.sync.sync().await.unwrap();
    assert_eq!((report.push.applied, report.push.conflicts.len()), (1, 0));
    b.sync.sync().await.unwrap();
    for side in [&a, &b] {
        assert_eq!(side.task("1").await, Some(task("1", "third")));
        assert_ne!(side.record("1").await.unwrap().metadata.incarnation, before, "it is another life");
    }
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "third")]);
    // The life goes on as any other, and ends as any other.
    a.tasks.update(&task("1", "fourth")).await.unwrap();
    a.sync.sync().await.unwrap();
    make_anew(&a, "fifth").await;
    assert!(a.tasks.remove(&id("1")).await.unwrap());
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    assert_eq!((a.task("1").await, b.task("1").await), (None, None));
    assert_eq!(server.tasks.get_all().await.unwrap(), []);
}

/// Fails if an edit whose answer had not arrived when the object was made anew is a conflict.
#[tokio::test]
async fn what_was_under_way_is_no_conflict() {
    for removes in [false, true] {
        let (server, a, _) = pair(Never).await;
        a.tasks.update(&task("1", "under way")).await.unwrap();
        a.link.fail_next(Fault::LoseReply);
        a.sync.push().await.unwrap_err();
        make_anew(&a, "anew").await;
        if removes {
            assert!(a.tasks.remove(&id("1")).await.unwrap());
        }
        a.sync.sync().await.unwrap();
        let left = if removes { vec![] } else { vec![task("1", "anew")] };
        assert_eq!(server.tasks.get_all().await.unwrap(), left);
        assert_eq!(a.pending().await, 0);
    }
}

/// Fails if an edit of another device that was pulled before is a conflict.
#[tokio::test]
async fn what_a_device_has_seen_is_no_conflict() {
    let (server, a, b) = pair(Never).await;
    b.tasks.update(&task("1", "from b")).await.unwrap();
    b.sync.sync().await.unwrap();
    a.sync.sync().await.unwrap();
    make_anew(&a, "anew").await;
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "anew")]);
}

/// Fails if an edit that the device has not seen is overwritten without a word.
#[tokio::test]
async fn what_a_device_has_not_seen_is_a_conflict() {
    let (server, a, b) = pair(ServerWins).await;
    make_anew(&a, "anew").await;
    b.tasks.update(&task("1", "from b")).await.unwrap();
    b.sync.sync().await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
    assert_eq!(a.task("1").await, Some(task("1", "from b")));
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "from b")]);
}

/// Fails if a deletion ends a life that it does not know of, or the new object brings edits of the old life back.
#[tokio::test]
async fn a_deletion_meanwhile_ends_the_old_life_only() {
    for is_purged in [false, true] {
        let (server, a, b) = pair(Never).await;
        make_anew(&a, "anew").await;
        assert!(b.tasks.remove(&id("1")).await.unwrap());
        b.sync.sync().await.unwrap();
        if is_purged {
            assert_eq!(server.store.source().purge_tombstones(&Zone::Global, Position(2)).await.unwrap(), 1);
        }
        a.sync.push().await.unwrap();
        assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "anew")], "purged: {is_purged}");
    }
}

/// Fails if an object that a device has forgotten, and adds again, overwrites what it had sent itself without a conflict.
#[tokio::test]
async fn what_a_device_has_forgotten_it_does_not_replace_unseen() {
    let (server, a, _) = pair(ServerWins).await;
    a.tasks.hard_delete().await.unwrap();
    a.tasks.add(&task("1", "anew")).await.unwrap();
    let report = a.sync.push().await.unwrap();
    assert_eq!(report.conflicts.len(), 1);
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "first")]);
}

/// Fails if a life that was ended on the server begins again: an edit of before its end would be one of it.
#[tokio::test]
async fn no_life_begins_twice() {
    let (server, a, _) = pair(Never).await;
    make_anew(&a, "second").await;
    let second = a.record("1").await.unwrap().metadata.incarnation;
    assert!(a.tasks.remove(&id("1")).await.unwrap());
    a.link.fail_next(Fault::LoseReply);
    a.sync.push().await.unwrap_err();
    a.tasks.add(&task("1", "third")).await.unwrap();
    assert_ne!(a.record("1").await.unwrap().metadata.incarnation, second);
    a.sync.sync().await.unwrap();
    assert_eq!(server.tasks.get_all().await.unwrap(), [task("1", "third")]);
    // However often.
    for n in 0..40 {
        make_anew(&a, &n.to_string()).await;
    }
    assert_eq!(a.task("1").await, Some(task("1", "39")));
}
