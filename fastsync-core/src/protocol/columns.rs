//! How the rows of another release fit a type: by the names of the fields.

use super::TypeVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, Value};
use crate::schema::{FieldSchema, TypeSchema};

/// Where the fields of a type stand in the rows of an end that has the same fields or fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    /// For each field of the type its place in a row; none if the other end does not have it. `None`: rows are bodies.
    places: Option<Vec<Option<usize>>>,
    width: usize,
}

impl Columns {
    /// # Errors
    /// `UnknownType` if this end could not hold what the other one has: it has fields that the type does not have, ids of another
    /// kind, or takes only later versions.
    /// `InvalidInput` if it names a field twice.
    pub(crate) fn of(schema: &TypeSchema, theirs: &TypeVersion) -> Result<Self> {
        if schema.id_kind() != theirs.id {
            return Err(Error::new(
                ErrorKind::UnknownType,
                "decode",
                format!(
                    "type {} has ids of kind {:?} here, not {:?}; it waits until both ends have the same",
                    schema.name(),
                    schema.id_kind(),
                    theirs.id
                ),
            ));
        }
        if schema.version() < theirs.min_version {
            let (name, least, version) = (schema.name(), theirs.min_version, schema.version());
            return Err(Error::new(
                ErrorKind::UnknownType,
                "decode",
                format!("type {name} is to have version {least} at least, and has {version} here; it waits"),
            ));
        }
        let (ours, width) = (schema.fields(), theirs.fields.len());
        if ours.len() == width && ours.iter().zip(&theirs.fields).all(|(ours, theirs)| ours.name == *theirs) {
            return Ok(Self { places: None, width });
        }
        let unknown: Vec<&str> = theirs
            .fields
            .iter()
            .filter(|name| !ours.iter().any(|field| is_called(field, name)))
            .map(FieldName::as_str)
            .collect();
        if !unknown.is_empty() {
            return Err(Error::new(
                ErrorKind::UnknownType,
                "decode",
                format!(
                    "type {} has no field {} here, in version {}; it waits until this end has it",
                    schema.name(),
                    unknown.join(", "),
                    schema.version()
                ),
            ));
        }
        let place = |ours: &FieldSchema| theirs.fields.iter().position(|name| is_called(ours, name));
        let places: Vec<_> = ours.iter().map(place).collect();
        if places.iter().flatten().count() != width {
            return Err(Error::invalid("decode", format!("type {} has a field twice", schema.name())));
        }
        Ok(Self { places: Some(places), width })
    }

    /// The places, in a body, of the fields that the other end does not have.
    pub(crate) fn missing(&self) -> Vec<usize> {
        let places = self.places.iter().flatten().enumerate();
        places.filter(|(_, place)| place.is_none()).map(|(at, _)| at).collect()
    }

    /// The body of a row. Fields that the other end does not have get what a record has that is older than the field.
    pub(crate) fn body(&self, schema: &TypeSchema, mut row: Vec<Value>) -> Result<Vec<Value>> {
        if row.len() != self.width {
            let (name, values, fields) = (schema.name(), row.len(), self.width);
            let message = format!("a row of type {name} has {values} values for {fields} fields");
            return Err(Error::invalid("decode", message));
        }
        let Some(places) = &self.places else { return Ok(row) };
        let value = |(place, field): (&Option<usize>, &FieldSchema)| match place {
            Some(place) => {
                row.get_mut(*place).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
            }
            None => field.initial(),
        };
        Ok(places.iter().zip(schema.fields()).map(value).collect())
    }

    /// The row of a body.
    pub(crate) fn row(&self, body: Vec<Value>) -> Vec<Value> {
        let Some(places) = &self.places else { return body };
        let mut row = vec![Value::Null; self.width];
        for (value, place) in body.into_iter().zip(places) {
            if let Some(slot) = place.and_then(|place| row.get_mut(place)) {
                *slot = value;
            }
        }
        row
    }
}

/// Whether another release calls a field so: by its name, or by one that it had before. No field has that one now.
fn is_called(field: &FieldSchema, name: &FieldName) -> bool {
    field.name == *name || field.was.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{FieldKind, IdKind};

    fn schema() -> TypeSchema {
        let builder = TypeSchema::builder("items", "id").field("a", FieldKind::Text);
        builder.field("b", FieldKind::Integer).nullable_field("c", FieldKind::Real).build().unwrap()
    }

    fn version(fields: &[&str]) -> TypeVersion {
        let fields = fields.iter().map(|name| FieldName::new(*name).unwrap()).collect();
        TypeVersion::new(1, IdKind::Text, fields)
    }

    #[test]
    fn rows_and_bodies_have_the_values_of_the_same_names() {
        let body = vec![Value::Text("x".into()), Value::Integer(1), Value::Real(0.5)];
        for (theirs, row, back, missing) in [
            (&["a", "b", "c"][..], body.clone(), body.clone(), vec![]),
            (&["c", "a", "b"], vec![body[2].clone(), body[0].clone(), body[1].clone()], body.clone(), vec![]),
            (
                &["b"],
                vec![body[1].clone()],
                vec![Value::Text(String::new()), body[1].clone(), Value::Null],
                vec![0, 2],
            ),
            (&[], vec![], vec![Value::Text(String::new()), Value::Integer(0), Value::Null], vec![0, 1, 2]),
        ] {
            let columns = Columns::of(&schema(), &version(theirs)).unwrap();
            assert_eq!(columns.row(body.clone()), row, "{theirs:?}");
            assert_eq!(columns.body(&schema(), row).unwrap(), back, "{theirs:?}");
            assert_eq!(columns.missing(), missing, "{theirs:?}");
        }
    }

    #[test]
    fn a_field_is_known_by_its_earlier_names() {
        let builder = TypeSchema::builder("items", "id").field("name", FieldKind::Text).was("name", "title");
        let schema = builder.field("text", FieldKind::Text).build().unwrap();
        let body = vec![Value::Text("n".into()), Value::Text("t".into())];
        let columns = Columns::of(&schema, &version(&["text", "title"])).unwrap();
        assert_eq!(columns.row(body.clone()), [body[1].clone(), body[0].clone()]);
        assert_eq!(Columns::of(&schema, &version(&["name"])).unwrap().row(body.clone()), [body[0].clone()]);
        // Of one field two names cannot both be meant.
        let error = Columns::of(&schema, &version(&["name", "title"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn both_ends_have_one_kind_of_ids() {
        let theirs = TypeVersion { id: IdKind::Uuid, ..version(&["a", "b", "c"]) };
        let error = Columns::of(&schema(), &theirs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownType);
        assert!(error.message().contains("Text here, not Uuid"), "{error}");
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let error = |fields: &[&str]| Columns::of(&schema(), &version(fields)).unwrap_err();
        assert_eq!(error(&["a", "d", "e"]).kind(), ErrorKind::UnknownType);
        assert!(error(&["a", "d", "e"]).message().contains("d, e"));
        assert_eq!(error(&["a", "a"]).kind(), ErrorKind::InvalidInput);
        let columns = Columns::of(&schema(), &version(&["b"])).unwrap();
        for row in [vec![], vec![Value::Integer(1), Value::Integer(2)]] {
            assert_eq!(columns.body(&schema(), row).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
