//! Processing a push.

use std::collections::BTreeMap;

use fastsync_core::protocol::Outcome;
use fastsync_core::{ObjectId, Record, RecordKey, Result, SyncContext, TypeName, Zone};

use crate::convert::contention;
use crate::edit::{Edit, Step};
use crate::memo::{self, Memo};
use crate::refusal::{Refusal, RefusalAnswer, Refused};
use crate::shelf::Kind;
use crate::wire::{PullRequest, PushRequest};
use crate::{Inner, KnownType, PushReply, may_go_to, zone_refusal};

/// How often a session is planned anew because the same push arrived twice at once.
const ATTEMPTS: usize = 8;

impl Inner {
    pub(crate) async fn process_push(
        &self,
        context: &SyncContext,
        request: PushRequest,
    ) -> Result<PushReply> {
        self.shelf.sweep(self.server.store()).await?;
        let PushRequest { data, operation_metadata } = request;
        let mut reply = PushReply::default();
        let mut refused = Vec::new();
        let mut edits = BTreeMap::new();
        let names: Vec<String> = data.keys().cloned().collect();
        for (name, objects) in names.iter().zip(data.into_values()) {
            let known = match self.type_to_write(context, name, &operation_metadata) {
                Ok(known) => known,
                Err(refusal) => {
                    refused.extend(Refused::all_of(&refusal, objects));
                    reply.refused.push(refusal);
                    continue;
                }
            };
            for object in objects {
                match Edit::read(name, &known, object) {
                    Ok((edit, is_mended)) => {
                        if is_mended {
                            let message = "half a character was replaced by U+FFFD";
                            reply.mended.push(edit.remark("half_character", message));
                        }
                        // An object that is there twice: the later form counts.
                        edits.insert(edit.key.clone(), edit);
                    }
                    Err(object) => {
                        reply.refused.push(object.refusal.clone());
                        refused.push(*object);
                    }
                }
            }
        }
        for session in self.sessions(edits.into_values().collect()) {
            let (processed, more) = self.store(context, session).await?;
            reply.processed = reply.processed.saturating_add(processed);
            reply.refused.extend(more.iter().map(|refused| refused.refusal.clone()));
            refused.extend(more);
        }
        self.notice(context, reply.refused.iter().chain(&reply.mended));
        let is_success = |refusal: &Refusal| self.answer_to(&refusal.code) == RefusalAnswer::Success;
        if reply.refused.iter().all(is_success) {
            self.undo(context, &refused).await?;
            reply.undone = std::mem::take(&mut reply.refused);
        }
        Ok(reply)
    }

    /// The type that a client means to write, in its zone.
    fn type_to_write(
        &self,
        context: &SyncContext,
        name: &str,
        metadata: &PullRequest,
    ) -> std::result::Result<KnownType<'_>, Refusal> {
        let known = self.known_type(context, name)?;
        let Some(metadata) = metadata.metadata.get(name) else { return Ok(known) };
        let unreadable = || Refusal::of_type(name, "unreadable", "the type's metadata cannot be read");
        let metadata = PullRequest::read(metadata).ok_or_else(unreadable)?;
        let said = metadata.sync_zone.as_deref();
        if may_go_to(&known.zone, said) { Ok(known) } else { Err(zone_refusal(name, &known.zone, said)) }
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

    /// Stores one session; gives how many of its objects were processed, and the others.
    async fn store(&self, context: &SyncContext, edits: Vec<Edit<'_>>) -> Result<(usize, Vec<Refused>)> {
        let store = self.server.store();
        for attempt in 0..ATTEMPTS {
            let current = self.current(&edits).await?;
            let now = store.now();
            let mut submission = self.server.submission(self.device(context));
            let mut refused = Vec::new();
            for edit in &edits {
                let current = current.get(&edit.key);
                let name = memo::name(context, &edit.key);
                // What is not there was hardly ever pushed before: that is found out only if it turns out otherwise.
                let memo = if current.is_some() || attempt > 0 {
                    Memo::read(self.shelf.find(store, Kind::Pushed, &name).await?)?
                } else {
                    Memo::new(self.shelf.key(Kind::Pushed, now, &name))
                };
                // What an original server had was imported, deleted objects too: what is not here is deleted and purged.
                let is_gone = edit.lacks_its_object(current) && self.is_imported(&edit.key).await?;
                match edit.step(now, (current, is_gone), memo, &submission)? {
                    Step::Done => {}
                    Step::Refuse(object) => refused.push(*object),
                    Step::Submit(submitted) => submission.edits.push(submitted),
                }
            }
            let Some(outcomes) = self.server.submit(context, submission).await? else { continue };
            let by_key: BTreeMap<_, _> = edits.iter().map(|edit| (&edit.key, edit)).collect();
            refused.extend(outcomes.into_iter().filter_map(|(key, outcome)| match outcome {
                Outcome::Rejected { code, message } => {
                    by_key.get(&key).map(|edit| *edit.refused(code, message))
                }
                // However a conflict was settled.
                _ => None,
            }));
            return Ok((edits.len().saturating_sub(refused.len()), refused));
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
