//! Conflicts of original clients, under each strategy: the type's handler decides, and the loser learns of it.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_core::*;
use serde_json::json;

/// Ada and Bob have item 1; Bob's edit arrives first, then Ada's.
async fn conflict(world: &World, dialect: Dialect) -> (OldClient, OldClient) {
    let mut ada = OldClient::new(world, "ada@home", dialect);
    let mut bob = OldClient::new(world, "bob@home", dialect);
    ada.add_item("1", "both");
    ada.sync().await;
    bob.pull().await;
    world.clock.advance(60);
    bob.rename("1", "bob");
    ada.rename("1", "ada");
    assert!(bob.sync().await);
    world.clock.advance(60);
    assert!(ada.sync().await);
    bob.pull().await;
    (ada, bob)
}

#[tokio::test]
async fn each_strategy_decides_and_both_sides_agree() {
    for dialect in DIALECTS {
        for (handler, winner) in [
            (Strategy::Last, "ada"),
            (Strategy::Server, "bob"),
            // Original clients do not date their edits, so the time of arrival counts.
            (Strategy::Timestamps, "ada"),
            (Strategy::Rules, "ada+bob"),
        ] {
            let world = world_of(handler).await;
            let (ada, bob) = conflict(&world, dialect).await;
            assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some(winner), "{dialect:?}");
            assert_eq!(ada.name("1").as_deref(), Some(winner), "{dialect:?}");
            assert_eq!(bob.name("1").as_deref(), Some(winner), "{dialect:?}");
        }
    }
}

/// The strategies behind one type.
enum Strategy {
    Last,
    Server,
    Timestamps,
    Rules,
}

#[async_trait::async_trait]
impl ConflictsHandler<Item> for Strategy {
    async fn resolve(&self, conflict: ObjectConflict<Item>) -> Result<Resolution<Item>> {
        match self {
            Self::Last => LastWriterWins.resolve(conflict).await,
            Self::Server => ServerWins.resolve(conflict).await,
            Self::Timestamps => TimestampOrdering.resolve(conflict).await,
            Self::Rules => Ok(match (conflict.server.object, conflict.client.object) {
                (Some(server), Some(client)) => {
                    let name = format!("{}+{}", client.name, server.name);
                    Resolution::Merged(Item { name, ..server })
                }
                (Some(_), None) => Resolution::Server,
                (None, _) => Resolution::Client,
            }),
        }
    }
}

#[tokio::test]
async fn no_conflict_where_the_base_is_the_servers_version() {
    let never = || {
        PredefinedRules::new(|conflict: ObjectConflict<Item>| {
            Err(Error::new(ErrorKind::Backend, "test", format!("{} is no conflict", conflict.id)))
        })
    };
    for dialect in DIALECTS {
        let world = world_of(never()).await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        let mut bob = OldClient::new(&world, "bob@home", dialect);
        ada.add_item("1", "0");
        assert!(ada.sync().await);
        for round in 1..6 {
            bob.pull().await;
            bob.rename("1", &format!("{round}"));
            assert!(bob.sync().await, "{}", bob.last_answer);
            ada.pull().await;
            ada.rename("1", &format!("{round}a"));
            assert!(ada.sync().await, "{}", ada.last_answer);
        }
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("5a"));
    }
}

#[tokio::test]
async fn an_edit_on_top_of_one_that_lost_is_a_conflict_again() {
    for dialect in DIALECTS {
        let world = world_of(ServerWins).await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "0");
        ada.sync().await;
        world.items("ada@home").update(&item("1", "winner")).await.unwrap();
        for name in ["loser", "loser again"] {
            ada.rename("1", name);
            assert!(ada.push().await, "no pull between");
            assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("winner"));
        }
        ada.pull().await;
        assert_eq!(ada.name("1").as_deref(), Some("winner"));
    }
}

/// Fails if what is stored is compared by what it says and not by its version.
#[tokio::test]
async fn an_edit_on_top_of_one_that_was_made_again_by_another_is_a_conflict() {
    for dialect in DIALECTS {
        let world = world_of(ServerWins).await;
        let mut ada = OldClient::new(&world, "ada@home", dialect);
        ada.add_item("1", "ada's");
        assert!(ada.push().await);
        for name in ["another's", "ada's"] {
            world.items("ada@home").update(&item("1", name)).await.unwrap();
        }
        ada.rename("1", "ada's next");
        assert!(ada.push().await, "no pull between");
        assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("ada's"), "{dialect:?}");
    }
}

#[tokio::test]
async fn two_devices_of_one_user_are_a_conflict_too() {
    let world = world_of(ServerWins).await;
    let mut phone = OldClient::new(&world, "ada@home", Dialect::Dart);
    let mut desk = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    phone.add_item("1", "both");
    phone.sync().await;
    desk.pull().await;
    phone.rename("1", "phone");
    desk.rename("1", "desk");
    assert!(phone.push().await);
    assert!(desk.sync().await);
    assert_eq!(desk.name("1").as_deref(), Some("phone"), "the server's version won, and the loser has it");
}

#[tokio::test]
async fn an_object_made_twice_goes_by_the_times_of_making() {
    let world = world_of(TimestampOrdering).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::Dart);
    ada.add_item("1", "ada, earlier");
    world.clock.advance(60);
    bob.add_item("1", "bob, later");
    world.clock.advance(60);
    bob.sync().await;
    assert!(ada.sync().await);
    assert_eq!(ada.name("1").as_deref(), Some("bob, later"), "seconds and microseconds are told apart");
}

#[tokio::test]
async fn a_deletion_wins_over_an_edit_that_does_not_know_of_it() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    let mut bob = OldClient::new(&world, "bob@home", Dialect::TypeScript);
    ada.add_item("1", "both");
    ada.sync().await;
    bob.pull().await;
    ada.remove("1");
    ada.sync().await;
    bob.rename("1", "still here");
    assert!(bob.sync().await);
    assert_eq!(bob.name("1"), None);
    assert_eq!(world.name_of("ada@home", "1").await, None);
    // Made anew, it lives again.
    bob.rows.clear();
    bob.add_item("1", "anew");
    assert!(bob.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("anew"));
    ada.pull().await;
    assert_eq!(ada.name("1").as_deref(), Some("anew"));
}

#[tokio::test]
async fn a_refused_object_leaves_the_others_and_stays_with_the_client() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "good");
    ada.add_item("2", "");
    assert!(!ada.sync().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("good"));
    assert!(ada.is_dirty("2") && !ada.is_dirty("1"), "what was stored came down, the rest is kept");
    let answer = world.push("ada@home", &ada.push_request().unwrap()).await;
    assert_eq!(
        answer["errors"],
        json!([{"type": "Item", "id": "2", "code": "no_name",
        "message": "an item has a name"}])
    );
    ada.rename("2", "mended");
    assert!(ada.sync().await);
    assert_eq!(world.items("ada@home").count(Selection::all()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_know_a_field_does_not_erase_it() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart);
    ada.may_lack_description = true;
    ada.add("Item", "1", json!({"name": "no description"}));
    assert!(ada.sync().await);
    let described = Item { description: Some("from a newer client".into()), ..item("1", "x") };
    world.items("ada@home").update(&described).await.unwrap();
    ada.pull().await;
    ada.rows
        .get_mut(&("Item".to_owned(), "1".to_owned()))
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("description");
    ada.rename("1", "renamed");
    assert!(ada.sync().await);
    let stored = world.items("ada@home").find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!(stored, Item { name: "renamed".into(), ..described });
}
