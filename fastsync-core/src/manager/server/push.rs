//! Processing a push.

use std::collections::{BTreeMap, HashMap};

use super::Server;
use super::digest::digest;
use super::receipt::{Answer, LastPush, Standing};
use super::settle::{Decision, expected};
use crate::context::{SyncContext, ZoneAccess};
use crate::error::{Error, ErrorKind, Result};
use crate::manager::endpoint::Endpoint;
use crate::model::{Author, DeviceId, Record, RecordKey, Revision, SessionId, SessionKind, Tag, TypeName};
use crate::protocol::{Outcome, PushMode, PushReply, PushRequest};
use crate::source::{
    Action, Commit, CommitOutcome, Conflict, ConflictReason, Expect, OnMismatch, StateWrite,
    SyncableDataSourceExt as _, Turn, Write, Writes,
};
use crate::store::StateKey;

/// How often a session is committed anew because records that were settled moved again, before the device is asked to
/// come again.
const ATTEMPTS: usize = 16;

/// How an attempt to store a session ended.
pub(super) enum Stored {
    Now(Plan),
    /// A state entry is not as expected: another push of the device was faster.
    Moved,
    /// A session of this id is there: this very one, committed twice at once, or another one's.
    Before(Plan),
}

/// A session that was checked: what remains is to store it.
pub(super) struct Session<'a> {
    pub(super) context: &'a SyncContext,
    pub(super) access: ZoneAccess,
    pub(super) id: SessionId,
    pub(super) device: DeviceId,
    pub(super) number: u64,
    pub(super) mode: PushMode,
    /// Whether a version of the server's that stays is stored again, for readers that learn of it in no other way.
    pub(super) restamp: bool,
    pub(super) records: Vec<Record>,
    /// Why the values of some of the records do not fit their type.
    pub(super) unfit: BTreeMap<RecordKey, String>,
    /// The places of fields that the device does not have, by type.
    pub(super) missing: BTreeMap<TypeName, Vec<usize>>,
}

impl Server {
    pub(super) async fn process_push(
        &self,
        context: &SyncContext,
        request: PushRequest,
    ) -> Result<PushReply> {
        self.check_sender(context, &request.metadata)?;
        if request.number == 0 {
            return Err(Error::invalid("push", "pushes are numbered from 1"));
        }
        if !request.withdraw.is_empty() {
            return self.withdraw(context, &request).await;
        }
        let device = request.metadata.device;
        let state_key = StateKey::pushed_by(context.tenant.as_deref(), &context.user, device);
        // At once, so that the push that follows this one finds it.
        let begun = self.pushes.begin(&state_key, request.session, request.follows);
        let access = self.policy.zones(context).await?;
        let digest = digest(&request);
        let PushRequest { session: id, number, follows, mode, .. } = request;
        let columns = self.columns(&request.metadata.types);
        let missing = columns.iter().map(|(name, columns)| (name.clone(), columns.missing()));
        let read = match self.check_size(&request.payload).and_then(|()| self.read_payload(request)) {
            Ok(read) => read,
            // What was processed before stays so, whatever this server refuses now.
            Err(error) => {
                begun.progress.turn.comes().await;
                let stored = self.store.source().entry(&state_key).await?;
                let last = LastPush::decode(stored.as_deref())?;
                return match LastPush::standing(last.as_ref(), (number, id), follows, digest) {
                    Standing::Refused(reply) => Ok(reply),
                    Standing::Repeated(last) if last.outside(&columns).is_none() => {
                        self.receipt(last, &access, &columns).await
                    }
                    Standing::Repeated(_) | Standing::Next => Err(error),
                };
            }
        };
        let mut session = Session {
            context,
            access,
            id,
            device,
            number,
            mode,
            restamp: false,
            missing: missing.filter(|(_, places)| !places.is_empty()).collect(),
            records: read.records,
            unfit: read.unfit,
        };
        self.complete(&mut session).await?;
        let turn = &begun.progress.turn;
        let mut is_used = false;
        let mut foretold = match &begun.before {
            Some(before) => before.foretold().await,
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let (stored, last) = match foretold.take() {
                // The storage checks it when the turn comes.
                Some(last) => (Some(last.encode()?), Some(last)),
                None => {
                    turn.comes().await;
                    let stored = self.store.source().entry(&state_key).await?;
                    let last = LastPush::decode(stored.as_deref())?;
                    (stored, last)
                }
            };
            match LastPush::standing(last.as_ref(), (session.number, session.id), follows, digest) {
                Standing::Refused(reply) => return Ok(reply),
                Standing::Repeated(last) => return self.receipt(last, &session.access, &columns).await,
                Standing::Next if is_used => {
                    return Err(Error::invalid("push", "the session id was used by another push"));
                }
                Standing::Next => {}
            }
            // The same push may arrive twice at once: one of them finds the state moved, or the session there, and
            // looks again.
            let receipt = |plan: &Plan| {
                let answer =
                    Answer { number: session.number, digest, session: session.id, revision: plan.revision };
                LastPush::after(last.as_ref(), answer, plan.exceptions())
            };
            let state = |plan: &Plan| {
                let receipt = receipt(plan);
                let value = Some(receipt.encode()?);
                begun.progress.foretell(receipt);
                Ok(vec![StateWrite::replace(state_key.clone(), stored.clone(), value)])
            };
            match self.store_session(&session, turn, self.store.new_tag(), state).await? {
                Stored::Now(plan) => {
                    turn.over();
                    return match receipt(&plan).last {
                        Some(last) => self.receipt(last, &session.access, &columns).await,
                        None => Err(contention()),
                    };
                }
                Stored::Moved => {}
                Stored::Before(_) => is_used = true,
            }
        }
        Err(contention())
    }

