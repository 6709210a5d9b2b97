//! Records of the server that a device cannot hold: nothing else waits for them, and none is lost.

mod receipts;
mod unreadable;

use fastsync_core::source::memory::MemoryConstraint;
use fastsync_core::*;

use crate::support::*;

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

/// No text twice among the tasks.
fn one_text() -> MemoryConstraint {
    MemoryConstraint::Unique { type_name: name("tasks"), field: field("text") }
}

/// No task without its list.
fn with_list() -> MemoryConstraint {
    MemoryConstraint::Parent { type_name: name("tasks"), field: field("list"), parent: name("lists") }
}

/// No two lists with one title.
fn one_title() -> MemoryConstraint {
    MemoryConstraint::Unique { type_name: name("lists"), field: field("title") }
}

async fn constrained(server: &ServerSide, limits: PullLimits) -> ClientSide {
    let client = client_with(server, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
    client.source.constrain(one_text());
    client
}

/// The ids and reasons of what is aside.
async fn aside(client: &ClientSide) -> Vec<(String, AsideReason)> {
    let aside = client.sync.set_aside().await.unwrap();
    let status = client.sync.status().await.unwrap();
    assert_eq!(status.aside, aside.len() as u64);
    assert!(!(status.in_step && status.aside > 0));
    aside.into_iter().map(|aside| (aside.server.key.id.as_str().to_owned(), aside.reason)).collect()
}

fn refused(ids: &[&str]) -> Vec<(String, AsideReason)> {
    ids.iter().map(|id| ((*id).to_owned(), AsideReason::Constraint)).collect()
}

async fn ids(client: &ClientSide) -> Vec<String> {
    client.tasks.get_all().await.unwrap().into_iter().map(|task| task.id).collect()
}

/// Fails if one row that the device's own table refuses stops a pull, or is lost.
#[tokio::test]
async fn a_row_that_the_own_table_refuses_is_set_aside_and_the_rest_arrives() {
    for limits in [PullLimits::default(), PullLimits::new(2, 1 << 20)] {
        let server = server().await;
        let client = constrained(&server, limits).await;
        client.tasks.add(&task("mine", "slot 1")).await.unwrap();
        client.sync.sync().await.unwrap();
        assert!(client.sync.status().await.unwrap().in_step);
        server.tasks.add(&task("other", "slot 1")).await.unwrap();
        for n in 0..7 {
            server.tasks.add(&task(&format!("t{n}"), &format!("text {n}"))).await.unwrap();
        }
        let report = client.sync.sync().await.unwrap().pull;
        assert_eq!((report.received, report.set_aside, report.from_aside), (8, 1, 0));
        assert_eq!(ids(&client).await.len(), 8, "all but one");
        assert_eq!(aside(&client).await, refused(&["other"]));
        let listed = client.sync.set_aside().await.unwrap().remove(0);
        assert!(listed.message.contains("UNIQUE"), "{}", listed.message);
        assert_eq!(listed.server.metadata.revision, server.record("other").await.unwrap().metadata.revision);
        assert_eq!(listed.fields, [field("list"), field("text"), field("done")]);

        // Tried again and again, and neither counted nor written again.
        let entry = client.source.entries("fastsync/aside/").await.unwrap();
        let report = client.sync.sync().await.unwrap().pull;
        assert_eq!((report.received, report.set_aside, report.from_aside), (0, 0, 0));
        assert_eq!(client.source.entries("fastsync/aside/").await.unwrap(), entry);

        // The user gives the value free: the next pull takes the record in, though it brings nothing.
        client.tasks.update(&task("mine", "slot 2")).await.unwrap();
        let report = client.sync.sync().await.unwrap().pull;
        assert_eq!((report.received, report.set_aside, report.from_aside), (0, 0, 1));
        assert_eq!(client.task("other").await, Some(task("other", "slot 1")));
        assert_eq!(aside(&client).await, []);
        assert!(client.sync.status().await.unwrap().in_step);
        assert_eq!(client.source.staged_batches(), 0);
    }
}

/// Fails if a device on which the server has refused an edit is stopped by the record that was there first.
#[tokio::test]
async fn an_edit_that_the_server_refuses_stays_beside_the_record_that_it_clashes_with() {
    let on_server = MemoryDataSource::new();
    on_server.constrain(one_text());
    let server = server_on(on_server, LastWriterWins).await;
    let (ada, ben) = (constrained(&server, PullLimits::default()).await, client(&server, "ben").await);
    ben.source.constrain(one_text());
    ada.tasks.add(&task("a", "slot 1")).await.unwrap();
    ben.tasks.add(&task("b", "slot 1")).await.unwrap();
    ada.sync.sync().await.unwrap();
    server.tasks.add(&task("more", "text")).await.unwrap();
    let report = ben.sync.sync().await.unwrap();
    assert_eq!((report.push.rejected, report.pull.set_aside), (1, 1));
    assert_eq!((ids(&ben).await, aside(&ben).await), (vec!["b".into(), "more".into()], refused(&["a"])));
    ben.sync.discard_rejected(&ben.sync.rejected().await.unwrap()).await.unwrap();
    assert_eq!(ben.sync.sync().await.unwrap().pull.from_aside, 1);
    assert_eq!(ids(&ben).await, ["a", "more"]);
    assert!(ben.sync.status().await.unwrap().in_step);
}

/// Fails if an older version comes in after a newer one, or the entry outlives the record.
#[tokio::test]
async fn a_newer_version_replaces_the_one_that_is_aside() {
    for newer in [Some("slot 1"), Some("free"), None] {
        let server = server().await;
        let client = constrained(&server, PullLimits::default()).await;
        client.tasks.add(&task("mine", "slot 1")).await.unwrap();
        client.sync.sync().await.unwrap();
        server.tasks.add(&task("other", "before")).await.unwrap();
        client.sync.sync().await.unwrap();
        server.tasks.update(&task("other", "slot 1")).await.unwrap();
        client.sync.sync().await.unwrap();
        assert_eq!(client.task("other").await, Some(task("other", "before")), "as it was");
        assert_eq!(aside(&client).await, refused(&["other"]));

        match newer {
            Some(text) => server.tasks.update(&Task { done: true, ..task("other", text) }).await.unwrap(),
            None => assert!(server.tasks.remove(&id("other")).await.unwrap()),
        }
        let report = client.sync.sync().await.unwrap().pull;
        let expected = match newer {
            Some("slot 1") => (1, Some(task("other", "before")), refused(&["other"])),
            Some(text) => (0, Some(Task { done: true, ..task("other", text) }), vec![]),
            None => (0, None, vec![]),
        };
        assert_eq!(report.from_aside, 0, "that one was replaced");
        assert_eq!((report.set_aside, client.task("other").await, aside(&client).await), expected);
        if newer == Some("slot 1") {
            client.tasks.remove(&id("mine")).await.unwrap();
            client.sync.sync().await.unwrap();
            assert!(client.task("other").await.unwrap().done, "the newer one");
        }
    }
}

/// Fails if a child stops a pull because its parent is aside, or comes in without it.
#[tokio::test]
async fn children_are_set_aside_with_their_parent_and_come_in_with_it() {
    for limits in [PullLimits::default(), PullLimits::new(1, 1 << 20)] {
        let server = server().await;
        let client = client_with(&server, "ada", MemoryDataSource::new(), LastWriterWins, limits).await;
        client.source.constrain(one_title());
        client.source.constrain(with_list());
        let list = |id: &str, title: &str| List { id: id.into(), title: title.into() };
        client.lists.add(&list("mine", "shopping")).await.unwrap();
        let on_server = Repository::<List>::new(&server.store);
        on_server.add(&list("home", "shopping")).await.unwrap();
        on_server.add(&list("work", "work")).await.unwrap();
        server.tasks.add_many(&[task("1", "a"), task("2", "b")]).await.unwrap();
        server.tasks.add(&Task { list: "work".into(), ..task("3", "c") }).await.unwrap();
        let report = client.sync.pull().await.unwrap();
        assert_eq!((report.set_aside, ids(&client).await), (3, vec!["3".into()]));
        assert_eq!(aside(&client).await, refused(&["home", "1", "2"]));

        client.lists.update(&list("mine", "groceries")).await.unwrap();
        assert_eq!(client.sync.pull().await.unwrap().from_aside, 3);
        assert_eq!((ids(&client).await.len(), aside(&client).await), (3, vec![]));
    }
}

/// Fails if what is aside has no bound, or a pull over the bound changes anything.
#[tokio::test]
async fn so_much_is_set_aside_and_no_more() {
    let server = server().await;
    for limits in [PullLimits::default().with_aside(2, 1 << 20), PullLimits::default().with_aside(10, 300)] {
        let client = constrained(&server, limits).await;
        client.tasks.add(&task("mine", "slot 1")).await.unwrap();
        for n in 0..3 {
            let clash = task(&format!("t{n}"), "slot 1");
            server.tasks.remove(&id(&clash.id)).await.unwrap();
            server.tasks.add(&clash).await.unwrap();
        }
        let error = client.sync.pull().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.message().contains("set_aside"), "{error}");
        assert!(!client.sync.status().await.unwrap().has_pulled);
        client.tasks.update(&task("mine", "slot 2")).await.unwrap();
        assert_eq!(client.sync.pull().await.unwrap().set_aside, 2, "the first one takes the value");
    }
}

