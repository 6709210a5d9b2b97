//! The registered types.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::{Columns, entry};
use fastsync_core::{Error, ErrorKind, FieldSchema, TypeName, TypeSchema};
use serde::{Deserialize, Serialize};

use crate::error::{Fail, Run};
use crate::key::{self, KindNumber, Range};
use crate::rows;
use crate::tree::{Draft, Rows};

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
    pub(crate) fn load(rows: &dyn Rows) -> Run<Self> {
        let mut registry = Self::default();
        for row in rows.scan(&Range::prefix(key::types())) {
            let (key, value) = row?;
            let stored: StoredKind = entry::decode_json(&value)?;
            let columns = Columns::restore(stored.columns, &stored.schema);
            registry.insert(Kind { n: key::read_kind(&key)?, schema: stored.schema, columns });
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

    /// Registers types, and writes those that changed.
    pub(crate) fn prepare(&mut self, draft: &mut Draft<'_>, types: &[TypeSchema]) -> Run<()> {
        let mut sorted: Vec<_> = types.iter().collect();
        sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
        let mut problems = Vec::new();
        let mut unsettled = Vec::new();
        for schema in sorted {
            let Some((kind, is_settled)) = self.register(schema, &mut problems) else { continue };
            let stored = StoredKind { schema: kind.schema.clone(), columns: kind.columns.stored().to_vec() };
            draft.put(key::kind(kind.n), entry::encode_json(&stored)?.into_bytes());
            if !is_settled {
                unsettled.push(kind.clone());
            }
            self.insert(kind);
        }
        if !problems.is_empty() {
            return Err(Fail::new(ErrorKind::Config, problems.join("; ")));
        }
        unsettled.iter().try_for_each(|kind| kind.settle(draft))
    }

    /// The type as it is from now on, and whether its stored bodies are settled; nothing if it stays as it is.
    fn register(&self, schema: &TypeSchema, problems: &mut Vec<String>) -> Option<(Kind, bool)> {
        let name = schema.name();
        if let Some(known) = self.by_name.get(name) {
            let found = known.schema.contradictions(known.columns.stored(), schema);
            let is_new = found.is_empty() && known.schema != *schema;
            problems.extend(found);
            return is_new.then(|| {
                let mut columns = known.columns.clone();
                let is_settled = !columns.grow(&known.schema, schema);
                (Kind { n: known.n, schema: schema.clone(), columns }, is_settled)
            });
        }
        let same = |other: &&TypeName| other.as_str().eq_ignore_ascii_case(name.as_str());
        if let Some(other) = self.by_name.keys().find(same) {
            problems.push(format!("type {name} differs from type {other} only in case"));
            return None;
        }
        let next = self.by_n.last_key_value().map_or(Some(0), |(last, _)| last.checked_add(1));
        let Some(n) = next else {
            problems.push(format!("type {name} is one more than a store can have"));
            return None;
        };
        Some((Kind { n, schema: schema.clone(), columns: Columns::new(schema) }, true))
    }
}

impl Kind {
    /// Replaces the nulls that the type no longer allows, in the records of every zone.
    fn settle(&self, draft: &mut Draft<'_>) -> Run<()> {
        let mut settled = Vec::new();
        for row in draft.scan(&Range::prefix(key::all_records())) {
            let (key, value) = row?;
            if key::kind_of(&key)? != self.n {
                continue;
            }
            let (head, body) = rows::head(&value)?;
            if head.is_deleted {
                continue;
            }
            let mut body = rows::body(body)?;
            if self.columns.settle(&self.schema, &mut body) {
                settled.push((key.to_vec(), rows::encode_record(&head, Some(&body))?));
            }
        }
        for (key, value) in settled {
            draft.put(key, value);
        }
        Ok(())
    }
}
