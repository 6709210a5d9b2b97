//! What a transaction keeps beside its records: the ends of the zones, the sessions, and the state entries.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fastsync_core::source::rules::{self, Verdict};
use fastsync_core::source::{Action, ExpectState, Receipt, StateConflict, Write};
use fastsync_core::{Position, SessionId, Tag, TypeName, Zone};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use crate::audit::{by_ids, read_receipt};
use crate::bulk::{Bulk, Verb};
use crate::codec::{binary, read_uuid, signed, unsigned, uuid_ref};
use crate::command::{SESSIONS, STATE, ZONES, any_of, fields, find, raw, whole};
use crate::error::{Fail, Run};
use crate::job::{CHANGES, Job};
use crate::read::read_state;
use crate::tx::Tx;

/// The end of a zone's history, or of the numbering of local commits.
#[derive(Debug, Default)]
struct End {
    number: u64,
    tag: u64,
    moved: bool,
}

/// What a commit has written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    positions: BTreeMap<Zone, u64>,
    put: rules::Tally<Zone, TypeName>,
    change: u64,
}

/// What a write is given by its commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    /// The position in the record's zone; 0 if the commit takes none.
    pub(crate) position: u64,
    /// The number of the local commit.
    pub(crate) change: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By the `_id` in `fastsync_zones`.
    ends: BTreeMap<String, End>,
    /// The sessions that are committed already, with the call that committed them.
    committed: HashMap<SessionId, (Receipt, Option<ObjectId>)>,
    /// The state entries that are expected or written, as they are now.
    state: HashMap<String, Option<Vec<u8>>>,
    written: BTreeSet<String>,
    sessions: Vec<RawDocumentBuf>,
}

impl Ledger {
    /// Takes the turns, and reads the sessions of these commits as they are.
    pub(crate) async fn open(tx: &mut Tx<'_>, jobs: &[Job], turns: &BTreeSet<String>) -> Run<Self> {
        let mut ledger = Self::default();
        for turn in turns {
            ledger.touch(tx, turn).await?;
        }
        let read = &mut |document: &RawDocument| {
            let id = SessionId::from_uuid(read_uuid(document.get_binary("_id")?)?);
            let attempt = document.get_object_id("attempt").ok();
            Ok((id, (read_receipt(document)?, attempt)))
        };
        let ids = by_ids(jobs.iter().map(|job| job.commit.session));
        ledger.committed.extend(tx.all(ids, read).await?);
        Ok(ledger)
    }

    /// Writes a zone's document first of all: whoever else has done so since has the turn.
    async fn touch(&mut self, tx: &mut Tx<'_>, turn: &str) -> Run<()> {
        let zones = tx.store.database.collection::<Document>(ZONES);
        let none = doc! { "head": 0_i64, "tag": 0_i64, "horizon": 0_i64 };
        let update = doc! { "$inc": { "turn": 1_i64 }, "$setOnInsert": none };
        let touching = zones.find_one_and_update(doc! { "_id": turn }, update).upsert(true);
        let touched = touching.return_document(ReturnDocument::After).session(&mut tx.session).await?;
        let touched = touched.unwrap_or_default();
        let (Some(head), Some(tag)) = (whole(touched.get("head")), whole(touched.get("tag"))) else {
            return Err(Fail::corrupt("a zone has no head"));
        };
        self.ends.insert(turn.to_owned(), End { number: unsigned(head), tag: unsigned(tag), moved: false });
        Ok(())
    }

    /// Reads the state entries that something is expected of.
    pub(crate) async fn read_state(&mut self, tx: &mut Tx<'_>, jobs: &[Job]) -> Run<()> {
        let mut keys = RawArrayBuf::new();
        for write in jobs.iter().flat_map(|job| &job.commit.state) {
            if write.expect != ExpectState::Anything && self.state.insert(write.key.clone(), None).is_none() {
                keys.push(write.key.as_str());
            }
        }
        if !self.state.is_empty() {
            let found = tx.all(find(STATE, &any_of(&keys)), &mut read_state).await?;
            self.state.extend(found.into_iter().map(|(key, value)| (key, Some(value))));
        }
        Ok(())
    }

    /// Whether a commit is there because this call of it went through before.
    pub(crate) fn is_own(&self, job: &Job) -> bool {
        self.committed.get(&job.commit.session).is_some_and(|(_, attempt)| *attempt == Some(job.attempt))
    }

    /// The receipt of a commit that is there already.
    pub(crate) fn duplicate(&self, job: &Job) -> Option<Receipt> {
        self.committed.get(&job.commit.session).map(|(receipt, _)| receipt.clone())
    }

