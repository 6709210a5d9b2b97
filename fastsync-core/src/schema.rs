//! What a type looks like to a data source: its name, fields and kinds.

mod builder;
mod field;
mod growth;
mod id_kind;
mod kind;
mod stored;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, ObjectId, TypeName, Value, Zone};

pub use builder::TypeSchemaBuilder;
pub use field::FieldSchema;
pub use id_kind::IdKind;
pub use kind::FieldKind;

/// Whether a type's records are shared by everyone or by the members of a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneRestriction {
    /// Records live in [`Zone::Global`].
    #[default]
    Global,
    /// Each record lives in one [`Zone::Restricted`].
    Restricted,
}

/// What a type looks like to a data source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "stored::StoredSchema")]
pub struct TypeSchema {
    name: TypeName,
    version: u32,
    #[serde(skip_serializing_if = "takes_every_version")]
    min_version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    id_field: FieldName,
    #[serde(skip_serializing_if = "IdKind::is_text")]
    id_kind: IdKind,
    fields: Vec<FieldSchema>,
}

/// The most bytes that one record may have (see [`Record::approximate_bytes`](crate::Record::approximate_bytes)).
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most fields that a type may have.
pub const MAX_FIELDS: usize = 512;

impl TypeSchema {
    /// Starts the schema of the type `name`, whose ids are in the field `id_field`.
    pub fn builder(name: impl Into<String>, id_field: impl Into<String>) -> TypeSchemaBuilder {
        TypeSchemaBuilder::new(name.into(), id_field.into())
    }

    /// The type's name.
    #[must_use]
    pub fn name(&self) -> &TypeName {
        &self.name
    }

    /// The version of the schema, raised by the user when fields change.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The oldest version with which this end exchanges the type; 0 if every one.
    #[must_use]
    pub const fn min_version(&self) -> u32 {
        self.min_version
    }

    /// Its place in the order of writing: lower ones (parents) are written first and deleted last.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Whether its records are global or restricted to a zone.
    #[must_use]
    pub fn restriction(&self) -> ZoneRestriction {
        self.restriction
    }

    /// The name of the field that holds the id; it is not among [`Self::fields`].
    #[must_use]
    pub fn id_field(&self) -> &FieldName {
        &self.id_field
    }

    /// The kind of the ids.
    #[must_use]
    pub fn id_kind(&self) -> IdKind {
        self.id_kind
    }

    /// The fields beside the id, in the order of a record's body.
    #[must_use]
    pub fn fields(&self) -> &[FieldSchema] {
        &self.fields
    }

    /// The place of a field in a record's body.
    #[must_use]
    pub fn position_of(&self, field: &FieldName) -> Option<usize> {
        self.fields.iter().position(|candidate| candidate.name == *field)
    }

    /// Whether records of this type can be in the zone.
    #[must_use]
    pub fn fits(&self, zone: &Zone) -> bool {
        (self.restriction == ZoneRestriction::Restricted) == matches!(zone, Zone::Restricted(_))
    }

    /// Checks an id against the kind of the ids.
    ///
    /// # Errors
    /// `InvalidInput` if it is not one of them.
    pub fn admit_id(&self, id: &ObjectId) -> Result<()> {
        let refused = |problem| Error::invalid("admit", format!("an id of type {} {problem}", self.name));
        self.id_kind.refuses(id).map_or(Ok(()), |problem| Err(refused(problem)))
    }

