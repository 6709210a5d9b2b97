//! What a type may become. The rule is here once, for every data source.

use std::collections::BTreeSet;

use super::{FieldSchema, MAX_FIELDS, TypeSchema, repeated};
use crate::error::{Error, ErrorKind, Result};
use crate::model::FieldName;

impl TypeSchema {
    /// Why a storage that was prepared for this schema cannot take `wanted`, in words for people; nothing if it can.
    /// `left`: fields of earlier schemas that its records may still have.
    #[must_use]
    pub fn contradictions(&self, left: &[FieldSchema], wanted: &Self) -> Vec<String> {
        let name = &wanted.name;
        let mut problems = Vec::new();
        if self.id_field != wanted.id_field {
            problems.push(format!("type {name}: the id field is {}, not {}", self.id_field, wanted.id_field));
        }
        if !wanted.id_kind.takes(self.id_kind) {
            let (stored, wanted) = (self.id_kind, wanted.id_kind);
            problems.push(format!("type {name}: ids are {stored:?}, not {wanted:?}"));
        }
        if self.restriction != wanted.restriction {
            let (stored, wanted) = (self.restriction, wanted.restriction);
            problems.push(format!("type {name}: the restriction is {stored:?}, not {wanted:?}"));
        }
        for field in &wanted.fields {
            let stored = self.continued(left, field);
            if let Some(stored) = stored.filter(|stored| !field.kind.takes(stored.kind)) {
                let (field, stored, wanted) = (&field.name, stored.kind, field.kind);
                problems.push(format!("field {name}.{field}: the kind is {stored:?}, not {wanted:?}"));
                continue;
            }
            let may_be_null = stored.is_some_and(|stored| stored.nullable);
            // A record that was written while a field was left out has no value for it either.
            if self.lacks(left, field) && !field.has_initial() {
                let field = &field.name;
                problems.push(format!(
                    "field {name}.{field} is new and needs a default, for the records without it"
                ));
            } else if may_be_null && !field.nullable && field.default.is_none() {
                let field = &field.name;
                problems.push(format!(
                    "field {name}.{field} may be null and needs a default, to be what null was"
                ));
            }
        }
        problems
    }

    /// The field of this schema, or left of earlier ones, whose values a field of a later schema has: the one of its
    /// name, or the first of those that it was called.
    #[must_use]
    pub fn continued<'a>(&'a self, left: &'a [FieldSchema], field: &FieldSchema) -> Option<&'a FieldSchema> {
        let find = |name: &FieldName| self.fields.iter().chain(left).find(|stored| stored.name == *name);
        field.names().find_map(find)
    }

    /// Whether records of this schema may have no value for a field of a later one: it is not there, or may be null and
    /// must not be later. Such records have [`FieldSchema::initial`] from then on.
    #[must_use]
    pub fn lacks(&self, left: &[FieldSchema], field: &FieldSchema) -> bool {
        let stored =
            self.continued(left, field).and_then(|stored| self.fields.get(self.position_of(&stored.name)?));
        stored.is_none_or(|stored| stored.nullable && !field.nullable)
    }

    /// The fields that records may still have, of this schema or left of earlier ones, once `wanted` takes its place.
    #[must_use]
    pub fn left_by(&self, left: &[FieldSchema], wanted: &Self) -> Vec<FieldSchema> {
        let taken: BTreeSet<_> =
            wanted.fields.iter().filter_map(|field| Some(&self.continued(left, field)?.name)).collect();
        let stored = self.fields.iter().chain(left);
        stored.filter(|stored| !taken.contains(&stored.name)).cloned().collect()
    }

    /// This schema as it is while records are migrated to it: it still has the version that they are in, and after its own
    /// fields those that it has no more.
    ///
    /// # Errors
    /// `Config` if it cannot have them.
    pub(crate) fn with_former(&self, version: u32, former: Vec<FieldSchema>) -> Result<Self> {
        let mut fields = self.fields.clone();
        for field in former {
            // The same field, read by its name of now or then.
            if !fields.iter().any(|known| known.names().any(|name| *name == field.name)) {
                fields.push(field);
            }
        }
        let names = std::iter::once(&self.id_field).chain(fields.iter().flat_map(FieldSchema::names));
        let mut problems = repeated(self.restriction, names);
        if fields.len() > MAX_FIELDS {
            problems.push(format!("{} fields, the limit is {MAX_FIELDS}", fields.len()));
        }
        if problems.is_empty() {
            return Ok(Self { version, fields, ..self.clone() });
        }
        let text = format!("type {} with the fields that it had: {}", self.name, problems.join("; "));
        Err(Error::new(ErrorKind::Config, "migrate", text))
    }
}