    pub(crate) fn state_conflicts(&self, job: &Job) -> Vec<StateConflict> {
        let mut verdict = Verdict::default();
        for write in &job.commit.state {
            verdict.state(write, self.state.get(&write.key).and_then(Option::as_deref));
        }
        verdict.into_state()
    }

    /// What a write gets from its commit: the next position of its zone, the number of the local commit.
    pub(crate) fn give(&mut self, job: &Job, write: &Write, tally: &mut Tally) -> Run<Given> {
        let Action::Put { record, pending } = &write.action else { return Ok(Given::default()) };
        let key = &record.key;
        tally.put.put(&key.zone, &key.type_name, *pending);
        if *pending && tally.change == 0 {
            tally.change = self.advance(CHANGES, Tag(0))?;
        }
        let position = match tally.positions.get(&key.zone) {
            Some(position) => *position,
            None if job.commit.positioned => {
                let position = self.advance(&key.zone.to_string(), job.commit.tag)?;
                tally.positions.insert(key.zone.clone(), position);
                position
            }
            None => 0,
        };
        Ok(Given { position, change: tally.change })
    }

    fn advance(&mut self, turn: &str, tag: Tag) -> Run<u64> {
        let end = self.ends.get_mut(turn).ok_or_else(|| Fail::corrupt("a zone was not touched"))?;
        end.number = end.number.saturating_add(1);
        (end.tag, end.moved) = (tag.0, true);
        Ok(end.number)
    }

    /// Notes a commit as applied: its session, its state entries. Gives its receipt.
    pub(crate) fn note(&mut self, job: &Job, tally: &Tally) -> Receipt {
        let commit = &job.commit;
        let positions = tally.positions.iter().map(|(zone, at)| (zone.clone(), Position(*at))).collect();
        let receipt = Receipt { positions, change: tally.change, skipped: Vec::new() };
        let place = |(zone, position): (&Zone, &u64)| {
            fields([("zone", zone.to_string().as_str().into()), ("position", signed(*position).into())])
        };
        let places: RawArrayBuf = tally.positions.iter().map(place).collect();
        let count = |(name, records): (TypeName, u64)| {
            fields([("type", name.as_str().into()), ("records", signed(records).into())])
        };
        let counts: RawArrayBuf = tally.put.by_type().into_iter().map(count).collect();
        let mut session = fields([
            ("_id", uuid_ref(commit.session.as_uuid().as_bytes())),
            ("attempt", job.attempt.into()),
            ("kind", commit.kind.name().into()),
        ]);
        if let Some(user) = &commit.author.user {
            session.append_ref("user", user.as_str());
        }
        session.append_ref("device", uuid_ref(commit.author.device.as_uuid().as_bytes()));
        session.append_ref("number", signed(commit.author.number));
        session.append_ref("committed_at", signed(commit.at.as_millis()));
        session.append_ref("tag", signed(commit.tag.0));
        session.append_ref("change", signed(tally.change));
        session.append_ref("positions", &places);
        session.append_ref("counts", &counts);
        self.sessions.push(session);
        for write in &commit.state {
            self.state.insert(write.key.clone(), write.value.clone());
            self.written.insert(write.key.clone());
        }
        self.committed.insert(commit.session, (receipt.clone(), None));
        receipt
    }

    /// Writes sessions, state entries and the ends of the zones.
    pub(crate) async fn write(self, tx: &mut Tx<'_>) -> Run<()> {
        let mut sessions = Bulk::new(Verb::Insert, SESSIONS);
        self.sessions.into_iter().for_each(|session| sessions.push(session, None));
        let (mut set, mut removed) = (Bulk::new(Verb::Update, STATE), Bulk::new(Verb::Delete, STATE));
        for key in &self.written {
            let key = key.as_str();
            match self.state.get(key).and_then(Option::as_ref) {
                Some(value) => {
                    set.update(key, &fields([("_id", key.into()), ("value", binary(value))]), None)
                }
                None => removed.delete(key, None),
            }
        }
        let mut ends = Bulk::new(Verb::Update, ZONES);
        for (turn, end) in self.ends.iter().filter(|(_, end)| end.moved) {
            let next = raw(&doc! { "$set": { "head": signed(end.number), "tag": signed(end.tag) } })?;
            ends.update(turn.as_str(), &next, None);
        }
        for bulk in [sessions, set, removed, ends] {
            bulk.run(tx).await?;
        }
        Ok(())
    }
}