    /// Checks a body against the fields and brings each value into its one stored form (see [`FieldKind`]): base64
    /// text of a bytes field becomes bytes, a whole number in a real field becomes a real, any value of a JSON field
    /// becomes JSON text, text of a decimal field becomes a number, negative zero becomes zero, a moment is in UTC and
    /// has nine digits of its fraction.
    ///
    /// # Errors
    /// `InvalidInput` if the number of values, a kind or a rule of its kind does not fit; `TooLarge` if the body
    /// exceeds [`MAX_RECORD_BYTES`]. The message names the field, never its value.
    pub fn admit(&self, body: &mut [Value]) -> Result<()> {
        if body.len() != self.fields.len() {
            return Err(Error::invalid(
                "admit",
                format!("type {} has {} fields, the body has {}", self.name, self.fields.len(), body.len()),
            ));
        }
        let (mut bytes, mut largest) = (0, (0, None));
        for (field, value) in self.fields.iter().zip(body.iter_mut()) {
            if let Some(problem) = field.admit(value)? {
                return Err(Error::invalid("admit", format!("field {}.{} {problem}", self.name, field.name)));
            }
            let of_value = value.approximate_bytes();
            bytes += of_value;
            if of_value > largest.0 {
                largest = (of_value, Some(&field.name));
            }
        }
        if bytes > MAX_RECORD_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "admit",
                format!(
                    "a record of type {} has {bytes} bytes, the limit is {MAX_RECORD_BYTES}: {} of them are in field {}",
                    self.name,
                    largest.0,
                    largest.1.map_or("", FieldName::as_str),
                ),
            ));
        }
        Ok(())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn takes_every_version(min_version: &u32) -> bool {
    *min_version == 0
}

