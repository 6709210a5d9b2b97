//! One case's server and devices, of either release, and what it notes and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use fastsync_core::*;

use super::network::{Lossy, Network};
use super::release::{DeviceEnd, Item, Objects, Release, ServerEnd};
use super::rules;
use crate::harness::Harness;
use crate::steps::Steps;

/// After so many syncs nothing waits, once both ends are upgraded.
const SYNCS: usize = 3;

/// How many samples are looked at for some that both releases can hold.
const TRIED: u64 = 100;

/// Which release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Old,
    New,
}

impl Which {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// A storage that is opened again and again.
pub(super) struct Storage {
    harness: Arc<dyn Harness>,
    /// Where nothing outlives its handles.
    kept: Mutex<Option<Arc<dyn SyncableDataSource>>>,
}

impl Storage {
    pub(super) fn new(harness: Arc<dyn Harness>) -> Self {
        Self { harness, kept: Mutex::default() }
    }

    pub(super) async fn open(&self) -> Arc<dyn SyncableDataSource> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept().clone() {
            return kept;
        }
        let opened = self.harness.open().await;
        if !self.harness.is_durable() {
            *kept() = Some(Arc::clone(&opened));
        }
        opened
    }
}

pub(super) struct World {
    pub(super) old: Arc<dyn Release>,
    pub(super) new: Arc<dyn Release>,
    pub(super) network: Arc<dyn Network>,
    pub(super) server: Storage,
    pub(super) device: Storage,
    /// Of a further device.
    pub(super) peer: MemoryDataSource,
    pub(super) steps: Arc<Steps>,
}

/// Objects of a release, by id: what is expected somewhere.
pub(super) type Expected = BTreeMap<ObjectId, Vec<Value>>;

pub(super) struct RunningServer {
    pub(super) which: Which,
    end: ServerEnd,
}

pub(super) struct Device {
    pub(super) which: Which,
    name: String,
    end: DeviceEnd,
}

impl World {
    pub(super) fn release(&self, which: Which) -> &dyn Release {
        match which {
            Which::Old => &*self.old,
            Which::New => &*self.new,
        }
    }

    pub(super) fn schema(&self, which: Which) -> &TypeSchema {
        self.release(which).schema()
    }

    /// Notes a step; an error ends the case.
    pub(super) async fn step<T>(&self, call: impl Into<String>, work: impl Future<Output = Result<T>>) -> T {
        let call = call.into();
        self.tried(call.clone(), work).await.unwrap_or_else(|error| panic!("{call}: {error}"))
    }

    /// Notes a step that may fail.
    pub(super) async fn tried<T>(&self, call: String, work: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.steps.begin(call);
        let result = work.await;
        let outcome = result.as_ref().map_or_else(|error| format!("error: {error}"), |_| "done".to_owned());
        self.steps.end(number, outcome);
        result
    }

    /// Samples of one release that the other can hold, too; `None`, and the case is skipped, if there are not so many.
    pub(super) fn samples(&self, which: Which, count: usize) -> Option<Vec<Item>> {
        let other = if which == Which::Old { Which::New } else { Which::Old };
        let fits = |item: &Item| {
            let there = rules::projected(item, self.schema(which), self.schema(other));
            self.release(other).read(there).is_ok()
        };
        let found: Vec<_> = self.any_samples(which).filter(fits).take(count).collect();
        let ids: BTreeSet<_> = found.iter().map(|item| &item.id).collect();
        assert_eq!(ids.len(), found.len(), "samples of other numbers have other ids");
        if found.len() < count {
            let (word, found) = (which.word(), found.len());
            self.steps.skip(format!("the other release can hold {found} of {TRIED} {word} samples"));
            return None;
        }
        Some(found)
    }

    /// Samples of one release. Those of the other have other numbers.
    pub(super) fn any_samples(&self, which: Which) -> impl Iterator<Item = Item> {
        let release = self.release(which);
        (0..TRIED).map(move |n| {
            let n = 2 * n + u64::from(which == Which::New);
            release.sample(n).unwrap_or_else(|error| {
                panic!("sample {n} of the {} type: {error}; give the macro `samples`", which.word())
            })
        })
    }

