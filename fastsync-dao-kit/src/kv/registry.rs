//! The registered types.

use std::sync::Arc;

use fastsync_core::source::rules::{self, TypeTable};
use fastsync_core::source::{Columns, PlannedChange, entry};
use fastsync_core::{FieldSchema, TypeName, TypeSchema};
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
pub(crate) struct Registry(TypeTable<KindNumber, Kind>);

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
        self.0.insert(kind.n, kind.schema.name().clone(), kind);
    }

    pub(crate) fn get(&self, name: &TypeName) -> Run<&Arc<Kind>> {
        self.0.get(name).ok_or_else(|| rules::unknown_type(name).into())
    }

    pub(crate) fn at(&self, n: KindNumber) -> Run<&Arc<Kind>> {
        let missing = || Fail::corrupt(format!("a key names type {n}, which is not there"));
        self.0.at(n).ok_or_else(missing)
    }

    /// The types with this number and greater ones, in the order of the feed.
    pub(crate) fn from(&self, n: KindNumber) -> impl Iterator<Item = &Kind> {
        self.0.from(n)
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
        for schema in rules::in_order(types)? {
            decided.register(schema);
        }
        rules::refuse(&decided.problems)?;
        Ok(decided)
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
        let types = &self.registry.0;
        let known = types.get(schema.name()).cloned();
        let noted = known.as_ref().map(|known| (&known.schema, known.columns.stored()));
        let before = self.problems.len();
        let changes = rules::register(noted, types.names(), schema, &mut self.problems);
        if self.problems.len() > before || changes.is_empty() {
            return;
        }
        let (n, mut columns) = match &known {
            Some(known) => (known.n, known.columns.clone()),
            None => match types.last().map_or(Some(0), |last| last.checked_add(1)) {
                Some(n) => (n, Columns::new(schema)),
                None => {
                    let name = schema.name();
                    self.problems.push(format!("type {name} is one more than a store can have"));
                    return;
                }
            },
        };
        let is_unsettled = known.is_some_and(|known| columns.grow(&known.schema, schema));
        self.changes.extend(changes);
        self.note(Kind { n, schema: schema.clone(), columns }, is_unsettled);
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
