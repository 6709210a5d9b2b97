//! Running migrations while a store is opened.
//!
//! `prepare` is called twice: first for the types with the fields that they had, so that a migration can read them, and at the
//! end for the types as they are. In between everything is committed at once. Until the end the stored version is the former
//! one, so an opening that was cut off is begun again; what is committed is noted in the same commit, and not done twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Migration, MigrationRow, StateKey, StoreBuilder, StoreRole, unchanged};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Author, DeviceId, FieldName, Record, SessionId, SessionKind, Tag, TypeName, Zone};
use crate::query::{Comparison, Filter, Query};
use crate::schema::TypeSchema;
use crate::source::entry::{decode, encode};
use crate::source::{
    Action, Commit, CommitOutcome, ConflictReason, ExpectState, OnMismatch, PlannedChange, Preparation,
    StateWrite, SyncableDataSourceExt as _, Write, Writes,
};

/// How often a commit is tried again when another process moves what it is about.
const ATTEMPTS: usize = 16;

/// How many objects are read at once.
const PAGE: u64 = 256;

/// How much is staged at once.
const BATCH_RECORDS: usize = 1_000;
const BATCH_BYTES: usize = 2 << 20;

/// A type whose stored objects are in a version before some of its migrations.
pub(super) struct Due<'a> {
    /// The type with the fields that it had, in the version that it is stored in.
    stored: TypeSchema,
    from: u32,
    /// In the order of their versions.
    migrations: Vec<&'a Migration>,
}

impl Due<'_> {
    pub(super) fn planned(&self) -> PlannedChange {
        PlannedChange::Migrate { type_name: self.name().clone(), from: self.from, to: self.to() }
    }

    fn name(&self) -> &TypeName {
        self.stored.name()
    }

    /// The version that the last migration leads to.
    fn to(&self) -> u32 {
        self.migrations.last().map_or(self.from, |migration| migration.version())
    }
}

/// What is noted of a type: its entry, and the version in it.
struct Noted {
    stored: Option<Vec<u8>>,
    version: u32,
}

/// What one attempt writes.
struct Attempt {
    session: SessionId,
    staged: u64,
    batch: Vec<Write>,
    bytes: usize,
    /// The fields that the migrations set, of each type.
    written: BTreeMap<TypeName, BTreeSet<FieldName>>,
}

