//! Storing what the server has once more, for readers that learn of it in no other way.

use std::collections::BTreeMap;

use super::Server;
use super::push::contention;
use crate::context::SyncContext;
use crate::error::Result;
use crate::manager::SyncManager;
use crate::model::{
    Author, DeviceId, Hlc, Incarnation, ObjectId, Record, RecordKey, SessionKind, SyncMetadata, TypeName,
    Value, Zone,
};
use crate::source::{
    Action, Commit, CommitOutcome, Expect, OnMismatch, StateWrite, SyncableDataSourceExt as _, Write, Writes,
};

/// How often the records may move meanwhile.
const ATTEMPTS: usize = 16;

/// An object that a gateway's client is to receive with its next pull, as the server has it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Restamp {
    /// The object.
    pub key: RecordKey,
    /// If the server has neither the object nor a tombstone of it: a tombstone with these last values tells the client so.
    /// Without them nothing is stored then.
    pub values: Option<BTreeMap<String, Value>>,
}

impl Restamp {
    /// Stores again what there is of an object.
    #[must_use]
    pub const fn new(key: RecordKey) -> Self {
        Self { key, values: None }
    }

    /// Where there is nothing, stores a tombstone with these last values.
    #[must_use]
    pub fn or_deleted_with(self, values: BTreeMap<String, Value>) -> Self {
        Self { values: Some(values), ..self }
    }
}

impl SyncManager<Server> {
    /// Stores objects again as they are, in one session of a gateway made by `device`, with state entries of the gateway.
    ///
    /// A client that knows nothing but positions receives them with its next pull: so an edit of its own that was refused
    /// is undone. Nothing of the objects changes but their revision. What the user may not read is passed over, and no
    /// tombstone is made where the user may not write.
    ///
    /// # Errors
    /// `UnknownType`, `UnknownZone`, `Contention`; those of the policy and of the data source. Nothing is changed then.
    ///
    /// Cancellation: a dropped future leaves the whole session or none of it.
    pub async fn restamp(
        &self,
        context: &SyncContext,
        device: DeviceId,
        objects: Vec<Restamp>,
        notes: Vec<StateWrite>,
    ) -> Result<()> {
        let server = &self.inner;
        let store = &server.store;
        for object in &objects {
            store.check_zone(&object.key.type_name, &object.key.zone)?;
        }
        let access = server.policy.zones(context).await?;
        for _ in 0..ATTEMPTS {
            let (tag, revision) = store.new_tag();
            let mut current = server.current_of(&objects).await?;
            let mut state = notes.clone();
            let mut writes = Vec::with_capacity(objects.len());
            for Restamp { key, values } in &objects {
                let (mut record, expect) = match (current.remove(key), values) {
                    (Some(record), _) if access.can_read(&key.zone) => {
                        let expect = Expect::Revision(record.metadata.revision);
                        (record, expect)
                    }
                    (None, Some(values)) if access.can_write(&key.zone) => {
                        let metadata = SyncMetadata {
                            revision,
                            incarnation: Incarnation::from_bits(store.random().next_u64()),
                            modified_at: Hlc::new(store.now(), 0),
                            modified_by: device,
                            change: 0,
                        };
                        let tombstone = Record { key: key.clone(), body: None, metadata };
                        state.push(store.keep_last_values(&tombstone, values.clone())?);
                        (tombstone, Expect::Absent)
                    }
                    _ => continue,
                };
                record.metadata.revision = revision;
                let action = Action::Put { record, pending: false };
                writes.push(Write { action, expect, on_mismatch: OnMismatch::Abort });
            }
            if writes.is_empty() && state.is_empty() {
                return Ok(());
            }
            let keys = writes.iter().map(|write| write.action.key().clone()).collect();
            let commit = Commit {
                session: store.new_session(),
                kind: SessionKind::Push,
                author: Author { user: Some(context.user.clone()), device, number: 0 },
                at: store.now(),
                tag,
                positioned: true,
                clears: Vec::new(),
                writes: Writes::Inline(writes),
                state,
            };
            if let CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) =
                store.source().commit_alone(commit).await?
            {
                store.events().records(keys);
                return Ok(());
            }
        }
        Err(contention())
    }
}

impl Server {
    async fn current_of(&self, objects: &[Restamp]) -> Result<BTreeMap<RecordKey, Record>> {
        let mut ids: BTreeMap<(&TypeName, &Zone), Vec<ObjectId>> = BTreeMap::new();
        for Restamp { key, .. } in objects {
            ids.entry((&key.type_name, &key.zone)).or_default().push(key.id.clone());
        }
        let mut current = BTreeMap::new();
        for ((type_name, zone), ids) in ids {
            let records = self.store.source().get(type_name, zone, &ids).await?;
            current.extend(records.into_iter().map(|record| (record.key.clone(), record)));
        }
        Ok(current)
    }
}
