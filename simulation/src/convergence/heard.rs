//! What a client hears of its edits: a call reports each one that gave way.

use std::collections::BTreeSet;

use fastsync_core::{Record, RecordKey, SettledConflict, Settlement};

use super::ledger::tokens;
use super::world::World;

/// A call of a client's manager that is under way.
pub(super) struct Heard {
    client: usize,
    /// The objects with edits when it began.
    edited: Vec<RecordKey>,
    /// The last token that was given before it began.
    last: u64,
}

impl Heard {
    pub(super) async fn begin(world: &World, client: usize) -> Self {
        let edited = pending(world, client).await.into_iter().map(|record| record.key).collect();
        Self { client, edited, last: world.ledger.facts().last() }
    }

    /// The call has ended, with these conflicts if it did not fail.
    pub(super) async fn end(self, world: &World, conflicts: Option<&[SettledConflict]>) {
        let Self { client, mut edited, last } = self;
        let waiting = pending(world, client).await;
        let waiting: BTreeSet<String> = waiting.iter().flat_map(tokens).map(str::to_owned).collect();
        let needless = needless(world, client, conflicts.unwrap_or_default()).await;
        let mut facts = world.ledger.facts();
        match conflicts {
            Some(conflicts) => facts.told(client, conflicts),
            None => {
                edited.extend(facts.edited_since(client, last));
                facts.untold(client, edited);
            }
        }
        facts.called(client, &waiting, conflicts.is_none());
        facts.violations.extend(needless);
    }
}

async fn pending(world: &World, client: usize) -> Vec<Record> {
    world.client(client).store.source().pending(0, usize::MAX >> 1).await.expect("a store can be read")
}

/// Edits that gave way to the very version that they were made on.
async fn needless(world: &World, client: usize, conflicts: &[SettledConflict]) -> Vec<String> {
    let store = world.client(client).store;
    let mut needless = Vec::new();
    for conflict in conflicts.iter().filter(|conflict| conflict.settlement == Settlement::KeptServer) {
        let Some(dropped) = conflict.dropped.as_ref().filter(|dropped| !dropped.is_deleted()) else {
            continue;
        };
        let key = &conflict.key;
        let found = store.source().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        let found = found.expect("a store can be read");
        let base = world.ledger.facts().base_of(client, dropped);
        // An object that is gone, tombstone and all, leaves a deletion with the base of the edit.
        if let Some(now) = found.first().filter(|now| !now.is_deleted())
            && base == Some(now.metadata.revision)
        {
            needless.push(format!(
                "client {client} dropped an edit for the version that it was made on: {dropped:?}"
            ));
        }
    }
    needless
}
