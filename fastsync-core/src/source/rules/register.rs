//! What preparing a type comes to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, TypeName};
use crate::schema::{FieldSchema, TypeSchema};
use crate::source::PlannedChange;

/// A type as a data source notes it: with the fields that records may still have, although its schema has them no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotedType {
    /// The schema as it was prepared last.
    pub schema: TypeSchema,
    /// Fields of earlier schemas.
    pub dropped: Vec<FieldSchema>,
}

impl NotedType {
    /// A type that is new.
    #[must_use]
    pub const fn new(schema: TypeSchema) -> Self {
        Self { schema, dropped: Vec::new() }
    }

    /// The same with a later schema, which does not contradict it.
    #[must_use]
    pub fn with(&self, schema: &TypeSchema) -> Self {
        Self { dropped: self.schema.left_by(&self.dropped, schema), schema: schema.clone() }
    }

    /// The fields that have another name in a later schema, with their name until now.
    pub fn renamed<'a>(
        &'a self,
        schema: &'a TypeSchema,
    ) -> impl Iterator<Item = (&'a FieldName, &'a FieldName)> {
        let continued = |field: &'a FieldSchema| Some((self.schema.continued(&self.dropped, field)?, field));
        let names =
            schema.fields().iter().filter_map(continued).map(|(stored, field)| (&stored.name, &field.name));
        names.filter(|(stored, name)| stored != name)
    }
}

/// How a type is noted once it is prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered<'a, N> {
    /// Its number, if it is known.
    pub number: Option<N>,
    /// How it was noted.
    pub before: Option<&'a NotedType>,
    /// What to note.
    pub noted: NotedType,
    /// Why the note changes; empty if it stays.
    pub changes: Vec<PlannedChange>,
}

impl<'a, N: Copy> Registered<'a, N> {
    /// What preparing a type comes to. `known` are the types that are noted, with their numbers; `new` are those that the same
    /// `prepare` adds. What is against it is added to `problems`.
    #[must_use]
    pub fn new<'b>(
        known: &'a [(N, NotedType)],
        new: impl IntoIterator<Item = &'b NotedType>,
        schema: &TypeSchema,
        problems: &mut Vec<String>,
    ) -> Self {
        let earlier = known.iter().find(|(_, noted)| noted.schema.name() == schema.name());
        let known_names = known.iter().map(|(_, noted)| noted.schema.name());
        let others = known_names.chain(new.into_iter().map(|noted| noted.schema.name()));
        let form = earlier.map(|(_, noted)| (&noted.schema, &*noted.dropped));
        let changes = register(form, others, schema, problems);
        let noted = match earlier {
            Some((_, noted)) if changes.is_empty() => noted.clone(),
            Some((_, noted)) => noted.with(schema),
            None => NotedType::new(schema.clone()),
        };
        let (number, before) = earlier.map(|(number, noted)| (*number, noted)).unzip();
        Self { number, before, noted, changes }
    }
}

/// The types of one `prepare`, each once: parents first, so that they get lower numbers and come before their children in the
/// order of changes.
///
/// # Errors
/// `Config` if a type is given twice, and not as the same.
pub fn in_order(types: &[TypeSchema]) -> Result<Vec<&TypeSchema>> {
    let mut sorted: Vec<_> = types.iter().collect();
    sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
    sorted.dedup();
    let mut names = BTreeSet::new();
    let twice = sorted.iter().map(|schema| schema.name()).filter(|name| !names.insert(*name));
    let twice: Vec<_> =
        twice.map(|name| format!("type {name} is given twice, and not as the same")).collect();
    refuse(&twice)?;
    Ok(sorted)
}

/// What changes in the note of a type: nothing if it stays as it is.
///
/// `known` is how it is noted (its schema, and what records may have beside it), `others` are the names of the types that
/// there are. What is against it is added to `problems`; then the changes mean nothing.
#[must_use]
pub fn register<'a>(
    known: Option<(&TypeSchema, &[FieldSchema])>,
    others: impl IntoIterator<Item = &'a TypeName>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Vec<PlannedChange> {
    let name = schema.name();
    if let Some((noted, left)) = known {
        problems.extend(noted.contradictions(left, schema));
        return PlannedChange::growth(noted, left, schema);
    }
    let is_same = |other: &&TypeName| other.as_str().eq_ignore_ascii_case(name.as_str());
    if let Some(other) = others.into_iter().find(is_same) {
        problems.push(format!("type {name} differs from type {other} only in case"));
    }
    vec![PlannedChange::AddType { type_name: name.clone() }]
}

/// Refuses a `prepare` that something is against.
///
/// # Errors
/// `Config` that names all of it.
pub fn refuse(problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "prepare", problems.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FieldKind;

    fn notes() -> TypeSchema {
        TypeSchema::builder("notes", "id").field("text", FieldKind::Text).build().unwrap()
    }

    #[test]
    fn a_type_is_new_grows_stays_or_is_refused() {
        let mut problems = Vec::new();
        let changes =
            |known: Option<&TypeSchema>, other: &str, schema: &TypeSchema, problems: &mut Vec<_>| {
                let known = known.map(|known| (known, &[] as &[FieldSchema]));
                register(known, [&TypeName::new(other).unwrap()], schema, problems).len()
            };
        assert_eq!(changes(None, "tasks", &notes(), &mut problems), 1);
        assert_eq!(changes(Some(&notes()), "notes", &notes(), &mut problems), 0);
        let longer = TypeSchema::builder("notes", "id").field("text", FieldKind::Text);
        let longer = longer.field("size", FieldKind::Integer).build().unwrap();
        assert!(changes(Some(&notes()), "notes", &longer, &mut problems) > 0);
        assert!(refuse(&problems).is_ok());
        let other = TypeSchema::builder("notes", "id").field("text", FieldKind::Bytes).build().unwrap();
        let _ = changes(Some(&notes()), "notes", &other, &mut problems);
        let _ = changes(None, "NOTES", &notes(), &mut problems);
        let error = refuse(&problems).unwrap_err();
        assert_eq!((error.kind(), problems.len()), (ErrorKind::Config, 2));
        assert!(error.message().contains("only in case"), "{error}");
    }

    /// Fails if a field that is left out and comes back under another name is taken for a new one.
    #[test]
    fn a_note_keeps_what_records_may_have() {
        let without = TypeSchema::builder("notes", "id").build().unwrap();
        let noted = NotedType::new(notes()).with(&without);
        assert_eq!((noted.dropped.len(), noted.schema.fields().len()), (1, 0));
        let back = TypeSchema::builder("notes", "id").field("words", FieldKind::Text);
        let back = back.was("words", "text").build().unwrap();
        let names: Vec<_> = noted.renamed(&back).map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(names, [("text", "words")]);
        assert_eq!(noted.with(&back).dropped, []);
    }

    #[test]
    fn parents_come_first_and_each_once() {
        let of = |name: &str, priority| TypeSchema::builder(name, "id").priority(priority).build().unwrap();
        let types = [of("b", 1), of("c", 0), of("a", 1), of("c", 0)];
        assert_eq!(
            in_order(&types).unwrap().iter().map(|s| s.name().as_str()).collect::<Vec<_>>(),
            ["c", "a", "b"]
        );
        assert!(in_order(&[of("a", 0), of("a", 1)]).is_err());
    }
}
