//! What has to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    Position, PullReport, Query, Record, RecordKey, Repository, SessionKind, Store, SyncableRepositoryExt,
    TypeName, Value, Zone,
};

use super::case::{How, Upgrade};
use super::edit::PAIRS;
use super::ledger::tokens;
use super::steps::{every_zone, refused, synchronise};
use super::world::{World, readable};
use crate::model::{Item, Shelf, TYPES};

/// In how many rounds everyone is in step once nothing fails any more.
const ROUNDS: usize = 10;

/// The live records of a store in these zones.
pub(super) async fn records_of(store: &Store, zones: &[Zone]) -> BTreeMap<RecordKey, Record> {
    let mut records = BTreeMap::new();
    for zone in zones {
        for name in TYPES {
            let restricted = name == "notes";
            if restricted == (*zone == Zone::Global) {
                continue;
            }
            let query = Query::all(TypeName::new(name).expect("a type name"), zone.clone());
            let found = store.source().find(&query).await.expect("a store can be read").records;
            records.extend(found.into_iter().map(|record| (record.key.clone(), record)));
        }
    }
    records
}

/// A client that has just caught up by this pull: what it has not edited itself is what the server has, but for the types
/// that the server did not have as the client has them.
pub(super) async fn caught_up(world: &World, client: usize, types: &[&str], pull: &PullReport) {
    if !pull.unknown_types.is_empty() {
        world.ledger.note("pulls that left a type waiting");
        if !world.client_is_later(client) {
            world
                .ledger
                .violated(format!("{:?} wait for client {client}, which is not ahead", pull.unknown_types));
        }
    }
    if pull.forgotten > 0 {
        world.ledger.violated(format!("client {client} takes {} objects for forgotten", pull.forgotten));
    }
    let zones = readable(client);
    let of_types = |key: &RecordKey| {
        types.contains(&key.type_name.as_str()) && !pull.unknown_types.contains(&key.type_name)
    };
    let store = world.client(client).store;
    let local = records_of(&store, &zones).await;
    let server = records_of(&world.server().store, &zones).await;
    let edited = store.source().pending_after(0, usize::MAX >> 1).await.unwrap_or_default();
    let edited: BTreeSet<RecordKey> = edited.into_iter().map(|record| record.key).collect();
    world.ledger.note("caught-up clients compared");
    for key in local.keys().chain(server.keys()).filter(|key| of_types(key) && !edited.contains(*key)) {
        compare(world, client, key, local.get(key), server.get(key));
    }
    if !world.wire(client).is_torn() {
        pairs(world, &format!("client {client}"), &store).await;
    }
}

fn compare(world: &World, client: usize, key: &RecordKey, local: Option<&Record>, server: Option<&Record>) {
    // The fields that both have stand first.
    let bodies = [local, server].map(|record| record.and_then(|record| record.body.as_ref()));
    let shared = bodies.into_iter().flatten().map(Vec::len).min().unwrap_or(0);
    let view = |record: Option<&Record>| {
        let fields = |body: &Vec<Value>| body.iter().take(shared).cloned().collect::<Vec<_>>();
        record.map(|record| (record.body.as_ref().map(fields), record.metadata.revision))
    };
    let (local, server) = (view(local), view(server));
    if local != server {
        world.ledger.violated(format!(
            "client {client} caught up and shows {key:?} as {local:?}, the server as {server:?}"
        ));
    }
}

/// The shelf and the item of a pair are written together only.
async fn pairs(world: &World, whose: &str, store: &Store) {
    let counters = |counters: Vec<(String, i64)>| -> BTreeMap<String, i64> {
        counters.into_iter().filter(|(id, _)| PAIRS.contains(&id.as_str())).collect()
    };
    let shelves = Repository::<Shelf>::new(store).get_all().await.expect("shelves can be read");
    let items = Repository::<Item>::new(store).get_all().await.expect("items can be read");
    let shelves = counters(shelves.into_iter().map(|shelf| (shelf.id, shelf.counter)).collect());
    let items = counters(items.into_iter().map(|item| (item.id, item.counter)).collect());
    world.ledger.facts().counts.add("pairs compared", shelves.len() as u64);
    if shelves != items {
        world.ledger.violated(format!("{whose} shows half a session: shelves {shelves:?}, items {items:?}"));
    }
}