    /// The item as the type gives it back.
    pub(super) fn read(&self, which: Which, item: Item) -> Item {
        let shown = format!("{item:?}");
        self.release(which)
            .read(item)
            .unwrap_or_else(|error| panic!("the {} type cannot hold {shown}: {error}", which.word()))
    }

    pub(super) fn carried(&self, item: &Item) -> Item {
        let (old, new) = (self.schema(Which::Old), self.schema(Which::New));
        let carried = self.read(Which::New, rules::carried(item, old, new));
        let migrated = self.new.migrated(carried, rules::former(item, old, new));
        migrated.unwrap_or_else(|error| panic!("the migration fails for {item:?}: {error}"))
    }

    /// What is expected of the next release.
    pub(super) fn all_carried(&self, expected: Expected) -> Expected {
        let carry = |(id, body)| {
            let carried = self.carried(&Item { id, body });
            (carried.id, carried.body)
        };
        expected.into_iter().map(carry).collect()
    }

    /// What is expected after an edit of an object by a release.
    pub(super) fn edit(&self, expected: &mut Expected, at: Which, by: Which, edit: &Item) {
        let (to, from) = (self.schema(at), self.schema(by));
        let body = match expected.get(&edit.id) {
            Some(base) => rules::merged(base, to, from, &edit.body),
            None => rules::projected(edit, from, to).body,
        };
        let item = self.read(at, Item { id: edit.id.clone(), body });
        expected.insert(item.id, item.body);
    }

    /// Opens a store without anything to exchange.
    pub(super) async fn open(&self, role: StoreRole, which: Which) -> Result<Box<dyn Objects>> {
        let storage = if role == StoreRole::Server { &self.server } else { &self.device };
        let call = format!("open the {role:?} store with the {} type", which.word());
        self.tried(call, async { self.release(which).open(storage.open().await, role).await }).await
    }

    pub(super) async fn serve(&self, which: Which) -> RunningServer {
        let source = self.server.open().await;
        let call = format!("start a server with the {} type", which.word());
        RunningServer { which, end: self.step(call, self.release(which).serve(source)).await }
    }

    /// A device on the storage of the harness.
    pub(super) async fn device(&self, which: Which, server: &RunningServer) -> Device {
        self.device_on(self.device.open().await, "the device", which, server, false).await
    }

    /// The same one, to which the answers to pushes get lost.
    pub(super) async fn unlucky(&self, which: Which, server: &RunningServer) -> Device {
        self.device_on(self.device.open().await, "the device", which, server, true).await
    }

    /// A further device.
    pub(super) async fn peer(&self, which: Which, server: &RunningServer) -> Device {
        self.device_on(Arc::new(self.peer.clone()), "the other device", which, server, false).await
    }

    async fn device_on(
        &self,
        source: Arc<dyn SyncableDataSource>,
        name: &str,
        which: Which,
        server: &RunningServer,
        loses: bool,
    ) -> Device {
        let network = self.network.connect(server.end.manager.clone()).await;
        let link = Arc::new(Lossy::new(network, loses));
        let name = format!("{name} with the {} type", which.word());
        let end = self.step(format!("start {name}"), self.release(which).device(source, link)).await;
        Device { which, name, end }
    }

    /// Writes at the server.
    pub(super) async fn put_there(&self, server: &RunningServer, item: &Item) {
        self.step(format!("the server stores {item:?}"), server.end.objects.put(item)).await;
    }

    pub(super) async fn put(&self, device: &Device, item: &Item) {
        self.step(format!("{} stores {item:?}", device.name), device.end.objects.put(item)).await;
    }

    pub(super) async fn remove(&self, device: &Device, id: &ObjectId) {
        self.step(format!("{} removes {id}", device.name), device.end.objects.remove(id)).await;
    }