impl StoreBuilder {
    /// What is wrong with the migrations, in words for people.
    pub(super) fn misplaced_migrations(&self, schemas: &BTreeMap<TypeName, TypeSchema>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, migration) in &self.migrations {
            let to = migration.version();
            let name = match name {
                Ok(name) => name,
                // The type itself is refused for it.
                Err(_) => continue,
            };
            match schemas.get(name) {
                None => problems.push(format!("type {name} has a migration and is not registered")),
                Some(schema) if to > schema.version() => problems.push(format!(
                    "type {name} has a migration to version {to} and is itself in version {}: raise `version`",
                    schema.version()
                )),
                Some(_) if !seen.insert((name, to)) => {
                    problems.push(format!("type {name} has two migrations to version {to}"));
                }
                Some(_) => {}
            }
            if let Err(error) = migration.former() {
                problems.push(format!("type {name}, migration to version {to}: {}", error.message()));
            }
        }
        problems
    }

    /// The types that are to be migrated, by what the data source plans.
    pub(super) async fn due(
        &self,
        schemas: &BTreeMap<TypeName, TypeSchema>,
        planned: &[PlannedChange],
    ) -> Result<Vec<Due<'_>>> {
        let mut due = Vec::new();
        // Sync tables of an earlier version cannot be read yet.
        let is_readable = !planned.iter().any(|change| change.type_name().is_none());
        for change in planned {
            let PlannedChange::NoteSchema { type_name, from, .. } = change else { continue };
            let Some(schema) = schemas.get(type_name) else { continue };
            let noted = if is_readable { self.noted(type_name).await?.version } else { 0 };
            let from = noted.max(*from);
            let mut migrations: Vec<_> = self.migrations_after(type_name, from).collect();
            if migrations.is_empty() {
                continue;
            }
            migrations.sort_by_key(|migration| migration.version());
            let mut former = Vec::new();
            for migration in &migrations {
                former.extend(migration.former()?);
            }
            due.push(Due { stored: schema.with_former(from, former)?, from, migrations });
        }
        Ok(due)
    }

    fn migrations_after(&self, type_name: &TypeName, version: u32) -> impl Iterator<Item = &Migration> {
        let of_type = self.migrations.iter().filter(move |(name, _)| name.as_ref().ok() == Some(type_name));
        of_type.map(|(_, migration)| migration).filter(move |migration| migration.version() > version)
    }

    /// Runs the migrations that are due.
    pub(super) async fn migrate_stored(
        &self,
        schemas: &BTreeMap<TypeName, TypeSchema>,
        prepared: &[TypeSchema],
    ) -> Result<()> {
        if self.migrations.is_empty() {
            return Ok(());
        }
        let due = self.due(schemas, &self.source.plan(prepared).await?).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut former: BTreeMap<_, _> = schemas.clone();
        former.extend(due.iter().map(|due| (due.name().clone(), due.stored.clone())));
        self.source.prepare(&former.into_values().collect::<Vec<_>>(), Preparation::Apply).await?;
        // Nothing is changed in the store of another tenant or role.
        self.identify().await?;
        for _ in 0..ATTEMPTS {
            match self.try_migrate(&due).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // Another process that has migrated everything may have gone on to the types as they are.
                Err(error) => return if self.is_migrated(&due).await? { Ok(()) } else { Err(error) },
            }
        }
        Err(Error::new(ErrorKind::Contention, "migrate", "another process keeps changing the stored objects"))
    }

    async fn is_migrated(&self, due: &[Due<'_>]) -> Result<bool> {
        for due in due {
            if self.noted(due.name()).await?.version < due.to() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn noted(&self, type_name: &TypeName) -> Result<Noted> {
        let stored = self.source.entry(&StateKey::migrated(type_name)).await?;
        let version = stored.as_deref().map(decode).transpose()?.unwrap_or_default();
        Ok(Noted { stored, version })
    }

    /// Migrates everything; `false` if something moved meanwhile and nothing was changed.
    async fn try_migrate(&self, due: &[Due<'_>]) -> Result<bool> {
        let mut attempt = Attempt {
            session: SessionId::new(self.clock.now(), &*self.random),
            staged: 0,
            batch: Vec::new(),
            bytes: 0,
            written: BTreeMap::new(),
        };
        let outcome = self.fill_and_commit(due, &mut attempt).await;
        if attempt.staged > 0 && !matches!(outcome, Ok(true)) {
            // If this fails as well, what is staged belongs to no session, and the first error says more.
            drop(self.source.unstage(Some(attempt.session)).await);
        }
        outcome
    }

    async fn fill_and_commit(&self, due: &[Due<'_>], attempt: &mut Attempt) -> Result<bool> {
        let mut state = Vec::new();
        for due in due {
            let noted = self.noted(due.name()).await?;
            let from = noted.version.max(due.from);
            let migrations: Vec<_> =
                due.migrations.iter().filter(|migration| migration.version() > from).collect();
            if migrations.is_empty() {
                continue;
            }
            for zone in self.source.zones(due.name()).await? {
                self.fill(due, &migrations, zone, attempt).await?;
            }
            let value = Some(encode(&due.to())?);
            state.push(StateWrite::replace(StateKey::migrated(due.name()), noted.stored, value));
        }
        if state.is_empty() {
            return Ok(true);
        }
        state.extend(self.note_written(&attempt.written).await?);
        self.commit_migrated(attempt, state).await
    }

    /// Migrates the objects of a type in a zone.
    async fn fill(
        &self,
        due: &Due<'_>,
        migrations: &[&&Migration],
        zone: Zone,
        attempt: &mut Attempt,
    ) -> Result<()> {
        let mut query = Query { limit: Some(PAGE), ..Query::all(due.name().clone(), zone) };
        loop {
            let page = self.source.find(&query).await?.records;
            let Some(last) = page.last() else { return Ok(()) };
            let (id, count) = (last.key.id.as_str().to_owned(), page.len() as u64);
            for record in page {
                if let Some(write) = due.migrate(migrations, record, &mut attempt.written)? {
                    attempt.bytes += write.approximate_bytes();
                    attempt.batch.push(write);
                }
                if attempt.batch.len() >= BATCH_RECORDS || attempt.bytes >= BATCH_BYTES {
                    self.stage_batch(attempt).await?;
                }
            }
            if count < PAGE {
                return Ok(());
            }
            query.filter = Filter::Compare(due.stored.id_field().clone(), Comparison::Greater, id.into());
        }
    }

    async fn stage_batch(&self, attempt: &mut Attempt) -> Result<()> {
        let batch = std::mem::take(&mut attempt.batch);
        attempt.bytes = 0;
        let sequence = attempt.staged;
        // Counted before it is there, so that a failing one is dropped too.
        attempt.staged += 1;
        self.source.stage(attempt.session, sequence, batch).await
    }

    async fn commit_migrated(&self, attempt: &mut Attempt, state: Vec<StateWrite>) -> Result<bool> {
        let writes = if attempt.staged == 0 {
            Writes::Inline(std::mem::take(&mut attempt.batch))
        } else {
            if !attempt.batch.is_empty() {
                self.stage_batch(attempt).await?;
            }
            Writes::Staged { overrides: Vec::new() }
        };
        let device: DeviceId = self.entry(StateKey::DEVICE).await?.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "migrate", "the identity of the store cannot be read")
        })?;
        let commit = Commit {
            session: attempt.session,
            kind: match self.role {
                StoreRole::Client => SessionKind::Edit,
                StoreRole::Server => SessionKind::Direct,
            },
            author: Author { user: None, device, number: 0 },
            at: self.clock.now(),
            tag: Tag(self.random.next_u64().max(1)),
            positioned: false,
            clears: Vec::new(),
            writes,
            state,
        };
        let CommitOutcome::Conflicts { writes, .. } = self.source.commit_alone(commit).await? else {
            return Ok(true);
        };
        let refused = writes.into_iter().find_map(|conflict| match conflict.reason {
            ConflictReason::Constraint(message) => Some((conflict.write, message)),
            ConflictReason::Mismatch => None,
        });
        match refused {
            Some((write, message)) => {
                Err(Error::new(ErrorKind::Constraint, "migrate", message).with_record(write.action.key()))
            }
            None => Ok(false),
        }
    }

    /// What a client knows of the fields that it pulled: those that a migration sets are its own from now on. A pull that
    /// fetches the type anew must not take them from the server for an edit that waits.
    async fn note_written(
        &self,
        written: &BTreeMap<TypeName, BTreeSet<FieldName>>,
    ) -> Result<Option<StateWrite>> {
        let Some(stored) = self.source.entry(StateKey::FIELDS).await? else { return Ok(None) };
        let mut fields: BTreeMap<TypeName, (u32, BTreeSet<FieldName>)> = decode(&stored)?;
        for (name, written) in written {
            if let Some((_, known)) = fields.get_mut(name) {
                known.extend(written.iter().cloned());
            }
        }
        let value = encode(&fields)?;
        let entry = || StateWrite {
            key: StateKey::FIELDS.to_owned(),
            expect: ExpectState::Value(stored.clone()),
            value: Some(value.clone()),
        };
        Ok((value != stored).then(entry))
    }
}

impl Due<'_> {
    /// The write that migrates a record; `None` if it stays as it is.
    fn migrate(
        &self,
        migrations: &[&&Migration],
        mut record: Record,
        written: &mut BTreeMap<TypeName, BTreeSet<FieldName>>,
    ) -> Result<Option<Write>> {
        let Some(body) = &mut record.body else { return Ok(None) };
        let before = body.clone();
        for migration in migrations {
            let mut row = MigrationRow::new(&self.stored, &record.key.id, &record.key.zone, body);
            let outcome = migration.run(&mut row);
            let places = row.into_written();
            outcome.map_err(|error| {
                let context = format!("{} to version {}", self.name(), migration.version());
                error.with_context("migration", context).with_record(&record.key)
            })?;
            let names = written.entry(self.name().clone()).or_default();
            let set = places.iter().filter_map(|at| self.stored.fields().get(*at));
            names.extend(set.map(|field| field.name.clone()));
        }
        if *body == before {
            return Ok(None);
        }
        self.stored.admit(body).map_err(|error| error.with_record(&record.key))?;
        let (expect, pending) = (unchanged(&record), record.metadata.is_pending());
        let action = Action::Put { record, pending };
        Ok(Some(Write { action, expect, on_mismatch: OnMismatch::Abort }))
    }
}
