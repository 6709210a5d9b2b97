//! The registered types, and how a body is laid out.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::source::entry;
use fastsync_core::{Error, ErrorKind, FieldSchema, TypeName, TypeSchema, Value};
use serde::{Deserialize, Serialize};

use crate::error::{Fail, Run};
use crate::key::{self, KindNumber, Range};
use crate::tree::Rows;

/// A type as stored, in JSON: read rarely, and by people too.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredKind {
    schema: TypeSchema,
    columns: Vec<FieldSchema>,
}

/// A prepared type.
///
/// Stored bodies hold one value per column. Columns are only ever appended, so a body written before a column was
/// added is just shorter, and a field that a later schema leaves out keeps its values.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// Its place in the feed among the types, given at its first registration.
    pub(crate) n: KindNumber,
    pub(crate) schema: TypeSchema,
    columns: Vec<FieldSchema>,
    /// The column of each field of the schema.
    column_of: Vec<usize>,
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
            let mut kind = Kind::new(key::read_kind(&key)?, &stored.schema, stored.columns);
            kind.adopt(&stored.schema);
            registry.insert(kind);
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

    /// Registers types, and gives the rows to write for those that changed.
    pub(crate) fn prepare(&mut self, types: &[TypeSchema]) -> Run<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut sorted: Vec<_> = types.iter().collect();
        sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
        let mut problems = Vec::new();
        let mut rows = Vec::new();
        for schema in sorted {
            let Some(kind) = self.register(schema, &mut problems) else { continue };
            let stored = StoredKind { schema: kind.schema.clone(), columns: kind.columns.clone() };
            rows.push((key::kind(kind.n), entry::encode_json(&stored)?.into_bytes()));
            self.insert(kind);
        }
        if problems.is_empty() { Ok(rows) } else { Err(Fail::new(ErrorKind::Config, problems.join("; "))) }
    }

    fn register(&self, schema: &TypeSchema, problems: &mut Vec<String>) -> Option<Kind> {
        let name = schema.name();
        if let Some(known) = self.by_name.get(name) {
            let found = known.schema.contradictions(&known.columns, schema);
            let is_new = found.is_empty() && known.schema != *schema;
            problems.extend(found);
            return is_new.then(|| {
                let mut kind = Kind::clone(known);
                kind.adopt(schema);
                kind
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
        let mut kind = Kind::new(n, schema, Vec::new());
        kind.adopt(schema);
        Some(kind)
    }
}

impl Kind {
    fn new(n: KindNumber, schema: &TypeSchema, columns: Vec<FieldSchema>) -> Self {
        Self { n, schema: schema.clone(), columns, column_of: Vec::new() }
    }

    fn adopt(&mut self, schema: &TypeSchema) {
        self.schema = schema.clone();
        self.column_of.clear();
        for field in schema.fields() {
            let known = self.columns.iter_mut().enumerate().find(|(_, column)| column.name == field.name);
            let at = if let Some((at, column)) = known {
                column.nullable = field.nullable;
                at
            } else {
                self.columns.push(field.clone());
                self.columns.len().saturating_sub(1)
            };
            self.column_of.push(at);
        }
    }

    /// The body as this type's schema has it, from the stored columns.
    pub(crate) fn read(&self, mut stored: Vec<Value>) -> Vec<Value> {
        let is_plain = self.column_of.iter().enumerate().all(|(at, column)| at == *column);
        if is_plain && stored.len() == self.column_of.len() {
            return stored;
        }
        let fields = self.schema.fields().iter().zip(&self.column_of);
        let read = fields.map(|(field, column)| match stored.get_mut(*column) {
            Some(value) => std::mem::replace(value, Value::Null),
            None => field.initial(),
        });
        read.collect()
    }

    /// The stored columns of an admitted body.
    pub(crate) fn write(&self, body: Vec<Value>) -> Vec<Value> {
        let mut stored: Vec<_> = self.columns.iter().map(FieldSchema::initial).collect();
        for (value, column) in body.into_iter().zip(&self.column_of) {
            if let Some(slot) = stored.get_mut(*column) {
                *slot = value;
            }
        }
        stored
    }
}
