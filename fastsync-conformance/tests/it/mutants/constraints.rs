//! Constraints as a database has them, which the memory data source has not.

use std::collections::{BTreeMap, HashMap};

use fastsync_conformance::{Constraint, acme};
use fastsync_core::source::{Action, Commit, Conflict, ConflictReason, OnMismatch, Write, Writes};
use fastsync_core::{
    ObjectId, Query, Record, RecordKey, Result, SyncableDataSource, TypeName, TypeSchema, Value,
};

use super::broken::Broken;
use super::bugs::Bug;

/// The body of each live row.
type Rows = BTreeMap<TypeName, BTreeMap<ObjectId, Vec<Value>>>;

/// What the user's constraints refuse of a commit.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) conflicts: Vec<Conflict>,
    /// The writes that are left out.
    pub(super) skipped: Vec<Conflict>,
    /// The rows that a broken data source removes instead.
    pub(super) overwritten: Vec<RecordKey>,
    /// The rows that exchange unique values.
    pub(super) exchanged: Vec<Record>,
}

/// A write that is refused, and why.
type Clash = (Write, String);

impl Broken {
    /// Carries the writes out on the rows, one after the other, each held against the constraints as it is written.
    pub(super) async fn constrained(&self, commit: &Commit) -> Result<Refused> {
        let mut refused = Refused::default();
        let rules = Rules {
            constraints: self.notes(|notes| notes.constraints.clone()),
            types: self.notes(|notes| notes.types.clone()),
        };
        if rules.constraints.is_empty() {
            return Ok(refused);
        }
        let mut rows = Rows::new();
        for (type_name, _) in rules.types.iter().filter(|(_, schema)| schema.fits(&acme())) {
            let found = self.inner.find(&Query::all(type_name.clone(), acme())).await?.records;
            let found = found.into_iter().filter_map(|row| Some((row.key.id, row.body?)));
            rows.insert(type_name.clone(), found.collect());
        }
        let mut clashing: Vec<Clash> = Vec::new();
        let mut late = Vec::new();
        for write in self.in_order(commit) {
            let Action::Put { record, .. } = &write.action else { continue };
            match rules.clash(&rows, &record.key, record.body.as_deref()) {
                None => apply(&mut rows, record),
                Some((Some(holder), _)) if self.is(Bug::ClashesOverwrite) => {
                    rows.entry(record.key.type_name.clone()).or_default().remove(&holder);
                    refused.overwritten.push(RecordKey { id: holder, ..record.key.clone() });
                    apply(&mut rows, record);
                }
                Some((Some(_), text)) if !self.is(Bug::ExchangesAreClashes) => late.push((write, text)),
                Some((_, text)) => clashing.push((write, text)),
            }
        }
        if !late.is_empty() {
            let (exchanged, mut left) = self.exchanged(&rules, &rows, late);
            clashing.append(&mut left);
            refused.exchanged = exchanged.into_iter().filter_map(|(write, _)| record_of(write)).collect();
        }
        for (write, text) in clashing {
            let current = self.current(write.action.key()).await;
            let reason = ConflictReason::Constraint(text);
            let is_abort = write.on_mismatch == OnMismatch::Abort;
            let list = if is_abort { &mut refused.conflicts } else { &mut refused.skipped };
            list.push(Conflict { write, current, reason });
        }
        Ok(refused)
    }

    /// Tries rows that are in each other's way without what they have; gives those that go and those that do not.
    fn exchanged(&self, rules: &Rules, rows: &Rows, late: Vec<Clash>) -> (Vec<Clash>, Vec<Clash>) {
        let (mut waiting, mut left) = (late, Vec::new());
        loop {
            let mut trial = rows.clone();
            for (write, _) in &waiting {
                trial.entry(write.action.key().type_name.clone()).or_default().remove(&write.action.key().id);
            }
            let (mut going, mut in_vain) = (Vec::new(), Vec::new());
            for (write, text) in waiting {
                let Action::Put { record, .. } = &write.action else { continue };
                let is_refused = rules.clash(&trial, &record.key, record.body.as_deref()).is_some();
                if !is_refused {
                    apply(&mut trial, record);
                }
                let list = if is_refused { &mut in_vain } else { &mut going };
                list.push((write, text));
            }
            if in_vain.is_empty() {
                return (going, left);
            }
            if self.is(Bug::OneClashStopsEveryExchange) {
                in_vain.append(&mut going);
            }
            let stops = in_vain.iter().any(|(write, _)| write.on_mismatch == OnMismatch::Abort);
            left.append(&mut in_vain);
            if stops || going.is_empty() {
                return (Vec::new(), left);
            }
            waiting = going;
        }
    }

