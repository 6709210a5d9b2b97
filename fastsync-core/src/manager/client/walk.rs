//! A walk over the server's pages, kept so that a pull that is cut off goes on where it was.
//!
//! Each page is staged, and then a note says where the next one begins. A crash in between leaves a batch that no note
//! knows of: the pages that are fetched again bring each of its records again, in that state or a later one, under a later
//! sequence number. No number is used twice, so no page that is fetched again is taken for the one before: it may end
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Asides;
use super::history::LostHistory;
use super::note::Note;
use super::pull::PullPlan;
use super::seen::Seen;
use super::{Client, SyncPhase, SyncProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, RecordKey, SessionId, TypeName};
use crate::protocol::{Cursor, PullPage, PullRequest, SyncOperationMetadata};
use crate::source::{
    CommitOutcome, ExpectState, ResetReason, StateWrite, SyncableDataSourceExt as _, Write, Writes,
};
use crate::store::StateKey;

/// How many sequence numbers a walk that goes on leaves out: the walk before may have used some that no note knows of, two
/// at most.
const STRIDE: u64 = 16;

/// What a pull has seen so far.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) session: SessionId,
    /// The next sequence number; 0 as long as nothing is staged.
    pub(super) staged: u64,
    pub(super) received: u64,
    pub(super) total: Option<u64>,
    pub(super) newest: Option<Hlc>,
    /// Types that the server does not exchange with this client, and those of them that it asks a later version of.
    pub(super) waiting: BTreeSet<TypeName>,
    pub(super) outdated: BTreeSet<TypeName>,
    /// Those of them that the last page has named, whose cursor is kept.
    pub(super) waits_at_end: BTreeSet<TypeName>,
    /// Objects with a refused edit that are fetched anew and did not come.
    pub(super) not_seen: BTreeSet<RecordKey>,
    pub(super) asides: Asides,
    /// What it has seen of the types that it fetches anew and not kept yet.
    pub(super) seen: Seen,
    /// The entry of the queue of pushes, as it was before the last pages were asked for.
    pub(super) pushed: Option<Vec<u8>>,
    /// As it was when the walk began: what was pushed since comes again, and ends what is staged of it.
    pub(super) own_through: u64,
    /// Whether it is in the last leg.
    pub(super) is_last_leg: bool,
    /// Where in its leg it goes on; none at the beginning.
    pub(super) place: Option<Cursor>,
    /// Whether another pull began it.
    pub(super) goes_on: bool,
    began_from: [u8; 32],
    anew: BTreeMap<TypeName, u64>,
    reset: Option<ResetReason>,
    lost: LostHistory,
    /// The note as it is stored.
    noted: Option<Vec<u8>>,
}

impl Walk {
    /// The entry that its end removes, if it has left one.
    pub(super) fn end(&self) -> Option<StateWrite> {
        let expect = ExpectState::Value(self.noted.clone()?);
        Some(StateWrite { key: StateKey::PULL.to_owned(), expect, value: None })
    }

    fn note(&self) -> Result<Vec<u8>> {
        let (superseded, unfit) = self.asides.seen()?;
        let note = Note {
            began_from: self.began_from,
            anew: self.anew.clone(),
            reset: self.reset,
            session: self.session,
            staged: self.staged,
            received: self.received,
            newest: self.newest,
            waiting: self.waiting.clone(),
            outdated: self.outdated.clone(),
            not_seen: self.not_seen.clone(),
            own_through: self.own_through,
            is_last_leg: self.is_last_leg,
            place: self.place.as_ref().map(|place| place.as_str().to_owned()),
            superseded,
            unfit,
        };
        note.encode(&self.lost)
    }
}

