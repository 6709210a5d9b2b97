//! Fields that the clients' class has and the Rust type does not.

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::{FastSyncCompat, FastSyncCompatBuilder};
use fastsync_core::*;
use serde_json::json;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Item")]
struct Slim {
    #[syncable(id)]
    id: String,
    name: String,
    #[syncable(json)]
    more: Option<serde_json::Value>,
}

async fn slim() -> (Repository<Slim>, FastSyncCompatBuilder) {
    let store = Store::server(MemoryDataSource::new()).register::<Slim>().open().await.unwrap();
    let items = Repository::<Slim>::new(&store);
    let server = SyncManager::server(&store).register(items.clone(), LastWriterWins).zones(policy);
    let builder = FastSyncCompat::builder(server.build().await.unwrap(), |_, _| None);
    (items, builder.sample(&Slim { id: "any".into(), name: String::new(), more: None }))
}

/// Fails if a field is dropped without a word although the clients' fields were given.
#[tokio::test]
async fn a_type_that_lacks_a_field_of_the_clients_is_refused() {
    let (_, builder) = slim().await;
    let fields = ["id", "name", "description", "tags", "metadata"];
    let error = builder.original_fields("Item", fields).original_fields("Gadget", ["x"]).build().unwrap_err();
    for part in ["Item.description", "Item.tags", "Gadget"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(!error.message().contains("metadata:") && !error.message().contains("Item.name"), "{error}");
    let (_, builder) = slim().await;
    assert!(builder.original_fields("Item", ["id", "name"]).build().is_ok());
    let (_, builder) = slim().await;
    assert!(builder.original_fields("Item", fields).keep_unknown("Item", "more").build().is_ok());
    for (type_name, field) in [("Item", "name"), ("Item", "nothing"), ("Gadget", "more")] {
        let (_, builder) = slim().await;
        assert_eq!(builder.keep_unknown(type_name, field).build().unwrap_err().kind(), ErrorKind::Config);
    }
}

/// Fails if a client gets back less than it sent, or one that knows fewer fields erases those of another.
#[tokio::test]
async fn unknown_fields_are_kept_by_choice() {
    let (items, builder) = slim().await;
    let compat = builder.keep_unknown("Item", "more").build().unwrap();
    let context = SyncContext::new("ada@home");
    let push = |item: serde_json::Value| {
        let request = serde_json::from_value(json!({"data": {"Item": [item]}})).unwrap();
        let (compat, context) = (compat.clone(), context.clone());
        async move { compat.process_push(&context, request).await.unwrap() }
    };
    let full = json!({"id": "1", "name": "a", "tags": ["x"], "stars": 5, "metadata": {"version": 1_000}});
    assert_eq!(push(full).await.processed, 1);
    let fewer =
        json!({"id": "1", "name": "b", "stars": 4, "metadata": {"version": 1_001, "syncOperation": 1}});
    assert_eq!(push(fewer).await.processed, 1);
    let stored = items.find_by_id("1").await.unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.more), ("b", Some(json!({"stars": 4, "tags": ["x"]}))));
    let request = serde_json::from_value(json!({"metadata": {"Item": {"version": 0}}})).unwrap();
    let reply = compat.process_pull(&context, request).await.unwrap();
    let object = serde_json::to_value(&reply.payload.data["Item"][0]).unwrap();
    assert_eq!((&object["name"], &object["stars"], &object["tags"]), (&json!("b"), &json!(4), &json!(["x"])));
    assert!(object.get("more").is_none(), "{object}");
    let deep = json!({"id": "2", "name": "a", "stars": serde_json::from_str::<serde_json::Value>(&format!("{}{}", "[".repeat(32), "]".repeat(32))).unwrap()});
    assert_eq!(push(deep).await.undone.len(), 1, "too deep with the object around it");
}

/// Whole numbers above 2^53 are exact in Dart and here; TypeScript rounds them before this server sees them.
#[tokio::test]
async fn large_whole_numbers_are_as_they_came() {
    let world = world().await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::Dart).with_types(&["Line"]);
    let large = 9_007_199_254_740_993_i64;
    ada.add("Line", "l", json!({"item": "1", "count": large, "price": 1, "done": false}));
    assert!(ada.push().await);
    ada.pull().await;
    assert_eq!(ada.rows[&("Line".to_owned(), "l".to_owned())]["count"], json!(large));
}
