//! A server with the original protocol in front, and clients of the original written from its wire description.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::needless_pass_by_value)]

pub mod old_client;
pub mod restorable;

use std::future::ready;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use fastsync_compat::http::CompatService;
use fastsync_compat::{CompatLimits, FastSyncCompat, FastSyncCompatBuilder, RefusalAnswer};
use fastsync_core::*;
use http::request::Parts;
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Item", restricted, priority = 0)]
pub struct Item {
    #[syncable(id)]
    pub id: String,
    pub name: String,
    pub description: Option<String>,
}

/// A child of an item, with a field of every simple kind.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Line", restricted, priority = 10)]
pub struct Line {
    #[syncable(id)]
    pub id: String,
    pub item: String,
    pub count: i64,
    pub price: f64,
    pub done: bool,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Notice")]
pub struct Notice {
    #[syncable(id)]
    pub id: String,
    pub text: String,
}

/// With a list that clients go through without a look whether it is there.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Card", restricted)]
pub struct Card {
    #[syncable(id)]
    pub id: String,
    pub title: String,
    #[syncable(json)]
    pub tags: Vec<String>,
    pub rank: Option<i64>,
}

pub fn item(id: &str, name: &str) -> Item {
    Item { id: id.into(), name: name.into(), description: Some("d".into()) }
}

pub fn id(id: &str) -> ObjectId {
    ObjectId::new(id).unwrap()
}

/// A clock that the test moves. It starts at 2026-11-22.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

pub const START_MILLIS: u64 = 1_795_305_600_000;

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START_MILLIS)))
    }
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
    /// As when somebody sets the machine's clock.
    pub fn set_back(&self, seconds: u64) {
        self.0.fetch_sub(seconds * 1_000, Ordering::SeqCst);
    }
    pub fn millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis())
    }
}

/// `ada@home` is user `ada` of zone `home`.
pub fn zone(user: &str) -> Zone {
    Zone::restricted(user.split_once('@').map_or(user, |(_, zone)| zone)).unwrap()
}

pub fn policy(context: &SyncContext) -> ZoneAccess {
    ZoneAccess::none().read_write(Zone::Global).read_write(zone(&context.user))
}

/// Items without a name are refused.
struct Items(Store);

impl SyncableRepository for Items {
    type Object = Item;
    fn store(&self) -> &Store {
        &self.0
    }
    fn zone(&self) -> Zone {
        zone("any")
    }
    fn validate(&self, item: &Item) -> std::result::Result<(), Rejection> {
        if item.name.is_empty() { Err(Rejection::new("no_name", "an item has a name")) } else { Ok(()) }
    }
}

#[derive(Clone)]
pub struct World {
    pub clock: TestClock,
    pub store: Store,
    pub server: SyncManager<Server>,
    pub compat: FastSyncCompat,
    pub service: CompatService,
}

pub async fn world() -> World {
    world_with(MemoryDataSource::new(), LastWriterWins, CompatLimits::default()).await
}

pub async fn world_of(handler: impl ConflictsHandler<Item>) -> World {
    world_with(MemoryDataSource::new(), handler, CompatLimits::default()).await
}

pub async fn world_with(
    source: impl SyncableDataSource,
    handler: impl ConflictsHandler<Item>,
    limits: CompatLimits,
) -> World {
    world_on(Store::server(source), handler, limits).await
}

pub async fn world_on(
    store: StoreBuilder,
    handler: impl ConflictsHandler<Item>,
    limits: CompatLimits,
) -> World {
    let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
    world_by(store, (handler, LastWriterWins), policy, zone_of, limits).await
}

/// With handlers for items and notices, and zones, of the test's own.
pub async fn world_by(
    store: StoreBuilder,
    (items, notices): (impl ConflictsHandler<Item>, impl ConflictsHandler<Notice>),
    policy: impl ZonePolicy,
    zone_of: impl Fn(&SyncContext, &TypeName) -> Option<Zone> + Send + Sync + 'static,
    limits: CompatLimits,
) -> World {
    let clock = TestClock::new();
    let store = store
        .register::<Item>()
        .register::<Line>()
        .register::<Notice>()
        .register::<Card>()
        .clock(clock.clone())
        .open()
        .await
        .unwrap();
    let server = SyncManager::server(&store)
        .register(Items(store.clone()), items)
        .register(Repository::<Line>::in_zone(&store, zone("any")), LastWriterWins)
        .register(Repository::<Notice>::new(&store), notices)
        .register(Repository::<Card>::in_zone(&store, zone("any")), LastWriterWins)
        .zones(policy)
        .build()
        .await
        .unwrap();
    // What is refused fails here, so that it is seen; `forgiving` is as by default.
    let compat = builder(&server, zone_of).limits(limits).answer_to_others(RefusalAnswer::Failure);
    let compat = compat.build().unwrap();
    let service = service(&compat);
    World { clock, store, server, compat, service }
}

