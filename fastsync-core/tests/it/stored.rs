//! What a store keeps beside the records, pinned by files: each form that was ever written stays readable.
//!
//! To accept an intended change, run with `FASTSYNC_ACCEPT_GOLDEN=1` and review the difference. Once a form is released it
//! does not change: another one gets a number, and files, of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::source::entry;
use fastsync_core::source::{Commit, CommitOutcome, StateWrite, Writes};
use fastsync_core::*;

/// Numbers that look random and are the same in each run.
struct Counted(AtomicU64);

impl Counted {
    fn from(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }
}

impl Random for Counted {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

type Entries = BTreeMap<String, Vec<u8>>;

async fn entries(source: &MemoryDataSource) -> Entries {
    source.entries("").await.unwrap().into_iter().collect()
}

/// Writes entries as they are, past the store.
async fn write(source: &MemoryDataSource, state: Vec<StateWrite>) {
    let device = DeviceId::from_uuid(uuid::Uuid::nil());
    let commit = Commit {
        session: SessionId::new(Timestamp::from_millis(0), &SystemRandom),
        kind: SessionKind::Edit,
        author: Author { user: None, device, number: 0 },
        at: Timestamp::from_millis(0),
        tag: Tag(0),
        positioned: false,
        clears: Vec::new(),
        writes: Writes::Inline(Vec::new()),
        state,
    };
    assert!(matches!(source.commit_alone(commit).await.unwrap(), CommitOutcome::Applied(_)));
}

/// A copy of a storage with these entries instead of its own.
async fn with_entries(source: &MemoryDataSource, golden: &Entries) -> MemoryDataSource {
    let copy = source.snapshot();
    let gone = entries(&copy).await.into_keys().filter(|key| !golden.contains_key(key));
    let mut state: Vec<_> = gone.map(|key| StateWrite::set(key, None)).collect();
    state.extend(golden.iter().map(|(key, value)| StateWrite::set(key, Some(value.clone()))));
    write(&copy, state).await;
    assert_eq!(&entries(&copy).await, golden);
    copy
}

/// A storage on which this entry was written by a later release.
async fn with_later(source: &MemoryDataSource, key: &str) -> MemoryDataSource {
    let copy = source.snapshot();
    let mut value = copy.entry(key).await.unwrap().unwrap();
    value[0] = u8::MAX;
    write(&copy, vec![StateWrite::set(key, Some(value))]).await;
    copy
}

/// The entries that the file of this name has; those found must be the same.
fn golden(name: &str, found: &Entries) -> Entries {
    let path = format!("{}/tests/golden/stored/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written: String = found.iter().map(|(key, value)| format!("{key} = {}\n", hex(value))).collect();
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(written, text, "{name}: a stored form has changed");
    let bytes = |hex: &str| {
        let digits = hex.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    };
    text.lines()
        .map(|line| line.rsplit_once(" = ").unwrap())
        .map(|(key, value)| (key.to_owned(), bytes(value)))
        .collect()
}

fn ada() -> SyncContext {
    SyncContext::new("ada").with_tenant("acme")
}

async fn open_server(source: MemoryDataSource) -> Result<ServerSide> {
    let clock = TestClock::new(1_000_000);
    let store = Store::server(source)
        .register::<List>()
        .register::<Task>()
        .tenant("acme")
        .clock(clock.clone())
        .random(Counted::from(1_000))
        .open()
        .await?;
    let tasks = Repository::<Task>::new(&store);
    let manager = SyncManager::server(&store)
        .register(Repository::<List>::new(&store), LastWriterWins)
        .register(StrictTasks(store.clone()), LastWriterWins)
        .zones(own_zone_policy)
        .build()
        .await?;
    Ok(ServerSide { clock, store, manager, tasks })
}

async fn open_client(server: &ServerSide, source: MemoryDataSource) -> Result<ClientSide> {
    let clock = TestClock::new(1_000_000);
    let store = Store::client(source.clone())
        .register::<List>()
        .register::<Task>()
        .register::<Note>()
        .tenant("acme")
        .clock(clock.clone())
        .random(Counted::from(2_000))
        .open()
        .await?;
    let link = Link::new(LoopbackTransport::new(server.manager.clone(), ada()));
    let lists = Repository::<List>::new(&store);
    let tasks = Repository::<Task>::new(&store);
    let notes = Repository::<Note>::in_zone(&store, zone("ada"));
    let sync = SyncManager::client(&store)
        .register(lists.clone(), LastWriterWins)
        .register(tasks.clone(), LastWriterWins)
        .register(notes.clone(), LastWriterWins)
        .transport(link.clone())
        .build()?;
    Ok(ClientSide { clock, source, store, link, sync, lists, tasks, notes })
}

fn session(n: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(n))
}

/// A device's push with a session id of the test's.
fn push(device: &mut Device, rows: Vec<Row>) -> PushRequest {
    let mut request = device.push(tasks(rows));
    request.metadata.types.remove(&type_name("notes"));
    request.session = session(u128::from(request.number));
    request
}

/// A client and its server, each with every sort of entry.
struct World {
    server: MemoryDataSource,
    client: MemoryDataSource,
    /// The push that waits for its receipt.
    in_flight: PushRequest,
    /// The last push of another device.
    last: (PushRequest, PushReply),
}

async fn world() -> World {
    let (on_server, on_client) = (MemoryDataSource::new(), MemoryDataSource::new());
    let server = open_server(on_server.clone()).await.unwrap();
    server.tasks.add_many(&[task("1", "sweep"), task("2", "wash")]).await.unwrap();

    // A device by hand: two pushes that are stored as sent, and one with every exception.
    let mut other = Device::new(5);
    let first = server.receipt(&ada(), push(&mut other, vec![new_row("a", 1), new_row("b", 1)])).await;
    server.receipt(&ada(), push(&mut other, vec![new_row("c", 2)])).await;
    let current = server.record("b").await.unwrap();
    server.tasks.update(&task("b", "of the server")).await.unwrap();
    let request = push(
        &mut other,
        vec![
            row(&task("b", "mine"), current.metadata.revision, 3),
            row(&task("gone", "x"), first.revision, 3),
            new_row("bad", 3),
        ],
    );
    let reply = server.manager.process_push(&ada(), request.clone()).await.unwrap();
    let last = (request, reply);

    // A client with a refused edit of a record and of nothing, a type that the server does not know, one to be fetched
    // anew, and a push whose answer was lost.
    let client = open_client(&server, on_client.clone()).await.unwrap();
    client.sync.pull().await.unwrap();
    client.tasks.update(&task("1", "bad")).await.unwrap();
    client.tasks.add(&task("3", "bad too")).await.unwrap();
    client.tasks.add(&task("4", "good")).await.unwrap();
    client.sync.push().await.unwrap();
    client.lists.hard_delete().await.unwrap();
    client.tasks.remove(&id("2")).await.unwrap();
    client.tasks.add_many(&[task("5", "more"), task("6", "")]).await.unwrap();
    client.link.fail_next(Fault::LoseReply);
    client.sync.push().await.unwrap_err();
    let in_flight = client.link.pushes.lock().unwrap().last().unwrap().clone();
    World { server: on_server, client: on_client, in_flight, last }
}

/// Fails if a stored form changes.
#[tokio::test]
async fn every_entry_is_as_in_its_file() {
    let world = world().await;
    let client = golden("client-1", &entries(&world.client).await);
    let server = golden("server-1", &entries(&world.server).await);
    for (keys, found) in [
        (
            vec![
                "role",
                "tenant",
                "device",
                "clock",
                "epoch",
                "cursor",
                "push",
                "push/",
                "unknown-types",
                "refetch/",
                "rejected/",
            ],
            &client,
        ),
        (vec!["role", "tenant", "device", "clock", "epoch", "cursor-key", "pushed/"], &server),
    ] {
        for key in keys {
            let is_of = |found: &String| match found.strip_prefix("fastsync/") {
                Some(rest) if key.ends_with('/') => rest.starts_with(key),
                rest => rest == Some(key),
            };
            assert!(found.keys().any(is_of), "there is an entry {key}");
        }
        for (key, value) in found {
            assert_eq!(value.first(), Some(&entry::FORM), "{key}");
        }
    }
}

/// Fails if a store does not go on where the release that wrote it has stopped.
#[tokio::test]
async fn a_store_of_form_1_goes_on() {
    let world = world().await;
    let client_1 = golden("client-1", &entries(&world.client).await);
    let server_1 = golden("server-1", &entries(&world.server).await);
    let server = open_server(with_entries(&world.server, &server_1).await).await.unwrap();
    let sessions = server.sessions(&Zone::Global).await;
    let again = server.manager.process_push(&ada(), world.last.0.clone()).await.unwrap();
    assert_eq!(again, world.last.1, "the receipt is given again");

    let client = open_client(&server, with_entries(&world.client, &client_1).await).await.unwrap();
    let rejected = client.sync.rejected().await.unwrap();
    let rejected: Vec<_> =
        rejected.iter().map(|edit| (edit.key.id.as_str(), edit.server.is_some(), &*edit.code)).collect();
    assert_eq!(rejected, [("1", true, "bad_word"), ("3", false, "bad_word")]);
    let status = client.sync.status().await.unwrap();
    assert!(status.push_in_flight && status.has_pulled);
    let report = client.sync.sync().await.unwrap();
    assert_eq!(client.link.pushes.lock().unwrap().clone(), vec![world.in_flight], "as it was sent");
    assert_eq!((report.push.sessions, report.push.forked), (1, false));
    assert_eq!(server.sessions(&Zone::Global).await, sessions, "it was processed before");
    let pulls = client.link.pulls.lock().unwrap().clone();
    assert!(pulls.iter().any(|(request, _)| request.cursor.is_some()), "the cursor is known");
    assert!(pulls.iter().all(|(_, reply)| matches!(reply, PullReply::Page(_))), "and continues");
    assert_eq!(client.sync.status().await.unwrap().rejected, 2);
}

/// Fails if an entry of a later release is taken for damage, is read as something else, or is overwritten.
#[tokio::test]
async fn an_entry_of_a_later_form_is_named_and_nothing_changes() {
    let world = world().await;
    let is_named = |error: Error, key: &str| {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{key}: {error}");
        assert!(error.message().contains("newer release"), "{key}: {error}");
    };
    for key in entries(&world.client).await.keys() {
        let server = open_server(world.server.snapshot()).await.unwrap();
        let later = with_later(&world.client, key).await;
        let before = entries(&later).await;
        is_named(open_client(&server, later.clone()).await.map(drop).unwrap_err(), key);
        assert_eq!(entries(&later).await, before, "{key}");
    }
    for key in entries(&world.server).await.keys() {
        let later = with_later(&world.server, key).await;
        let before = entries(&later).await;
        match open_server(later.clone()).await {
            Err(error) => is_named(error, key),
            Ok(server) => {
                assert!(key.starts_with("fastsync/pushed/"), "{key} is read when the store is opened");
                let mut request = world.last.0.clone();
                if !key.contains(&request.metadata.device.to_string()) {
                    request = world.in_flight.clone();
                }
                is_named(server.manager.process_push(&ada(), request).await.unwrap_err(), key);
            }
        }
        assert_eq!(entries(&later).await, before, "{key}");
    }
}

/// Fails if a later release that takes over a store while it is open is not noticed.
#[tokio::test]
async fn a_later_form_is_named_while_the_store_is_open() {
    let world = world().await;
    let met = ["fastsync/cursor", "fastsync/push", "fastsync/unknown-types", "fastsync/re"];
    for key in entries(&world.client).await.into_keys().filter(|key| met.iter().any(|m| key.starts_with(m))) {
        let server = open_server(world.server.snapshot()).await.unwrap();
        let open = world.client.snapshot();
        let client = open_client(&server, open.clone()).await.unwrap();
        let later = with_later(&world.client, &key).await.entry(&key).await.unwrap();
        write(&open, vec![StateWrite::set(&*key, later.clone())]).await;
        let error = client.sync.sync().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{key}: {error}");
        assert_eq!(open.entry(&key).await.unwrap(), later, "{key}");
    }
}
