//! The day the server is swapped: clients come with rows and cursors of the original server's.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_core::*;
use serde_json::json;

/// A client that has item 1 from the original server, at version 57 of a counter there that stood at `cursor`.
fn left_over(world: &World, user: &str, dialect: Dialect, cursor: u64) -> OldClient {
    let mut client = OldClient::new(world, user, dialect);
    client.add_item("1", "as it was");
    let row = client.rows.get_mut(&("Item".to_owned(), "1".to_owned())).unwrap();
    row["dirty"] = json!(false);
    row["metadata"]["version"] = json!(57);
    client.pull_request();
    client.cursors.get_mut("Item").unwrap()["version"] = json!(cursor);
    client
}

/// A server that the old data was brought to, and then some more, each in a session of its own.
async fn swapped(handler: impl ConflictsHandler<Item>) -> World {
    let world = world_of(handler).await;
    world.items("x@home").add(&item("1", "as it was")).await.unwrap();
    for n in 2..100 {
        world.items("x@home").add(&item(&n.to_string(), "new")).await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_cursor_of_the_original_server_misses_nothing() {
    for dialect in DIALECTS {
        for cursor in [1, 57, 99, 100, 5_000_000] {
            let world = swapped(LastWriterWins).await;
            let mut ada = left_over(&world, "ada@home", dialect, cursor);
            ada.pull().await;
            assert_eq!(ada.names().len(), 99, "{dialect:?}, cursor {cursor}");
            assert_eq!(ada.pull().await, 0, "and then only what is new");
        }
    }
}

#[tokio::test]
async fn what_was_not_sent_before_the_swap_is_stored() {
    for dialect in DIALECTS {
        let world = swapped(LastWriterWins).await;
        let mut ada = left_over(&world, "ada@home", dialect, 57);
        ada.rename("1", "unsent edit");
        ada.add_item("mine", "unsent object");
        assert!(ada.sync().await, "{}", ada.last_answer);
        for (id, name) in [("1", "unsent edit"), ("mine", "unsent object")] {
            assert_eq!(world.name_of("ada@home", id).await.as_deref(), Some(name));
            assert_eq!(ada.name(id).as_deref(), Some(name));
        }
    }
}

#[tokio::test]
async fn what_an_edit_of_before_the_swap_started_from_is_not_known_so_the_handler_decides() {
    let world = swapped(ServerWins).await;
    let mut phone = left_over(&world, "ada@home", Dialect::Dart, 57);
    let mut desk = left_over(&world, "ada@home", Dialect::TypeScript, 57);
    for device in [&mut phone, &mut desk] {
        device.rename("1", "unsent");
        assert!(device.sync().await);
        assert_eq!(device.name("1").as_deref(), Some("as it was"), "and the device is told");
    }
    desk.rename("1", "edited now");
    assert!(desk.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("edited now"));
}

#[tokio::test]
async fn two_devices_that_count_from_the_same_old_version_are_told_apart() {
    let world = world_of(ServerWins).await;
    // The object never reached the new server: the first device to send it makes it there.
    let mut phone = left_over(&world, "ada@home", Dialect::TypeScript, 57);
    let mut desk = left_over(&world, "ada@home", Dialect::TypeScript, 57);
    phone.rename("1", "phone");
    assert!(phone.push().await);
    desk.rename("1", "desk");
    assert!(desk.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("phone"));
    assert_eq!(desk.name("1").as_deref(), Some("phone"));
}
