//! What happens in a world, step by step.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    Error, ErrorKind, PendingEdits, Position, Record, Repository, SyncContext, SyncReport,
    SyncableRepositoryExt, TypeName, Zone,
};

use super::case::{Call, How, Step};
use super::check::{self, records_of};
use super::edit::{Who, edit};
use super::ledger::tokens;
use super::versions;
use super::world::{World, readable, user_of, zones};
use crate::model::{Item, LaterNote, Note, Shelf, TYPES};

/// Does one step.
pub(super) async fn step(world: &Arc<World>, step: &Step) {
    world.time.advance(7_000);
    let client_of = |client: &u8| usize::from(*client) % world.client_count();
    match step {
        Step::Edit { client, edit: what } => edit(world, Who::Client(client_of(client)), what).await,
        Step::ServerEdit { edit: what } => edit(world, Who::Server, what).await,
        Step::Sync { client, how, calls } => {
            let client = client_of(client);
            world.wire(client).expect(calls);
            let _ = synchronise(world, client, *how).await;
            world.wire(client).expect(&[]);
        }
        Step::HardReset { client, types, edits, calls } => {
            hard_reset(world, client_of(client), *types, *edits, calls).await;
        }
        Step::HardDelete { client, kind, zone } => hard_delete(world, client_of(client), *kind, *zone).await,
        Step::Purge { zone, keep } => purge(world, *zone, *keep).await,
        Step::RestartClient { client } => {
            world.ledger.note("restarts of a client");
            if let Err(error) = World::restart_client(world, client_of(client)).await {
                world.ledger.violated(format!("a client does not start again: {error}"));
            }
        }
        Step::RestartServer => {
            world.ledger.note("restarts of the server");
            if let Err(error) = world.restart_server().await {
                world.ledger.violated(format!("the server does not start again: {error}"));
            }
        }
        Step::UpgradeClient { client, to } => {
            World::upgrade_client(world, client_of(client), *to).await;
        }
        Step::UpgradeServer { to } => {
            world.upgrade_server(*to, ["upgrades of the server", "protocol upgrades of the server"]).await;
        }
        Step::Replay { client, which } => {
            let client = client_of(client);
            if let Some(request) = world.wire(client).sent(usize::from(*which)) {
                world.ledger.note("old pushes that arrived again");
                // Whatever the answer is: nobody waits for it. That nothing is committed twice is watched.
                let context = SyncContext::new(user_of(client));
                let _ = versions::serve_push(world, &context, request).await;
            }
        }
        Step::ClockJump { node, seconds } => {
            let node = usize::from(*node) % (world.client_count() + 1);
            world.clock(node).jump(i64::from(*seconds) * 1_000);
            world.ledger.note("clock jumps");
        }
        Step::Refused { client, discard } => refused(world, client_of(client), *discard).await,
    }
}

/// Synchronises, checks what a caught-up client shows, and says whether anything moved; `None` if it failed.
pub(super) async fn synchronise(world: &Arc<World>, client: usize, how: How) -> Option<bool> {
    let manager = world.client(client).manager;
    let outcome = match how {
        How::Push => manager.push().await.map(|push| {
            let mut report = SyncReport::default();
            report.push = push;
            report
        }),
        How::Pull => manager.pull().await.map(|pull| {
            let mut report = SyncReport::default();
            report.pull = pull;
            report
        }),
        How::Sync => match manager.sync().await {
            Ok(report) => Ok(report),
            Err(error) => {
                if let Ok(pull) = error.pull() {
                    world.ledger.note("pulls after a push that failed");
                    world.wire(client).set_torn(false);
                    check::caught_up(world, client, &TYPES, pull).await;
                }
                Err(error.into())
            }
        },
    };
    match outcome {
        Err(error) => {
            failed(world, client, &error);
            None
        }
        Ok(report) => {
            note(world, &report);
            if how != How::Push {
                world.wire(client).set_torn(false);
                check::caught_up(world, client, &TYPES, &report.pull).await;
            }
            Some(report.push.sessions > 0 || report.pull.received > 0)
        }
    }
}

fn note(world: &World, report: &SyncReport) {
    let mut facts = world.ledger.facts();
    let counts = &mut facts.counts;
    counts.note("synchronisations");
    counts.add("sessions pushed", report.push.sessions);
    counts.add("records pulled", report.pull.received);
    counts.add("conflicts settled by a push", report.push.conflicts.len() as u64);
    counts.add("conflicts settled by a pull", report.pull.conflicts.len() as u64);
    counts.add("edits refused", report.push.rejected);
    if report.pull.reset.is_some() {
        counts.note("pulls that had to start over");
    }
}

/// A call may fail for what the network did.
fn failed(world: &World, client: usize, error: &Error) {
    if !world.wire(client).may_have_failed(error.kind()) {
        world.ledger.violated(format!("client {client} cannot synchronise: {error} ({:?})", error.kind()));
    }
    world.ledger.note("synchronisations that failed");
}

/// The types of a reset, whether all of them, and whether it leaves the types of pairs at different times.
fn reset_types(choice: u8) -> (Vec<&'static str>, bool) {
    match choice % 5 {
        0 => (Vec::new(), false),
        1 => (vec!["notes"], false),
        2 => (vec!["shelves", "items"], false),
        3 => (vec!["shelves"], true),
        _ => (vec!["items"], true),
    }
}

