//! What a type looks like to a data source: its name, fields and kinds.

mod stored;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldName, TypeName, Value, Zone};

/// The kind of a field, which decides its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// True or false.
    Boolean,
    /// A signed 64-bit whole number.
    Integer,
    /// A finite 64-bit floating point number.
    Real,
    /// Text without NUL.
    Text,
    /// A UUID, as its hyphenated lower-case text.
    Uuid,
    /// A date or time, as text of at most 64 bytes (RFC 3339 from the derive macro).
    DateTime,
    /// Bytes.
    Bytes,
    /// Anything else, as a JSON column.
    Json,
}

/// One field of a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldSchema {
    /// The field's name: column, document field, name on the wire.
    pub name: FieldName,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be [`Value::Null`].
    pub nullable: bool,
}

impl FieldSchema {
    /// What a record has that was stored before the field was: null, or the kind's zero if it is not nullable.
    #[must_use]
    pub fn initial(&self) -> Value {
        if self.nullable {
            return Value::Null;
        }
        match self.kind {
            FieldKind::Boolean => Value::Bool(false),
            FieldKind::Integer => Value::Integer(0),
            FieldKind::Real => Value::Real(0.0),
            FieldKind::Text | FieldKind::Uuid | FieldKind::DateTime => Value::Text(String::new()),
            FieldKind::Bytes => Value::Bytes(Vec::new()),
            FieldKind::Json => Value::Json("null".to_owned()),
        }
    }
}

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "stored::StoredSchema")]
pub struct TypeSchema {
    name: TypeName,
    version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    id_field: FieldName,
    fields: Vec<FieldSchema>,
}

/// The most bytes that one record may have (see [`Record::approximate_bytes`](crate::Record::approximate_bytes)).
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most fields that a type may have.
pub const MAX_FIELDS: usize = 512;

impl TypeSchema {
    /// Starts the schema of the type `name`, whose ids are in the field `id_field`.
    pub fn builder(name: impl Into<String>, id_field: impl Into<String>) -> TypeSchemaBuilder {
        TypeSchemaBuilder {
            name: name.into(),
            id_field: id_field.into(),
            version: 1,
            priority: 0,
            restriction: ZoneRestriction::Global,
            fields: Vec::new(),
        }
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

    /// Why a storage that was prepared for this schema cannot take `wanted`, in words for people; nothing if it can.
    /// `left`: fields of earlier schemas that its records may still have.
    #[must_use]
    pub fn contradictions(&self, left: &[FieldSchema], wanted: &Self) -> Vec<String> {
        let name = &wanted.name;
        let mut problems = Vec::new();
        if self.id_field != wanted.id_field {
            problems.push(format!("type {name}: the id field is {}, not {}", self.id_field, wanted.id_field));
        }
        if self.restriction != wanted.restriction {
            let (stored, wanted) = (self.restriction, wanted.restriction);
            problems.push(format!("type {name}: the restriction is {stored:?}, not {wanted:?}"));
        }
        for field in &wanted.fields {
            let stored = self.fields.iter().chain(left).find(|stored| stored.name == field.name);
            if let Some(stored) = stored.filter(|stored| stored.kind != field.kind) {
                let (field, stored, wanted) = (&field.name, stored.kind, field.kind);
                problems.push(format!("field {name}.{field}: the kind is {stored:?}, not {wanted:?}"));
            }
        }
        problems
    }

    /// The fields that records may still have, of this schema or left of earlier ones, once `wanted` takes its place.
    #[must_use]
    pub fn left_by(&self, left: &[FieldSchema], wanted: &Self) -> Vec<FieldSchema> {
        let stored = self.fields.iter().chain(left);
        stored.filter(|stored| wanted.fields.iter().all(|field| field.name != stored.name)).cloned().collect()
    }

    /// Checks a body against the fields and brings each value into its one stored form: base64 text of a bytes
    /// field becomes bytes, a whole number in a real field becomes a real, any value of a JSON field becomes
    /// JSON text, negative zero becomes zero.
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
        let mut bytes = 0;
        for (field, value) in self.fields.iter().zip(body.iter_mut()) {
            if let Some(problem) = field.admit(value)? {
                return Err(Error::invalid("admit", format!("field {}.{} {problem}", self.name, field.name)));
            }
            bytes += value.approximate_bytes();
        }
        if bytes > MAX_RECORD_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "admit",
                format!("a record of type {} has {bytes} bytes, the limit is {MAX_RECORD_BYTES}", self.name),
            ));
        }
        Ok(())
    }
}