    /// Commits the session in its turn, with what `state` keeps of it.
    pub(super) async fn store_session(
        &self,
        session: &Session<'_>,
        turn: &Turn,
        (tag, revision): (Tag, Revision),
        state: impl Fn(&Plan) -> Result<Vec<StateWrite>> + Send + Sync,
    ) -> Result<Stored> {
        let mut plan = Plan { revision, ..Plan::default() };
        for record in &session.records {
            if !session.access.can_write(&record.key.zone) {
                let message = "the zone does not exist or may not be written".to_owned();
                plan.leave(record.key.clone(), Outcome::Rejected { code: "zone".to_owned(), message });
            } else if let Some(message) = session.unfit.get(&record.key) {
                let refused = Outcome::Rejected { code: "invalid".to_owned(), message: message.clone() };
                plan.leave(record.key.clone(), refused);
            } else if let Err(rejection) = self.endpoint_of(record)?.validate(record) {
                let refused = Outcome::Rejected { code: rejection.code, message: rejection.message };
                plan.leave(record.key.clone(), refused);
            }
        }
        let mut pushed = HashMap::new();
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            if session.mode == PushMode::Atomic && plan.outcomes.values().any(is_rejection) {
                plan.abort(&session.records);
            }
            let writes = plan.writes(&session.records);
            // A push keeps a receipt also where nothing is stored of it; a submission has nothing to keep then.
            if writes.is_empty() && session.number == 0 {
                return Ok(Stored::Now(plan));
            }
            let keys = writes.iter().map(|write| write.action.key().clone()).collect();
            let commit = Commit {
                session: session.id,
                kind: SessionKind::Push,
                author: Author {
                    user: Some(session.context.user.clone()),
                    device: session.device,
                    number: session.number,
                },
                at: self.store.now(),
                tag,
                positioned: true,
                clears: Vec::new(),
                writes: Writes::Inline(writes),
                state: state(&plan)?,
            };
            match self.store.source().commit(commit, turn.clone()).await? {
                CommitOutcome::Applied(_) => {
                    let newest = session.records.iter().map(|record| record.metadata.modified_at).max();
                    self.store.hybrid().observe(self.store.clock(), newest.unwrap_or_default());
                    self.store.events().records(keys);
                    return Ok(Stored::Now(plan));
                }
                CommitOutcome::Duplicate(_) => return Ok(Stored::Before(plan)),
                CommitOutcome::Conflicts { state, .. } if !state.is_empty() => return Ok(Stored::Moved),
                CommitOutcome::Conflicts { writes: conflicts, .. } => {
                    attempts += 1;
                    if pushed.is_empty() {
                        pushed = session.records.iter().map(|record| (&record.key, record)).collect();
                    }
                    for conflict in conflicts {
                        let Some(record) = pushed.get(conflict.write.action.key()) else {
                            let message = "a conflict names a record that was not written";
                            return Err(Error::new(ErrorKind::Backend, "push", message));
                        };
                        // An outcome names some of the conflicts only: the next one may name others.
                        if !plan.settled.contains_key(&record.key) {
                            attempts = 0;
                        }
                        self.settle_write(session, record, conflict, &mut plan).await?;
                    }
                }
            }
        }
        Err(contention())
    }

    /// Settles one conflict and changes the plan accordingly.
    async fn settle_write(
        &self,
        session: &Session<'_>,
        pushed: &Record,
        conflict: Conflict,
        plan: &mut Plan,
    ) -> Result<()> {
        let key = pushed.key.clone();
        let pushed = session.completed(pushed, conflict.current.as_ref());
        let pushed = &*pushed;
        if let ConflictReason::Constraint(message) = conflict.reason {
            plan.leave(key, Outcome::Rejected { code: "constraint".to_owned(), message });
            return Ok(());
        }
        // Clients of a gateway share one.
        let is_of_one_device = session.number != 0;
        match self.settle(conflict.current.as_ref(), pushed, is_of_one_device).await? {
            Decision::Leave(Outcome::Superseded) if session.restamp => {
                // Where nothing is left of the object, a tombstone tells it.
                let gone = || Record { body: None, ..pushed.clone() };
                let stays = conflict.current.clone().unwrap_or_else(gone);
                let write = put(&stays, still(conflict.current.as_ref()), plan.revision);
                plan.store(key, write, Some(Outcome::Superseded));
            }
            Decision::Leave(outcome) => plan.leave(key, outcome),
            Decision::Store { record, outcome } => {
                plan.store(key, put(&record, still(conflict.current.as_ref()), plan.revision), outcome);
            }
        }
        Ok(())
    }

    fn endpoint_of(&self, record: &Record) -> Result<&Endpoint> {
        let name = &record.key.type_name;
        self.endpoints.get(name).ok_or_else(|| crate::protocol::unknown_type(name))
    }
}