/// What is wrong with fields that differ from one before in case at most, or take the name of the zone's
/// column.
fn repeated<'a>(restriction: ZoneRestriction, fields: impl Iterator<Item = &'a FieldName>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    if restriction == ZoneRestriction::Restricted {
        seen.insert("zone".to_owned());
    }
    fields
        .filter(|field| !seen.insert(field.as_str().to_ascii_lowercase()))
        .map(|field| format!("field {field} is there twice or is reserved"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> TypeSchema {
        TypeSchema::builder("items", "id")
            .field("name", FieldKind::Text)
            .field("share", FieldKind::Real)
            .nullable_field("photo", FieldKind::Bytes)
            .nullable_field("extra", FieldKind::Json)
            .build()
            .unwrap()
    }

    #[test]
    fn admit_brings_wire_values_into_their_stored_form() {
        let mut body: Vec<Value> = serde_json::from_str(r#"["a", 1, "AAE=", "text"]"#).unwrap();
        schema().admit(&mut body).unwrap();
        let stored = vec![
            Value::Text("a".into()),
            Value::Real(1.0),
            Value::Bytes(vec![0, 1]),
            Value::Json("\"text\"".into()),
        ];
        assert!(body == stored);
        let mut zero = vec![Value::Text(String::new()), Value::Real(-0.0), Value::Null, Value::Null];
        schema().admit(&mut zero).unwrap();
        assert!(matches!(zero.get(1), Some(Value::Real(zero)) if zero.is_sign_positive()));
    }

    #[test]
    fn admit_refuses_other_kinds_and_counts() {
        for bad in [
            r#"["a", 1.0, null]"#,
            r#"[null, 1.0, null, null]"#,
            r#"[7, 1.0, null, null]"#,
            r#"["a", "1.0", null, null]"#,
            r#"["a", 9007199254740993, null, null]"#,
            r#"["a", 1.0, "not base64!", null]"#,
            r#"["a\u0000", 1.0, null, null]"#,
        ] {
            let mut body: Vec<Value> = serde_json::from_str(bad).unwrap();
            assert_eq!(schema().admit(&mut body).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
        let mut large =
            vec![Value::Text("x".repeat(MAX_RECORD_BYTES + 1)), Value::Real(0.0), Value::Null, Value::Null];
        assert_eq!(schema().admit(&mut large).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn build_names_every_problem() {
        let error = TypeSchema::builder("1items", "id")
            .field("ID", FieldKind::Text)
            .field("$set", FieldKind::Text)
            .field("zone", FieldKind::Text)
            .restricted()
            .build()
            .unwrap_err()
            .to_string();
        for part in ["1items", "ID", "$set", "zone"] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
    }

    #[test]
    fn a_default_is_a_value_of_its_field_and_is_stored_with_it() {
        let builder = || {
            TypeSchema::builder("items", "id")
                .field("photo", FieldKind::Bytes)
                .field("share", FieldKind::Real)
                .field("owner", FieldKind::Uuid)
                .nullable_field("extra", FieldKind::Json)
        };
        let schema = builder()
            .default_value("photo", vec![0_u8, 255])
            .default_value("share", 1_i64)
            .default_value("extra", "text")
            .build()
            .unwrap();
        let initial: Vec<_> = schema.fields().iter().map(FieldSchema::initial).collect();
        let expected: [Value; 4] =
            [vec![0_u8, 255].into(), 1.0.into(), "".into(), Value::Json("\"text\"".into())];
        assert!(initial == expected);
        let has: Vec<_> = schema.fields().iter().map(FieldSchema::has_initial).collect();
        assert_eq!(has, [true, true, false, true]);
        let json = serde_json::to_string(&schema).unwrap();
        assert!(serde_json::from_str::<TypeSchema>(&json).unwrap() == schema, "{json}");

        let bad = builder()
            .default_value("owner", "nobody")
            .default_value("share", Value::Null)
            .default_value("colour", 1_i64)
            .build();
        let error = bad.unwrap_err().to_string();
        for part in ["owner", "share", "colour"] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
        assert!(serde_json::from_str::<TypeSchema>(&json.replace("1.0", "true")).is_err());
    }

    #[test]
    fn a_field_that_has_no_zero_needs_a_default_to_be_added() {
        let empty = TypeSchema::builder("items", "id").build().unwrap();
        let nullable =
            TypeSchema::builder("items", "id").nullable_field("note", FieldKind::Text).build().unwrap();
        let with = |name: &str, kind| TypeSchema::builder("items", "id").field(name, kind);
        let problems = |from: &TypeSchema, left: &[FieldSchema], to: TypeSchemaBuilder| {
            from.contradictions(left, &to.build().unwrap()).join("; ")
        };
        let times = [FieldKind::Instant, FieldKind::LocalDateTime, FieldKind::Date, FieldKind::Time];
        for kind in times.into_iter().chain([FieldKind::Uuid, FieldKind::Json]) {
            let found = problems(&empty, &[], with("owner", kind));
            assert!(found.contains("items.owner") && found.contains("needs a default"), "{found}");
            assert!(
                !problems(&empty, with("owner", kind).build().unwrap().fields(), with("owner", kind))
                    .is_empty()
            );
            assert_eq!(problems(&with("owner", kind).build().unwrap(), &[], with("owner", kind)), "");
        }
        assert_eq!(problems(&empty, &[], with("owner", FieldKind::Json).default_value("owner", true)), "");
        assert!(
            problems(&empty, &[], with("state", FieldKind::Text).zeroless("state")).contains("items.state")
        );
        assert_eq!(problems(&empty, &[], with("state", FieldKind::Text)), "");
        let found = problems(&nullable, &[], with("note", FieldKind::Text));
        assert!(found.contains("items.note") && found.contains("needs a default"), "{found}");
        assert_eq!(problems(&nullable, &[], with("note", FieldKind::Text).default_value("note", "")), "");
    }

    #[test]
    fn a_field_goes_on_from_the_one_that_it_was() {
        let first = TypeSchema::builder("items", "id").field("label", FieldKind::Uuid).build().unwrap();
        let second = TypeSchema::builder("items", "id").field("title", FieldKind::Uuid).was("title", "label");
        let second = second.build().unwrap();
        assert!(first.contradictions(&[], &second).is_empty());
        assert!(first.left_by(&[], &second).is_empty());
        let [title] = second.fields() else { panic!("one field") };
        assert_eq!(first.continued(&[], title).map(|field| field.name.as_str()), Some("label"));
        assert!(!first.lacks(&[], title));
        let json = serde_json::to_string(&second).unwrap();
        assert!(serde_json::from_str::<TypeSchema>(&json).unwrap() == second, "{json}");

        // A kind cannot change with the name.
        let other = TypeSchema::builder("items", "id").field("title", FieldKind::Text).was("title", "label");
        assert!(!first.contradictions(&[], &other.build().unwrap()).is_empty());
        let both = TypeSchema::builder("items", "id")
            .field("label", FieldKind::Uuid)
            .field("title", FieldKind::Uuid)
            .was("title", "Label")
            .was("size", "length");
        let error = both.build().unwrap_err().to_string();
        for part in ["Label", "size"] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
    }
}