impl FieldSchema {
    /// `Ok(None)` if the value fits, otherwise what is wrong with it.
    fn admit(&self, value: &mut Value) -> Result<Option<&'static str>> {
        use base64::Engine as _;
        if matches!(value, Value::Null) {
            return Ok((!self.nullable).then_some("must have a value"));
        }
        let fits = match (self.kind, &mut *value) {
            (FieldKind::Boolean, Value::Bool(_)) | (FieldKind::Integer, Value::Integer(_)) => true,
            (FieldKind::Real, Value::Real(real)) => {
                *real += 0.0;
                real.is_finite()
            }
            (FieldKind::Real, Value::Integer(whole)) => {
                let exact = whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
                *value = Value::Real(*whole as f64);
                exact
            }
            (FieldKind::Text, Value::Text(text)) => {
                if text.contains('\0') {
                    return Ok(Some("holds NUL"));
                }
                true
            }
            (FieldKind::Uuid, Value::Text(text)) => is_canonical_uuid(text),
            (FieldKind::DateTime, Value::Text(text)) => {
                (1..=64).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            }
            (FieldKind::Bytes, Value::Bytes(_)) | (FieldKind::Json, Value::Json(_)) => true,
            (FieldKind::Bytes, Value::Text(text)) => {
                match base64::engine::general_purpose::STANDARD.decode(&*text) {
                    Ok(bytes) => {
                        *value = Value::Bytes(bytes);
                        true
                    }
                    Err(_) => false,
                }
            }
            (
                FieldKind::Json,
                plain @ (Value::Bool(_) | Value::Integer(_) | Value::Real(_) | Value::Text(_)),
            ) => {
                *value = Value::json(plain)?;
                true
            }
            _ => false,
        };
        Ok((!fits).then_some("has a value of another kind"))
    }
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

fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// Collects a [`TypeSchema`]; everything is checked in [`TypeSchemaBuilder::build`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TypeSchemaBuilder {
    name: String,
    id_field: String,
    version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    fields: Vec<(String, FieldKind, bool)>,
}

impl TypeSchemaBuilder {
    /// Adds a field that always has a value.
    pub fn field(mut self, name: impl Into<String>, kind: FieldKind) -> Self {
        self.fields.push((name.into(), kind, false));
        self
    }

    /// Adds a field that may be null.
    pub fn nullable_field(mut self, name: impl Into<String>, kind: FieldKind) -> Self {
        self.fields.push((name.into(), kind, true));
        self
    }

    /// Sets the schema version (1 unless set).
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Sets the priority (0 unless set): parents first, children after.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Restricts the records of this type to zones.
    pub fn restricted(mut self) -> Self {
        self.restriction = ZoneRestriction::Restricted;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `InvalidInput` that names every problem: names outside the grammar, two names that differ only in case, a
    /// field named `zone` in a restricted type (its table has a column of that name), more than [`MAX_FIELDS`].
    pub fn build(self) -> Result<TypeSchema> {
        let mut problems = Vec::new();
        let mut check =
            |result: Result<FieldName>| result.map_err(|e| problems.push(e.message().to_owned())).ok();
        let id_field = check(FieldName::new(&self.id_field));
        let fields: Vec<_> = self
            .fields
            .iter()
            .filter_map(|(name, kind, nullable)| {
                let name = check(FieldName::new(name))?;
                Some(FieldSchema { name, kind: *kind, nullable: *nullable })
            })
            .collect();
        let name = TypeName::new(&self.name).map_err(|e| problems.push(e.message().to_owned())).ok();
        let names = id_field.iter().chain(fields.iter().map(|field| &field.name));
        problems.extend(repeated(self.restriction, names));
        if fields.len() > MAX_FIELDS {
            problems.push(format!("{} fields, the limit is {MAX_FIELDS}", fields.len()));
        }
        match (name, id_field) {
            (Some(name), Some(id_field)) if problems.is_empty() => Ok(TypeSchema {
                name,
                version: self.version,
                priority: self.priority,
                restriction: self.restriction,
                id_field,
                fields,
            }),
            _ => Err(Error::invalid("schema", format!("type {:?}: {}", self.name, problems.join("; ")))),
        }
    }
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
}