fn put(record: &Record, expect: Expect, revision: Revision) -> Write {
    let mut record = record.clone();
    record.metadata.revision = revision;
    Write { action: Action::Put { record, pending: false }, expect, on_mismatch: OnMismatch::Abort }
}

/// That a record is as it was when its conflict was settled.
fn still(current: Option<&Record>) -> Expect {
    current.map_or(Expect::Absent, |current| Expect::Revision(current.metadata.revision))
}

fn is_rejection(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected { .. })
}

/// What is stored of a session: each record as it was pushed, but for those that were settled otherwise.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) revision: Revision,
    /// What to write in place of a pushed record; `None`: nothing.
    settled: BTreeMap<RecordKey, Option<Write>>,
    /// What to tell of records that are not stored as pushed.
    outcomes: BTreeMap<RecordKey, Outcome>,
}

impl Plan {
    pub(super) fn is_rejected(&self, key: &RecordKey) -> bool {
        self.outcomes.get(key).is_some_and(is_rejection)
    }

    pub(super) fn exceptions(&self) -> Vec<(RecordKey, Outcome)> {
        self.outcomes.iter().map(|(key, outcome)| (key.clone(), outcome.clone())).collect()
    }

    fn leave(&mut self, key: RecordKey, outcome: Outcome) {
        self.settled.insert(key.clone(), None);
        self.outcomes.insert(key, outcome);
    }

    fn store(&mut self, key: RecordKey, write: Write, outcome: Option<Outcome>) {
        self.settled.insert(key.clone(), Some(write));
        match outcome {
            Some(outcome) => self.outcomes.insert(key, outcome),
            None => self.outcomes.remove(&key),
        };
    }

    /// In an atomic session that is refused nothing is stored, and every other object is named as aborted.
    fn abort(&mut self, records: &[Record]) {
        for record in records {
            if !self.is_rejected(&record.key) {
                let code = "aborted".to_owned();
                let message = "another object of the session was refused".to_owned();
                self.leave(record.key.clone(), Outcome::Rejected { code, message });
            }
        }
    }

    fn writes(&self, records: &[Record]) -> Vec<Write> {
        records
            .iter()
            .filter_map(|record| match self.settled.get(&record.key) {
                Some(settled) => settled.clone(),
                None => Some(put(record, expected(record.metadata.revision), self.revision)),
            })
            .collect()
    }
}

pub(super) fn contention() -> Error {
    Error::new(ErrorKind::Contention, "push", "the records of the session keep moving")
}
