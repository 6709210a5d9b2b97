//! What the server made of an edit, and edits of what is aside.

use super::*;

fn total(task: &Task) -> i64 {
    task.text.parse().unwrap()
}

/// A task's text is a sum; two edits of it add up.
fn summing(conflict: ObjectConflict<Task>) -> Result<Resolution<Task>> {
    let (Some(server), Some(client)) = (conflict.server.object, conflict.client.object) else {
        return Ok(Resolution::Client);
    };
    let text = (total(&server) + total(&client)).to_string();
    Ok(Resolution::Merged(Task { text, ..server }))
}

fn small(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.parse::<i64>().is_ok_and(|number| number < 10))
}

/// Fails if an edit whose result this device cannot hold is pushed, and so counted, again.
#[tokio::test]
async fn an_edit_that_was_merged_to_what_cannot_be_stored_is_over() {
    let server = server_with(PredefinedRules::new(summing)).await;
    let client = client(&server, "ada").await;
    client.source.constrain(MemoryConstraint::Check {
        type_name: name("tasks"),
        field: field("text"),
        passes: small,
    });
    server.tasks.add(&task("1", "1")).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.update(&task("1", "7")).await.unwrap();
    client.tasks.update(&task("1", "5")).await.unwrap();
    for _ in 0..3 {
        client.sync.sync().await.unwrap();
        assert_eq!(server.tasks.find_by_id(&id("1")).await.unwrap(), Some(task("1", "12")), "once");
        assert_eq!(client.task("1").await, Some(task("1", "5")), "as it was edited");
        assert_eq!((aside(&client).await, client.pending().await), (refused(&["1"]), 0));
    }
    server.tasks.update(&task("1", "2")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!((client.task("1").await, aside(&client).await), (Some(task("1", "2")), vec![]));
}

/// Fails if an older version that is aside comes in over an edit that the server took.
#[tokio::test]
async fn an_edit_that_the_server_took_ends_what_is_aside() {
    let server = server().await;
    let client = constrained(&server, PullLimits::default()).await;
    client.tasks.add_many(&[task("mine", "slot 1"), task("other", "before")]).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.update(&task("other", "slot 1")).await.unwrap();
    client.sync.sync().await.unwrap();
    assert_eq!(aside(&client).await, refused(&["other"]));

    // An edit of the older version meets the server's newer one there: the later one wins.
    client.tasks.update(&task("other", "after")).await.unwrap();
    client.sync.push().await.unwrap();
    assert_eq!((client.pending().await, aside(&client).await), (0, vec![]));
    client.tasks.update(&task("mine", "slot 2")).await.unwrap();
    client.sync.sync().await.unwrap();
    for found in [client.task("other").await, server.tasks.find_by_id(&id("other")).await.unwrap()] {
        assert_eq!(found, Some(task("other", "after")));
    }
}

/// Fails if a pending edit is overwritten, or stops the pull, where the server's version goes aside.
#[tokio::test]
async fn a_pending_edit_stays_beside_the_servers_version() {
    let server = server().await;
    let client =
        client_with(&server, "ada", MemoryDataSource::new(), ServerWins, PullLimits::default()).await;
    client.source.constrain(one_text());
    client.tasks.add_many(&[task("mine", "slot 1"), task("other", "before")]).await.unwrap();
    client.sync.sync().await.unwrap();
    server.tasks.update(&task("other", "slot 1")).await.unwrap();
    client.tasks.update(&task("other", "after")).await.unwrap();
    let report = client.sync.pull().await.unwrap();
    assert_eq!((report.set_aside, report.conflicts), (1, vec![]), "nothing is decided yet");
    assert_eq!((client.task("other").await, client.pending().await), (Some(task("other", "after")), 1));

    client.tasks.remove(&id("mine")).await.unwrap();
    let report = client.sync.pull().await.unwrap();
    assert_eq!((report.from_aside, report.conflicts.len()), (1, 1));
    assert_eq!(client.task("other").await, Some(task("other", "slot 1")));
}