    /// Syncs. What waits is what has to: the type as a whole, if the server does not exchange it with this release.
    pub(super) async fn sync(&self, device: &Device, server: &RunningServer) {
        let report =
            self.step(format!("{} syncs", device.name), async { Ok(device.end.manager.sync().await?) }).await;
        assert!(!report.push.forked, "{}: nothing is pushed twice, expected; a fork, found", device.name);
        let exchange = self.exchange(device, server);
        let waiting: BTreeSet<_> =
            report.pull.unknown_types.union(&report.pull.outdated_types).cloned().collect();
        let expected = if exchange { BTreeSet::new() } else { [self.old.schema().name().clone()].into() };
        assert_eq!(waiting, expected, "{}: the types that wait at this server", device.name);
        if exchange {
            assert_eq!(self.pending(device).await, 0, "{}: edits that wait", device.name);
        }
    }

    pub(super) fn exchange(&self, device: &Device, server: &RunningServer) -> bool {
        rules::exchange(self.schema(device.which), self.schema(server.which))
    }

    pub(super) async fn pending(&self, device: &Device) -> u64 {
        let call = format!("count what waits on {}", device.name);
        self.step(call, device.end.manager.status()).await.pending
    }

    /// The answer to a push gets lost.
    pub(super) async fn lose(&self, device: &Device) {
        let call = format!("{} pushes and gets no answer", device.name);
        let found = self.tried(call, device.end.manager.push()).await.map_err(|error| error.kind());
        assert_eq!(found.err(), Some(ErrorKind::Timeout), "the answer is lost");
    }

    /// Both ends are upgraded: soon nothing waits, and all have what is expected.
    pub(super) async fn settle(&self, devices: &[&Device], server: &RunningServer, expected: &Expected) {
        for _ in 0..SYNCS {
            for device in devices {
                let call = format!("{} syncs", device.name);
                self.step(call, async { Ok(device.end.manager.sync().await?) }).await;
            }
        }
        self.check_server(server, expected).await;
        for device in devices {
            assert_eq!(self.pending(device).await, 0, "{}: edits after {SYNCS} syncs", device.name);
            let call = format!("look at what {} was refused", device.name);
            assert_eq!(self.step(call, device.end.manager.rejected()).await, [], "{}", device.name);
            self.check(device, server.which, expected).await;
        }
    }

    pub(super) async fn check_server(&self, server: &RunningServer, expected: &Expected) {
        let found = self.step("read the server", server.end.objects.all()).await;
        same("the server", self.schema(server.which), &found, expected);
    }

    /// A device has what the server is expected to have, as far as it has the fields.
    pub(super) async fn check(&self, device: &Device, at: Which, expected: &Expected) {
        let (to, from) = (self.schema(device.which), self.schema(at));
        let there = |(id, body): (&ObjectId, &Vec<Value>)| {
            let item = Item { id: id.clone(), body: body.clone() };
            let item = self.read(device.which, rules::projected(&item, from, to));
            (item.id, item.body)
        };
        let expected = expected.iter().map(there).collect();
        let found = self.step(format!("read {}", device.name), device.end.objects.all()).await;
        same(&device.name, to, &found, &expected);
    }

    /// All objects of a store.
    pub(super) async fn check_objects(&self, objects: &dyn Objects, which: Which, expected: &Expected) {
        let call = format!("read every object as the {} type", which.word());
        let found = self.step(call, objects.all()).await;
        same("the store", self.schema(which), &found, expected);
    }
}

pub(super) fn expected<'a>(items: impl IntoIterator<Item = &'a Item>) -> Expected {
    items.into_iter().map(|item| (item.id.clone(), item.body.clone())).collect()
}

/// Says what was expected and what was found, with the names of the fields.
fn same(place: &str, schema: &TypeSchema, found: &[Item], expected: &Expected) {
    let expected: Vec<_> =
        expected.iter().map(|(id, body)| Item { id: id.clone(), body: body.clone() }).collect();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name.as_str()).collect();
    let names = format!("id ({})", names.join(", "));
    assert!(
        found == expected,
        "{place} has other objects than expected\n    fields:   {names}\n    expected: {expected:?}\n    \
         found:    {found:?}"
    );
}