    /// Parents first, and deletions last and in reverse.
    fn in_order(&self, commit: &Commit) -> Vec<Write> {
        let (staged, given) = match &commit.writes {
            Writes::Inline(given) => (Vec::new(), given),
            Writes::Staged { overrides } => {
                let batches = self.notes(|notes| notes.batches.get(&commit.session).cloned());
                (batches.into_iter().flat_map(BTreeMap::into_values).flatten().collect(), overrides)
            }
        };
        let mut all: Vec<Write> = staged.into_iter().chain(given.iter().cloned()).collect();
        if !self.is(Bug::WritesGoAsGiven) {
            let types = self.notes(|notes| notes.types.clone());
            all.sort_by_key(|write| {
                let priority = types[&write.action.key().type_name].priority();
                (write.is_deletion(), if write.is_deletion() { -priority } else { priority })
            });
        }
        all
    }
}

fn record_of(write: Write) -> Option<Record> {
    match write.action {
        Action::Put { record, .. } => Some(record),
        Action::Acknowledge { .. } => None,
    }
}

fn apply(rows: &mut Rows, record: &Record) {
    let table = rows.entry(record.key.type_name.clone()).or_default();
    match &record.body {
        Some(body) => drop(table.insert(record.key.id.clone(), body.clone())),
        None => drop(table.remove(&record.key.id)),
    }
}

/// The user's constraints, and the types that they are about.
struct Rules {
    constraints: Vec<Constraint>,
    types: HashMap<TypeName, TypeSchema>,
}

impl Rules {
    /// Why a row cannot have this body, or cannot go if the body is `None`; and the row that is in the way.
    fn clash(
        &self,
        rows: &Rows,
        key: &RecordKey,
        body: Option<&[Value]>,
    ) -> Option<(Option<ObjectId>, String)> {
        self.constraints.iter().find_map(|constraint| self.clash_with(constraint, rows, key, body))
    }

    fn clash_with(
        &self,
        constraint: &Constraint,
        rows: &Rows,
        key: &RecordKey,
        body: Option<&[Value]>,
    ) -> Option<(Option<ObjectId>, String)> {
        let (Constraint::Unique { type_name, field } | Constraint::Reference { type_name, field, .. }) =
            constraint;
        let at = self.types[type_name].fields().iter().position(|known| known.name == *field).unwrap();
        let held = |type_name: &TypeName, value: &Value| {
            let mut table = rows.get(type_name).into_iter().flatten();
            table.find(|(id, body)| body[at] == *value && **id != key.id).map(|(id, _)| id.clone())
        };
        let is_of_type = *type_name == key.type_name;
        match (constraint, body.map(|body| body.get(at))) {
            (Constraint::Unique { .. }, Some(Some(value))) if is_of_type && *value != Value::Null => {
                held(type_name, value).map(|holder| (Some(holder), format!("{type_name}.{field} is unique")))
            }
            (Constraint::Reference { parent, .. }, Some(Some(Value::Text(id)))) if is_of_type => {
                let is_there =
                    rows.get(parent).is_some_and(|table| table.keys().any(|key| key.as_str() == id));
                (!is_there).then(|| (None, format!("{type_name}.{field} refers to no row")))
            }
            (Constraint::Reference { parent, .. }, None) if *parent == key.type_name => {
                let child = held(type_name, &Value::Text(key.id.as_str().to_owned()));
                child.map(|_| (None, format!("{type_name}.{field} refers to this row")))
            }
            _ => None,
        }
    }
}
