//! Processing a push.

use std::collections::BTreeMap;

use fastsync_core::protocol::Outcome;
use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{ObjectId, Record, RecordKey, Result, SyncContext, TypeName, Zone};

use crate::convert::contention;
use crate::edit::{Edit, Moment, Step};
use crate::memo::{self, Memo};
use crate::wire::{SyncObject, SyncOperationMetadata, SyncPayload};
use crate::{Inner, KnownType, PushReply, Refusal, may_go_to, no_zone};

/// How often a session is planned anew because the same push arrived twice at once.
const ATTEMPTS: usize = 8;

type Outcomes<T> = std::result::Result<T, Refusal>;

impl Inner {
    pub(crate) async fn process_push(
        &self,
        context: &SyncContext,
        payload: SyncPayload,
    ) -> Result<PushReply> {
        let SyncPayload { data, operation_metadata } = payload;
        let mut reply = PushReply::default();
        let names: Vec<String> = data.keys().cloned().collect();
        let mut edits = BTreeMap::new();
        for (name, objects) in names.iter().zip(data.into_values()) {
            match self.read_type(context, name, &operation_metadata, objects) {
                Ok(read) => {
                    for edit in read {
                        match edit {
                            // An object that is there twice: the later form counts.
                            Ok(edit) => drop(edits.insert(edit.key.clone(), edit)),
                            Err(refusal) => reply.refused.push(refusal),
                        }
                    }
                }
                Err(refusal) => reply.refused.push(refusal),
            }
        }
        for session in self.sessions(edits.into_values().collect()) {
            self.store(context, session, &mut reply).await?;
        }
        Ok(reply)
    }

    /// The objects of a type; an error is about the whole type.
    fn read_type<'a>(
        &'a self,
        context: &SyncContext,
        name: &'a str,
        metadata: &SyncOperationMetadata,
        objects: Vec<SyncObject>,
    ) -> Outcomes<impl Iterator<Item = Outcomes<Edit<'a>>>> {
        let KnownType { schema, zone } = self.known_type(context, name)?;
        let said = metadata.metadata.get(name).and_then(|metadata| metadata.sync_zone.as_deref());
        if !may_go_to(&zone, said) {
            return Err(no_zone(name));
        }
        Ok(objects.into_iter().map(move |object| Edit::read(name, schema, &zone, object)))
    }

    /// The edits in sessions of bounded size. Parents are stored before their children and deleted after them, also
    /// where they are in different sessions.
    fn sessions<'a>(&self, mut edits: Vec<Edit<'a>>) -> Vec<Vec<Edit<'a>>> {
        edits.sort_by_key(|edit| {
            let priority = i64::from(edit.schema.priority());
            (edit.deleted, if edit.deleted { -priority } else { priority })
        });
        let limits = self.limits.session;
        let mut sessions: Vec<Vec<Edit<'a>>> = Vec::new();
        let mut bytes = 0_usize;
        for edit in edits {
            let size = edit.approximate_bytes();
            match sessions.last_mut() {
                Some(session)
                    if session.len() < limits.records && bytes.saturating_add(size) <= limits.bytes =>
                {
                    bytes = bytes.saturating_add(size);
                    session.push(edit);
                }
                _ => {
                    bytes = size;
                    sessions.push(vec![edit]);
                }
            }
        }
        sessions
    }

    /// Stores one session.
    async fn store(&self, context: &SyncContext, edits: Vec<Edit<'_>>, reply: &mut PushReply) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            let current = self.current(&edits).await?;
            let moment = Moment { context, now: self.server.store().now() };
            let mut submission = self.server.submission(self.device(context));
            let mut refused = Vec::new();
            for edit in &edits {
                let current = current.get(&edit.key);
                // What is not there was hardly ever pushed before: that is found out only if it turns out otherwise.
                let memo = if current.is_some() || attempt > 0 {
                    let key = memo::key(context, &edit.key);
                    Memo::read(self.server.store().source().entry(&key).await?)?
                } else {
                    Memo::default()
                };
                match edit.step(&moment, current, memo, &submission)? {
                    Step::Done => {}
                    Step::Refuse(refusal) => refused.push(refusal),
                    Step::Submit(submitted) => submission.edits.push(submitted),
                }
            }
            let Some(outcomes) = self.server.submit(context, submission).await? else { continue };
            refused.extend(outcomes.into_iter().filter_map(|(key, outcome)| match outcome {
                Outcome::Rejected { code, message } => {
                    edits.iter().find(|edit| edit.key == key).map(|edit| edit.refused(code, message))
                }
                // However a conflict was settled.
                _ => None,
            }));
            reply.processed += edits.len().saturating_sub(refused.len());
            reply.refused.extend(refused);
            return Ok(());
        }
        Err(contention())
    }

    /// What is stored of the edited objects.
    async fn current(&self, edits: &[Edit<'_>]) -> Result<BTreeMap<RecordKey, Record>> {
        let mut ids: BTreeMap<(&TypeName, &Zone), Vec<ObjectId>> = BTreeMap::new();
        for edit in edits {
            ids.entry((&edit.key.type_name, &edit.key.zone)).or_default().push(edit.key.id.clone());
        }
        let mut current = BTreeMap::new();
        for ((type_name, zone), ids) in ids {
            let records = self.server.store().source().get(type_name, zone, &ids).await?;
            current.extend(records.into_iter().map(|record| (record.key.clone(), record)));
        }
        Ok(current)
    }
}
