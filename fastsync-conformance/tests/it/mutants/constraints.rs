//! Constraints as a database has them, which the memory data source has not.

use std::collections::BTreeMap;

use fastsync_conformance::{Constraint, acme, name};
use fastsync_core::source::{Action, Commit, Conflict, ConflictReason, OnMismatch, Write, Writes};
use fastsync_core::{ObjectId, Query, RecordKey, Result, SyncableDataSource, TypeName, Value};

use super::broken::Broken;
use super::bugs::Bug;

/// The constrained field of each live row; it is the first of its type.
type Rows = BTreeMap<TypeName, BTreeMap<ObjectId, Value>>;

/// What the user's constraints refuse of a commit.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) conflicts: Vec<Conflict>,
    /// The writes that are left out.
    pub(super) skipped: Vec<Conflict>,
    /// The rows that a broken data source removes instead.
    pub(super) overwritten: Vec<RecordKey>,
}

impl Broken {
    /// Carries the writes out on the rows, one after the other, each held against the constraints as it is written.
    pub(super) async fn constrained(&self, commit: &Commit) -> Result<Refused> {
        let mut refused = Refused::default();
        let constraints = self.notes(|notes| notes.constraints.clone());
        if constraints.is_empty() {
            return Ok(refused);
        }
        let mut rows = Rows::new();
        for type_name in ["customers", "orders"].map(name) {
            let found = self.inner.find(&Query::all(type_name.clone(), acme())).await?;
            let found = found.into_iter().filter_map(|row| Some((row.key.id, row.body?.into_iter().next()?)));
            rows.insert(type_name, found.collect());
        }
        for write in self.in_order(commit) {
            let Action::Put { record, .. } = &write.action else { continue };
            let value = record.body.as_ref().and_then(|body| body.first());
            let clash =
                constraints.iter().find_map(|constraint| clash(constraint, &rows, &record.key, value));
            let table = rows.entry(record.key.type_name.clone()).or_default();
            if let Some((holder, text)) = clash {
                if let (Bug::ClashesOverwrite, Some(holder)) = (self.bug, holder) {
                    table.remove(&holder);
                    refused.overwritten.push(RecordKey { id: holder, ..record.key.clone() });
                } else {
                    let current = self.current(&record.key).await;
                    let reason = ConflictReason::Constraint(text);
                    let conflict = Conflict { write: write.clone(), current, reason };
                    match write.on_mismatch {
                        OnMismatch::Abort => refused.conflicts.push(conflict),
                        OnMismatch::Skip => refused.skipped.push(conflict),
                    }
                    continue;
                }
            }
            match value {
                Some(value) => drop(table.insert(record.key.id.clone(), value.clone())),
                None => drop(table.remove(&record.key.id)),
            }
        }
        Ok(refused)
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

/// Why a row with this value cannot be, or cannot go if there is none; with the row that is in the way.
fn clash(
    constraint: &Constraint,
    rows: &Rows,
    key: &RecordKey,
    value: Option<&Value>,
) -> Option<(Option<ObjectId>, String)> {
    let held = |type_name: &TypeName, value: &Value| {
        let mut table = rows.get(type_name).into_iter().flatten();
        table.find(|(id, held)| *held == value && **id != key.id).map(|(id, _)| id.clone())
    };
    match (constraint, value) {
        (Constraint::Unique { type_name, field }, Some(value)) if *type_name == key.type_name => {
            held(type_name, value).map(|holder| (Some(holder), format!("{type_name}.{field} is unique")))
        }
        (Constraint::Reference { type_name, field, parent }, Some(Value::Text(id)))
            if *type_name == key.type_name =>
        {
            let is_there = rows.get(parent).is_some_and(|table| table.keys().any(|key| key.as_str() == id));
            (!is_there).then(|| (None, format!("{type_name}.{field} refers to no row")))
        }
        (Constraint::Reference { type_name, field, parent }, None) if *parent == key.type_name => {
            let child = held(type_name, &Value::Text(key.id.as_str().to_owned()));
            child.map(|_| (None, format!("{type_name}.{field} refers to this row")))
        }
        _ => None,
    }
}