/// Fails if what is aside survives the records that it is about.
#[tokio::test]
async fn a_reset_forgets_what_was_aside() {
    let server = server().await;
    let client = constrained(&server, PullLimits::default()).await;
    client.tasks.add(&task("mine", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.add(&task("other", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!(aside(&client).await, refused(&["other"]));
    // Everything comes anew; of two, the first one has the value now.
    server.tasks.remove(&id("mine")).await.unwrap();
    client.sync.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert_eq!((ids(&client).await, aside(&client).await), (vec!["other".into()], vec![]));

    server.tasks.add(&task("third", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!(aside(&client).await, refused(&["third"]));
    client.tasks.hard_delete().await.unwrap();
    assert!(!client.sync.status().await.unwrap().in_step);
    server.tasks.remove(&id("other")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!((ids(&client).await, aside(&client).await), (vec!["third".into()], vec![]));
}

/// Fails if two values that change places are taken for a clash.
#[tokio::test]
async fn two_rows_may_swap_their_values_within_one_pull() {
    for limits in [PullLimits::default(), PullLimits::new(1, 1 << 20)] {
        let server = server().await;
        let client = constrained(&server, limits).await;
        server.tasks.add_many(&[task("1", "a"), task("2", "b")]).await.unwrap();
        client.sync.sync().await.unwrap();
        server.tasks.update_many(&[task("1", "b"), task("2", "a")]).await.unwrap();
        assert_eq!(client.sync.sync().await.unwrap().pull.set_aside, 0);
        assert_eq!(client.task("1").await, Some(task("1", "b")));
    }
}

/// Fails if who gives an edit up gives up the server's version too that lies aside.
#[tokio::test]
async fn what_is_aside_stays_when_an_edit_is_given_up() {
    let server = server().await;
    let client = constrained(&server, PullLimits::default()).await;
    server.tasks.add_many(&[task("a", "one"), task("b", "two")]).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.update(&task("b", "one")).await.unwrap();
    client.sync.sync().await.unwrap();
    let there = [("b".to_owned(), AsideReason::Constraint)];
    assert_eq!(aside(&client).await, there);
    client.tasks.update(&task("b", "mine")).await.unwrap();
    let key = RecordKey { zone: Zone::Global, type_name: name("tasks"), id: id("b") };
    assert_eq!(client.sync.discard_pending(&[key]).await.unwrap(), 1);
    assert_eq!(aside(&client).await, there);
}