async fn hard_reset(world: &Arc<World>, client: usize, types: u8, edits: u8, calls: &[Call]) {
    let (types, tears) = reset_types(types);
    let names: Vec<TypeName> = types.iter().map(|name| TypeName::new(name).expect("a type name")).collect();
    let edits = match edits % 3 {
        0 => PendingEdits::PushFirst,
        1 if !tears => PendingEdits::Discard,
        _ => PendingEdits::Refuse,
    };
    let calls: Vec<Call> = if edits == PendingEdits::Discard {
        // An edit made meanwhile may or may not be one of those to discard.
        calls.iter().filter(|call| !matches!(call, Call::Meanwhile { .. })).cloned().collect()
    } else {
        calls.to_vec()
    };
    let end = world.client(client);
    let concerned = |record: &Record| names.is_empty() || names.contains(&record.key.type_name);
    let pending = end.store.source().pending_after(0, usize::MAX >> 1).await.unwrap_or_default();
    let pending: Vec<Record> = pending.into_iter().filter(concerned).collect();
    let last = pending.iter().map(|record| record.metadata.change).max().unwrap_or(0);
    if edits == PendingEdits::Discard {
        excuse(world, &pending).await;
    }
    if tears {
        world.wire(client).set_torn(true);
    }
    world.wire(client).expect(&calls);
    let outcome = end.manager.hard_reset(&names, edits).await;
    match outcome {
        Err(error) if error.kind() == ErrorKind::PendingEdits => world.ledger.note("resets refused"),
        // Before it began, edits were to be pushed or a lost answer to be asked for.
        Err(error) => failed(world, client, &error),
        Ok(pull) => {
            world.ledger.note("hard resets");
            let left = end.store.source().pending_after(0, usize::MAX >> 1).await.unwrap_or_default();
            let waits = |record: &Record| pull.unknown_types.contains(&record.key.type_name);
            let kept = left
                .iter()
                .find(|record| concerned(record) && record.metadata.change <= last && !waits(record));
            if let Some(record) = kept.filter(|_| edits == PendingEdits::Discard) {
                world
                    .ledger
                    .violated(format!("client {client} discarded an edit that is still there: {record:?}"));
            }
            if types.is_empty() {
                world.wire(client).set_torn(false);
                check::caught_up(world, client, &TYPES, &pull).await;
            } else {
                check::caught_up(world, client, &types, &pull).await;
            }
        }
    }
    world.wire(client).expect(&[]);
}

/// Tokens that are in these local edits and not on the server need not survive.
async fn excuse(world: &World, edits: &[Record]) {
    let server = records_of(&world.server().store, &every_zone()).await;
    let present: BTreeSet<&str> = server.values().flat_map(tokens).collect();
    let mut facts = world.ledger.facts();
    for token in edits.iter().flat_map(tokens).filter(|token| !present.contains(token)) {
        facts.excuse(token);
    }
}

/// All zones there are.
pub(super) fn every_zone() -> Vec<Zone> {
    std::iter::once(Zone::Global).chain(zones()).collect()
}

async fn hard_delete(world: &World, client: usize, kind: u8, zone: u8) {
    let store = world.client(client).store;
    let outcome = match kind % 3 {
        0 => Repository::<Shelf>::new(&store).hard_delete().await,
        1 => Repository::<Item>::new(&store).hard_delete().await,
        _ => {
            let zones = readable(client);
            let zone = zones[1 + usize::from(zone) % (zones.len() - 1)].clone();
            if world.client_is_later(client) {
                Repository::<LaterNote>::in_zone(&store, zone).hard_delete().await
            } else {
                Repository::<Note>::in_zone(&store, zone).hard_delete().await
            }
        }
    };
    match outcome {
        Ok(()) => {
            world.ledger.note("hard deletes");
            if kind % 3 != 2 {
                world.wire(client).set_torn(true);
            }
        }
        Err(error) if error.kind() == ErrorKind::PendingEdits => {}
        Err(error) => world.ledger.violated(format!("client {client} cannot drop a type: {error}")),
    }
}

async fn purge(world: &World, zone: u8, keep: u8) {
    // A pull that was cut off, and goes on after a purge, may have seen the deletion of one half of a pair and not of the other;
    // an edit of that half then stays until it is pushed.
    for client in 0..world.client_count() {
        let source = world.client(client).store.source().clone();
        if !matches!(source.entry("fastsync/pull").await, Ok(None)) {
            return;
        }
    }
    let zones = every_zone();
    let zone = &zones[usize::from(zone) % zones.len()];
    let source = world.server().store.source().clone();
    let sessions = source.sessions_of(zone, Position::START, usize::MAX >> 1).await.unwrap_or_default();
    let through = (sessions.len() as u64).saturating_sub(u64::from(keep));
    match source.purge_tombstones(zone, Position(through)).await {
        Ok(purged) => world.ledger.facts().counts.add("tombstones purged", purged),
        Err(error) => world.ledger.violated(format!("the server cannot purge: {error}")),
    }
}

/// Discards or retries the edits that the server refused.
pub(super) async fn refused(world: &World, client: usize, discard: bool) {
    let end = world.client(client);
    let edits = end.manager.rejected().await.unwrap_or_default();
    if edits.is_empty() {
        return;
    }
    let outcome = if discard {
        let mut local = Vec::new();
        for edit in &edits {
            let key = &edit.key;
            let ids = std::slice::from_ref(&key.id);
            local.extend(end.store.source().get(&key.type_name, &key.zone, ids).await.unwrap_or_default());
        }
        excuse(world, &local).await;
        world.ledger.note("refused edits discarded");
        end.manager.discard_rejected(&edits).await
    } else {
        world.ledger.note("refused edits tried again");
        end.manager.retry_rejected(&edits).await
    };
    if let Err(error) = outcome {
        world.ledger.violated(format!("client {client} cannot decide about refused edits: {error}"));
    }
}