impl Client {
    /// The walk of a pull by this plan: one that was cut off, or a new one. None if another process is at it. A reset that
    /// the server required of a walk that was cut off becomes part of the plan.
    pub(super) async fn walk(&self, plan: &mut PullPlan, stored: Option<&Cursor>) -> Result<Option<Walk>> {
        let noted = self.store.source().entry(StateKey::PULL).await?;
        let note = noted.as_deref().map(Note::decode).transpose()?;
        let stale = note.as_ref().map(|(note, _)| note.session);
        let note = match note {
            Some((note, Some(lost))) => self.fitting(note, lost, plan, stored)?,
            Some((_, None)) | None => None,
        };
        let mut walk = Walk {
            session: self.store.new_session(),
            staged: 0,
            received: 0,
            total: None,
            newest: None,
            waiting: BTreeSet::new(),
            outdated: BTreeSet::new(),
            waits_at_end: BTreeSet::new(),
            not_seen: BTreeSet::new(),
            asides: self.load_asides().await?,
            seen: Seen::default(),
            pushed: None,
            own_through: self.push_standing().await?.0,
            is_last_leg: false,
            place: None,
            goes_on: false,
            began_from: self.beginning(stored, &plan.anew)?,
            anew: plan.anew.clone(),
            reset: plan.reset,
            lost: plan.lost.clone(),
            noted,
        };
        let Some(note) = note else {
            if let Some(session) = stale
                && !self.forget_session(&mut walk, session).await?
            {
                return Ok(None);
            }
            if !plan.anew.is_empty() {
                let refused = self.load_refusals().await?.into_keys();
                walk.not_seen = refused.filter(|key| plan.anew.contains_key(&key.type_name)).collect();
            }
            return Ok(Some(walk));
        };
        walk.session = note.session;
        walk.staged = note.staged.saturating_add(STRIDE);
        walk.received = note.received;
        walk.newest = note.newest;
        walk.waiting = note.waiting;
        walk.outdated = note.outdated;
        walk.not_seen = note.not_seen;
        walk.own_through = note.own_through;
        walk.is_last_leg = note.is_last_leg;
        walk.place = note.place.map(Cursor::from);
        walk.goes_on = true;
        walk.asides.go_on(note.superseded, &note.unfit)?;
        Ok(self.keep(&mut walk).await?.then_some(walk))
    }

    /// A note that this pull can go on from, if it is one.
    fn fitting(
        &self,
        note: Note,
        lost: LostHistory,
        plan: &mut PullPlan,
        stored: Option<&Cursor>,
    ) -> Result<Option<Note>> {
        // The server required it for the cursor that is still stored.
        let is_within = plan.anew.iter().all(|(name, through)| note.anew.get(name) == Some(through));
        // Edits that another call gave up are given up by that call alone.
        let gives_up =
            |(name, through): (&TypeName, &u64)| *through != 0 && plan.anew.get(name) != Some(through);
        let is_within = is_within && !note.anew.iter().any(gives_up);
        let adopts = note.reset.is_some() && is_within;
        let fits = note.staged > 0
            && (adopts || note.anew == plan.anew)
            && note.began_from == self.beginning(stored, &note.anew)?;
        if fits && adopts {
            plan.anew.clone_from(&note.anew);
            plan.reset = note.reset;
        }
        if fits {
            plan.lost.merge(lost);
        }
        Ok(fits.then_some(note))
    }

    /// What stands for all that a walk depends on.
    fn beginning(&self, stored: Option<&Cursor>, anew: &BTreeMap<TypeName, u64>) -> Result<[u8; 32]> {
        let registered = self.store.schemas().filter(|schema| self.endpoints.contains_key(schema.name()));
        let metadata = SyncOperationMetadata::new(self.store.device(), registered);
        let text = serde_json::to_vec(&(stored.map(Cursor::as_str), &self.zones, metadata, anew)).map_err(
            |error| Error::new(ErrorKind::Backend, "pull", "a request cannot be written").with_source(error),
        )?;
        Ok(*blake3::hash(&text).as_bytes())
    }

    /// Stores where the walk is; `false` if another process has taken it over.
    async fn keep(&self, walk: &mut Walk) -> Result<bool> {
        let value = Some(walk.note()?);
        self.write_note(walk, value).await
    }

