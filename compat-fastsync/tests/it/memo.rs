//! What is remembered of the pushes of an object: whose they are, and how many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::wire::PushRequest;
use fastsync_compat::{CompatLimits, FastSyncCompat};
use fastsync_core::*;
use serde_json::{Value as Json, json};

fn payload(push: &Json) -> PushRequest {
    serde_json::from_value(push.clone()).unwrap()
}

/// The client's edit wins; counts how often it is asked.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl ConflictsHandler<Item> for Counting {
    async fn resolve(&self, _: ObjectConflict<Item>) -> Result<Resolution<Item>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Resolution::Client)
    }
}

/// Fails if the next number is taken for the successor of either device's edit.
#[tokio::test]
async fn after_two_devices_counted_on_from_the_same_version_the_next_number_is_nobodys() {
    let handler = Counting::default();
    let world = world_of(handler.clone()).await;
    let mut phone = OldClient::new(&world, "ada@home", Dialect::Dart);
    let mut desk = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    world.items("ada@home").add(&item("1", "both")).await.unwrap();
    for device in [&mut phone, &mut desk] {
        device.pull().await;
    }
    phone.rename("1", "phone");
    assert!(phone.push().await);
    desk.rename("1", "desk");
    assert!(desk.push().await);
    assert_eq!(handler.0.load(Ordering::SeqCst), 1);
    // The phone does not know of the desk's edit, whose number it has used as well.
    phone.rename("1", "phone again");
    assert!(phone.push().await);
    assert_eq!(handler.0.load(Ordering::SeqCst), 2, "an edit was overwritten without asking");
}

/// Fails if fewer pushes are remembered than four.
#[tokio::test]
async fn four_devices_of_a_user_may_repeat_what_they_pushed() {
    let world = world().await;
    world.items("ada@home").add(&item("1", "all")).await.unwrap();
    let mut devices: Vec<_> =
        DIALECTS.iter().cycle().take(4).map(|dialect| OldClient::new(&world, "ada@home", *dialect)).collect();
    for device in &mut devices {
        device.pull().await;
    }
    for (n, device) in devices.iter_mut().enumerate() {
        device.rename("1", &format!("by {n}"));
        device.fault = Some(Fault::LoseReply);
        assert!(!device.push().await);
    }
    let head = cursor(&world.pull("ada@home", &[("Item", 0)]).await);
    for device in &mut devices {
        assert!(device.push().await);
    }
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("by 3"));
    assert_eq!(cursor(&world.pull("ada@home", &[("Item", 0)]).await), head, "nothing was stored again");
}

/// Fails if what was pushed into one zone counts as pushed into another.
#[tokio::test]
async fn the_same_object_of_a_user_in_another_zone_is_another() {
    let now = Arc::new(Mutex::new("home"));
    let zone_now = Arc::clone(&now);
    let zone_of = move |_: &SyncContext, _: &TypeName| Zone::restricted(*zone_now.lock().unwrap()).ok();
    let policy = |_: &SyncContext| {
        ZoneAccess::none().read_write(zone("x@home")).read_write(zone("x@away")).read_write(Zone::Global)
    };
    let store = Store::server(MemoryDataSource::new());
    let handlers = (LastWriterWins, LastWriterWins);
    let world = world_by(store, handlers, policy, zone_of, CompatLimits::default()).await;
    for there in ["home", "away"] {
        *now.lock().unwrap() = there;
        let push = push_of(there, &[pushed("1", "same", 1_000, 0, there)]);
        assert_eq!(world.push("ada", &push).await["success"], true);
        let name = world.name_of(&format!("ada@{there}"), "1").await;
        assert_eq!(name.as_deref(), Some("same"), "{there}");
    }
}

fn notice(text: &str, version: u64, operation: u64) -> Json {
    json!({"data": {"Notice": [{"id": "n", "text": text,
        "metadata": {"version": version, "syncZone": "Global", "syncOperation": operation}}]}})
}