/// The end of a case: faults stop, everyone synchronises until nothing moves, and everything is accounted for.
pub(super) async fn end(world: &Arc<World>) {
    // Long enough for every refused clock to be right by now.
    world.time.advance(3 * 86_400_000);
    for node in 0..=world.client_count() {
        world.clock(node).correct();
    }
    for client in 0..world.client_count() {
        world.wire(client).expect(&[]);
    }
    // What waits for the server's next release waits until it is there. A client may stay behind for ever.
    if (0..world.client_count()).any(|client| world.client_is_later(client)) {
        world.upgrade_server(Upgrade::Types, ["upgrades of the server at the end"; 2]).await;
    }
    // A server that did not start is not asked anything.
    if !world.ledger.facts().violations.is_empty() {
        return;
    }
    if !settle(world).await || !world.ledger.facts().violations.is_empty() {
        return;
    }
    for client in 0..world.client_count() {
        refused(world, client, true).await;
    }
    if !settle(world).await {
        return;
    }
    everyone_is_equal(world).await;
    nothing_is_lost(world).await;
    audit(world).await;
}

/// Synchronises everyone until two rounds in a row move nothing.
async fn settle(world: &Arc<World>) -> bool {
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        let mut moved = false;
        for client in 0..world.client_count() {
            match synchronise(world, client, How::Sync).await {
                Some(this) => moved |= this,
                None => {
                    world.ledger.violated(format!("client {client} fails although nothing is wrong"));
                    return false;
                }
            }
        }
        quiet = if moved { 0 } else { quiet + 1 };
        if quiet == 2 {
            return true;
        }
    }
    world.ledger.violated(format!("records still move after {ROUNDS} rounds"));
    false
}

async fn everyone_is_equal(world: &World) {
    for client in 0..world.client_count() {
        let zones = readable(client);
        let store = world.client(client).store;
        let pending = store.source().pending_after(0, usize::MAX >> 1).await.unwrap_or_default();
        if let Some(record) = pending.first() {
            world.ledger.violated(format!("client {client} still has an edit to push: {record:?}"));
        }
        let local = records_of(&store, &zones).await;
        let server = records_of(&world.server().store, &zones).await;
        for key in local.keys().chain(server.keys()) {
            compare(world, client, key, local.get(key), server.get(key));
        }
        pairs(world, &format!("client {client}"), &store).await;
    }
    pairs(world, "the server", &world.server().store).await;
}

/// Under a rule that merges every edit, an accepted edit is there unless its object was deleted.
async fn nothing_is_lost(world: &World) {
    if world.setup.rule != crate::model::Rule::Union {
        return;
    }
    let server = records_of(&world.server().store, &every_zone()).await;
    let present: BTreeSet<String> = server.values().flat_map(tokens).map(str::to_owned).collect();
    let mut facts = world.ledger.facts();
    let accountable = facts.accountable() as u64;
    facts.counts.add("edits accounted for", accountable);
    let lost = facts.lost(&present);
    facts.violations.extend(lost);
}

/// The audit names every push once, and positions have no gaps.
async fn audit(world: &World) {
    let source = world.server().store.source().clone();
    let mut pushes = BTreeSet::new();
    for zone in every_zone() {
        let sessions = source.sessions_of(&zone, Position::START, usize::MAX >> 1).await.unwrap_or_default();
        for (session, expected) in sessions.iter().zip(1..) {
            let at = session.positions.iter().find(|(of, _)| *of == zone).map(|(_, position)| position.0);
            if at != Some(expected) {
                world.ledger.violated(format!("a session of {zone} is at {at:?} instead of {expected}"));
            }
            if session.kind == SessionKind::Push {
                pushes.insert((session.author.device, session.author.number));
            }
        }
    }
    let mut facts = world.ledger.facts();
    // A push of which every object was superseded or refused takes no position.
    if pushes.len() > facts.pushes() {
        facts.violations.push("the audit names pushes that were not committed".to_owned());
    }
    let count = pushes.len() as u64;
    facts.counts.add("pushes in the audit", count);
}