    async fn write_note(&self, walk: &mut Walk, value: Option<Vec<u8>>) -> Result<bool> {
        let mut state = vec![StateWrite::replace(StateKey::PULL, walk.noted.clone(), value.clone())];
        match value {
            Some(_) => state.extend(walk.seen.entry(walk.received)?),
            None => state.extend(self.forget_seen().await?),
        }
        let commit =
            self.apply_commit(self.store.new_session(), Vec::new(), Writes::Inline(Vec::new()), state);
        match self.store.source().commit_alone(commit).await? {
            CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
                walk.noted = value;
                walk.seen.is_kept();
                Ok(true)
            }
            CommitOutcome::Conflicts { .. } => Ok(false),
        }
    }

    /// Gives up what a walk has kept; `false` if another process has taken it over.
    pub(super) async fn forget(&self, walk: &mut Walk) -> Result<bool> {
        if walk.noted.is_none() {
            return Ok(true);
        }
        let session = walk.session;
        self.forget_session(walk, session).await
    }

    /// The same of what the note says that this session has staged. Other processes may have staged pages since, which stay.
    async fn forget_session(&self, walk: &mut Walk, session: SessionId) -> Result<bool> {
        // First a note that nothing goes on from. Whoever finds it removes the batches that are left.
        let place = (walk.session, walk.staged);
        (walk.session, walk.staged) = (session, 0);
        let is_ours = self.keep(walk).await;
        (walk.session, walk.staged) = place;
        if !is_ours? {
            return Ok(false);
        }
        self.store.source().unstage(Some(session)).await?;
        self.write_note(walk, None).await
    }

    /// Stages a page, and notes that the walk goes on at `place`; `false` if another process has taken the walk over.
    pub(super) async fn stage(
        &self,
        walk: &mut Walk,
        records: Vec<Record>,
        place: Option<Cursor>,
    ) -> Result<bool> {
        if walk.noted.is_none() {
            if records.is_empty() {
                walk.place = place;
                return Ok(true);
            }
            // Whoever notes it first is the one that stages.
            if !self.keep(walk).await? {
                return Ok(false);
            }
        }
        self.stage_records(walk, records).await?;
        walk.place = place;
        self.keep(walk).await
    }

    /// Stages writes that the walk ends with, and notes it; `false` if another process has taken the walk over.
    pub(super) async fn stage_end(&self, walk: &mut Walk, writes: Vec<Write>) -> Result<bool> {
        if walk.noted.is_none() && !self.keep(walk).await? {
            return Ok(false);
        }
        self.stage_writes(walk, writes).await?;
        self.keep(walk).await
    }

    /// Stages records that the walk ends with.
    pub(super) async fn stage_records(&self, walk: &mut Walk, records: Vec<Record>) -> Result<()> {
        self.stage_writes(walk, records.into_iter().map(super::apply::incoming).collect()).await
    }

    async fn stage_writes(&self, walk: &mut Walk, writes: Vec<Write>) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        self.store.source().stage(walk.session, walk.staged, writes).await?;
        walk.staged += 1;
        Ok(())
    }

    /// The records of a page, none of them from outside what was asked for.
    pub(super) fn read_page(
        &self,
        page: PullPage,
        request: &PullRequest,
        walk: &mut Walk,
    ) -> Result<Vec<Record>> {
        let protocol = |message: &str| Error::new(ErrorKind::Protocol, "pull", message);
        let types = &request.metadata.types;
        let foreign = page
            .payload
            .groups
            .iter()
            .any(|group| !types.contains_key(&group.type_name) || !request.zones.contains(&group.zone));
        if foreign {
            return Err(protocol("the server sent records of a zone or type that was not asked for"));
        }
        let received = u64::try_from(page.payload.len()).unwrap_or(u64::MAX);
        let mut unfit = Vec::new();
        let records = page
            .payload
            .into_fitting_records(
                types,
                |name| self.store.schema(name).ok(),
                |record, error| unfit.push((record, error)),
            )
            .map_err(|error| {
                protocol("the server sent records that do not fit their type").with_source(error)
            })?;
        for record in records.iter().chain(unfit.iter().map(|(record, _)| record)) {
            self.store.check_zone(&record.key.type_name, &record.key.zone)?;
            if record.metadata.revision.is_none() {
                return Err(protocol("the server sent a record without a revision"));
            }
            walk.newest = walk.newest.max(Some(record.metadata.modified_at));
            walk.not_seen.remove(&record.key);
            walk.asides.supersede(&record.key);
            if walk.anew.contains_key(&record.key.type_name) {
                walk.seen.note(walk.session, record);
            }
        }
        for (record, error) in unfit {
            let schema = self.store.schema(&record.key.type_name)?;
            walk.asides.add_unfit(record, &error, schema)?;
        }
        walk.received += received;
        if let Some(remaining) = page.remaining {
            walk.total = Some(walk.received.saturating_add(remaining));
        }
        walk.waits_at_end = page.unknown_types.iter().chain(&page.outdated_types).cloned().collect();
        walk.waiting.extend(walk.waits_at_end.iter().cloned());
        walk.outdated.extend(page.outdated_types);
        self.report_progress(&SyncProgress {
            phase: SyncPhase::Pulling,
            done: walk.received,
            total: walk.total,
        });
        Ok(records)
    }
}