/// Users of the same name: fails if an edit of one counts as the successor of the other's.
#[tokio::test]
async fn users_and_tenants_are_told_apart() {
    let ada = || SyncContext::new("ada@home");
    for (other, is_successor) in [
        (ada(), true),
        (ada().with_tenant("b"), false),
        (ada().with_tenant("tenant"), false),
        (SyncContext::new("bob@home"), false),
    ] {
        let store = Store::server(MemoryDataSource::new());
        let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
        let handlers = (LastWriterWins, ServerWins);
        let world = world_by(store, handlers, policy, zone_of, CompatLimits::default()).await;
        let push = |context, push: Json| {
            let compat = world.compat.clone();
            async move { compat.process_push(&context, payload(&push)).await.unwrap() }
        };
        assert_eq!(push(ada(), notice("ada's", 1_000, 0)).await.processed, 1);
        push(other, notice("another's", 1_001, 1)).await;
        let notices = Repository::<Notice>::new(&world.store);
        let text = notices.find_by_id(&id("n")).await.unwrap().unwrap().text;
        assert_eq!(text == "another's", is_successor, "{text}");
    }
}

/// Fails if tenants share a device, a user has two, or authentication is not believed.
#[tokio::test]
async fn a_user_is_one_device_unless_authentication_knows_better() {
    let world = world().await;
    let known = DeviceId::from_uuid(uuid::Uuid::from_u128(7));
    let ada = || SyncContext::new("ada@home");
    let contexts = [
        ada(),
        ada(),
        ada().with_tenant("a"),
        ada().with_tenant("b"),
        SyncContext::new("bob@home"),
        ada().with_device(known),
    ];
    let mut devices = Vec::new();
    for (n, context) in contexts.into_iter().enumerate() {
        let item = pushed(&format!("{n}"), "x", 1_000, 0, "home");
        world.compat.process_push(&context, payload(&push_of("home", &[item]))).await.unwrap();
        let name = TypeName::new("Item").unwrap();
        let stored = world.store.source().get(&name, &zone("x@home"), &[id(&format!("{n}"))]).await.unwrap();
        devices.push(stored[0].metadata.modified_by);
    }
    assert_eq!(devices[0], devices[1]);
    assert_eq!(devices[5], known);
    let apart: std::collections::BTreeSet<_> = devices[1..].iter().collect();
    assert_eq!(apart.len(), 5, "{devices:?}");
}

/// What another process does while this one is between looking and storing.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<(FastSyncCompat, PushRequest)>>>);

#[async_trait::async_trait]
impl ZonePolicy for Meanwhile {
    async fn zones(&self, context: &SyncContext) -> Result<ZoneAccess> {
        let other = self.0.lock().unwrap().take();
        if let Some((compat, payload)) = other {
            assert_eq!(compat.process_push(context, payload).await?.processed, 1);
        }
        Ok(policy(context))
    }
}

/// Fails if a note is written without looking whether it is still what was read: both process the push.
#[tokio::test]
async fn a_push_that_two_processes_get_at_once_is_stored_once() {
    let (meanwhile, handler) = (Meanwhile::default(), Counting::default());
    let store = Store::server(MemoryDataSource::new());
    let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
    let handlers = (handler.clone(), LastWriterWins);
    let world = world_by(store, handlers, meanwhile.clone(), zone_of, CompatLimits::default()).await;
    // An object that nobody has pushed before, then one of which there is a note already.
    for (position, edit) in
        [(1, pushed("1", "made", 1_000, 0, "home")), (2, pushed("1", "edited", 1_001, 1, "home"))]
    {
        let push = push_of("home", &[edit]);
        *meanwhile.0.lock().unwrap() = Some((world.compat.clone(), payload(&push)));
        let answer = world.push("ada@home", &push).await;
        assert_eq!(answer["data"]["processed"], 1, "{answer}");
        assert!(meanwhile.0.lock().unwrap().is_none(), "the other one came in between");
        assert_eq!(cursor(&world.pull("ada@home", &[("Item", 0)]).await), position, "stored twice");
    }
    assert_eq!(handler.0.load(Ordering::SeqCst), 0, "a push in conflict with itself");
}