/// With a sample of every type.
pub fn builder(
    server: &SyncManager<Server>,
    zone_of: impl Fn(&SyncContext, &TypeName) -> Option<Zone> + Send + Sync + 'static,
) -> FastSyncCompatBuilder {
    FastSyncCompat::builder(server.clone(), zone_of)
        .alias("t", "Notice")
        .sample(&item("any", "(deleted)"))
        .sample(&Line { id: "any".into(), item: "any".into(), count: 1, price: 1.0, done: false })
        .sample(&Notice { id: "any".into(), text: "(deleted)".into() })
        .sample(&Card { id: "any".into(), title: "(deleted)".into(), tags: Vec::new(), rank: None })
}

/// The same world with what clients hear as by default.
pub fn forgiving(world: &World) -> World {
    let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
    let compat = builder(&world.server, zone_of).build().unwrap();
    World { service: service(&compat), compat, ..world.clone() }
}

fn service(compat: &FastSyncCompat) -> CompatService {
    let authenticate = |parts: &Parts| {
        let user = parts.headers.get("x-user").map(|user| SyncContext::new(user.to_str().unwrap()));
        ready(user.ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "who?")))
    };
    CompatService::builder(compat.clone(), authenticate).build()
}

impl World {
    /// Sends a body as `user`; gives the envelope.
    pub async fn post(&self, path: &str, user: &str, body: &Json) -> Json {
        serde_json::from_str(&self.post_text(path, user, body.to_string()).await).unwrap()
    }

    pub async fn post_text(&self, path: &str, user: &str, body: String) -> String {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .header("x-user", user)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let body = self.service.handle(request).await.into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    pub async fn push(&self, user: &str, body: &Json) -> Json {
        self.post("/push", user, body).await
    }

    /// Pulls types from positions on.
    pub async fn pull(&self, user: &str, types: &[(&str, u64)]) -> Json {
        let zone = zone(user);
        let metadata: serde_json::Map<_, _> = types
            .iter()
            .map(|(name, version)| {
                let zone = if *name == "Notice" || *name == "t" { "Global" } else { zone.key().unwrap() };
                (
                    (*name).to_owned(),
                    json!({"type": name, "id": name, "syncZone": zone, "version": cursor_at(*version),
                    "timestamp": 1_795_294_580, "syncOperation": 999}),
                )
            })
            .collect();
        self.post("/pull", user, &json!({ "metadata": metadata })).await
    }

    /// The items of a zone on the server.
    pub fn items(&self, user: &str) -> Repository<Item> {
        Repository::in_zone(&self.store, zone(user))
    }

    pub async fn name_of(&self, user: &str, item: &str) -> Option<String> {
        self.items(user).find_by_id(&id(item)).await.unwrap().map(|item| item.name)
    }
}

/// A pushed item as the TypeScript client sends it.
pub fn pushed(id: &str, name: &str, version: u64, operation: u64, zone: &str) -> Json {
    json!({"id": id, "deleted": operation == 2, "dirty": true, "metadataId": "m", "name": name, "description": "d",
        "metadata": {"id": "m", "type": "Item", "syncZone": zone, "version": version,
            "timestamp": 1_795_294_580.37, "syncOperation": operation}})
}

pub fn push_of(zone: &str, items: &[Json]) -> Json {
    json!({"data": {"Item": items}, "hasData": true,
        "operationMetadata": {"metadata": {"Item": {"type": "Item", "version": 999, "syncZone": zone}}}})
}

pub fn names(answer: &Json) -> Vec<String> {
    let items = answer["data"]["data"]["Item"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

pub fn cursor(answer: &Json) -> u64 {
    position_of(answer, "Item")
}

/// The cursor of a client that has read up to a position.
pub fn cursor_at(position: u64) -> u64 {
    if position == 0 { 0 } else { (1 << 30) + position }
}

/// The position that a pull's answer gives a type.
pub fn position_of(answer: &Json, type_name: &str) -> u64 {
    let cursor = &answer["data"]["operationMetadata"]["metadata"][type_name]["version"];
    cursor.as_u64().unwrap() - (1 << 30)
}

/// A client of ours in the same zone.
pub struct NewClient {
    pub items: Repository<Item>,
    pub sync: SyncManager<Client>,
}

pub async fn new_client(world: &World, user: &str) -> NewClient {
    let store = Store::client(MemoryDataSource::new())
        .register::<Item>()
        .register::<Line>()
        .register::<Notice>()
        .register::<Card>()
        .clock(world.clock.clone())
        .open()
        .await
        .unwrap();
    let items = Repository::<Item>::in_zone(&store, zone(user));
    let sync = SyncManager::client(&store)
        .register(items.clone(), LastWriterWins)
        .register(Repository::<Line>::in_zone(&store, zone(user)), LastWriterWins)
        .register(Repository::<Notice>::new(&store), LastWriterWins)
        .register(Repository::<Card>::in_zone(&store, zone(user)), LastWriterWins)
        .transport(LoopbackTransport::new(world.server.clone(), SyncContext::new(user)))
        .build()
        .unwrap();
    NewClient { items, sync }
}
