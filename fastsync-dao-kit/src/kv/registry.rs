//! The registered types.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::{Columns, PlannedChange, entry};
use fastsync_core::{Error, ErrorKind, FieldSchema, TypeName, TypeSchema};
use serde::{Deserialize, Serialize};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key::{self, KindNumber};
use crate::kv::range::Range;
use crate::kv::rows;

/// A type as stored, in JSON: read rarely, and by people too.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredKind {
    schema: TypeSchema,
    columns: Vec<FieldSchema>,
}

/// A prepared type.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// Its place in the feed among the types, given at its first registration.
    pub(crate) n: KindNumber,
    pub(crate) schema: TypeSchema,
    pub(crate) columns: Columns,
}

/// Every type of the store, as it was prepared last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    by_name: BTreeMap<TypeName, Arc<Kind>>,
    by_n: BTreeMap<KindNumber, Arc<Kind>>,
}

impl Registry {
    pub(crate) fn load(rows: &impl View) -> Run<Self> {
        let mut registry = Self::default();
        for row in rows.scan(Range::prefix(key::types())) {
            let (key, value) = row?;
            let stored: StoredKind = entry::decode_json(value.as_ref())?;
            let columns = Columns::restore(stored.columns, &stored.schema);
            registry.insert(Kind { n: key::read_kind(key.as_ref())?, schema: stored.schema, columns });
        }
        Ok(registry)
    }

    fn insert(&mut self, kind: Kind) {
        let kind = Arc::new(kind);
        self.by_n.insert(kind.n, Arc::clone(&kind));
        self.by_name.insert(kind.schema.name().clone(), kind);
    }

    pub(crate) fn get(&self, name: &TypeName) -> Run<&Arc<Kind>> {
        self.by_name.get(name).ok_or_else(|| {
            let error = Error::new(ErrorKind::UnknownType, "lookup", "the type was not prepared");
            Fail::Core(error.with_context("type", name))
        })
    }

    pub(crate) fn at(&self, n: KindNumber) -> Run<&Arc<Kind>> {
        let missing = || Fail::corrupt(format!("a key names type {n}, which is not there"));
        self.by_n.get(&n).ok_or_else(missing)
    }

    /// The types with this number and greater ones, in the order of the feed.
    pub(crate) fn from(&self, n: KindNumber) -> impl Iterator<Item = &Kind> {
        self.by_n.range(n..).map(|(_, kind)| &**kind)
    }

    /// What preparing these types comes to; nothing is changed.
    pub(crate) fn decide(&self, types: &[TypeSchema]) -> Run<Decided> {
        let mut decided = Decided {
            registry: self.clone(),
            kinds: Vec::new(),
            unsettled: Vec::new(),
            changes: Vec::new(),
            problems: Vec::new(),
        };
        let mut sorted: Vec<_> = types.iter().collect();
        sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
        for schema in sorted {
            decided.register(schema);
        }
        if decided.problems.is_empty() {
            return Ok(decided);
        }
        Err(Fail::new(ErrorKind::Config, decided.problems.join("; ")))
    }
}

/// What preparing types comes to.
pub(crate) struct Decided {
    /// The types as they are then.
    registry: Registry,
    /// Those that are new or change.
    kinds: Vec<Kind>,
    /// Those of them whose stored bodies must be settled.
    unsettled: Vec<Kind>,
    pub(crate) changes: Vec<PlannedChange>,
    problems: Vec<String>,
}

impl Decided {
    /// Writes the types that change.
    pub(crate) fn carry_out(&self, draft: &mut Draft<'_, impl View>) -> Run<()> {
        for kind in &self.kinds {
            let stored = StoredKind { schema: kind.schema.clone(), columns: kind.columns.stored().to_vec() };
            draft.put(key::kind(kind.n), entry::encode_json(&stored)?.into_bytes());
        }
        self.unsettled.iter().try_for_each(|kind| kind.settle(draft))
    }

    fn register(&mut self, schema: &TypeSchema) {
        let name = schema.name();
        if let Some(known) = self.registry.by_name.get(name) {
            let left = known.columns.stored();
            let found = known.schema.contradictions(left, schema);
            let changes = PlannedChange::growth(&known.schema, left, schema);
            if found.is_empty() && !changes.is_empty() {
                let mut columns = known.columns.clone();
                let is_unsettled = columns.grow(&known.schema, schema);
                let kind = Kind { n: known.n, schema: schema.clone(), columns };
                self.changes.extend(changes);
                self.note(kind, is_unsettled);
            }
            self.problems.extend(found);
            return;
        }
        let same = |other: &&TypeName| other.as_str().eq_ignore_ascii_case(name.as_str());
        if let Some(other) = self.registry.by_name.keys().find(same) {
            self.problems.push(format!("type {name} differs from type {other} only in case"));
            return;
        }
        let last = self.registry.by_n.last_key_value();
        let Some(n) = last.map_or(Some(0), |(last, _)| last.checked_add(1)) else {
            self.problems.push(format!("type {name} is one more than a store can have"));
            return;
        };
        self.changes.push(PlannedChange::AddType { type_name: name.clone() });
        self.note(Kind { n, schema: schema.clone(), columns: Columns::new(schema) }, false);
    }

    fn note(&mut self, kind: Kind, is_unsettled: bool) {
        if is_unsettled {
            self.unsettled.push(kind.clone());
        }
        self.registry.insert(kind.clone());
        self.kinds.push(kind);
    }
}

impl Kind {
    /// Replaces the nulls that the type no longer allows, in the records of every zone.
    fn settle(&self, draft: &mut Draft<'_, impl View>) -> Run<()> {
        let mut settled = Vec::new();
        for row in draft.scan(Range::prefix(key::all_records())) {
            let (key, value) = row?;
            if key::kind_of(key.as_ref())? != self.n {
                continue;
            }
            let (head, body) = rows::head(value.as_ref())?;
            if head.is_deleted {
                continue;
            }
            let mut body = rows::body(body)?;
            if self.columns.settle(&self.schema, &mut body) {
                settled.push((key.as_ref().to_vec(), rows::encode_record(&head, Some(&body))?));
            }
        }
        for (key, value) in settled {
            draft.put(key, value);
        }
        Ok(())
    }
}
