//! Building a schema.

use super::{FieldKind, FieldSchema, IdKind, MAX_FIELDS, TypeSchema, ZoneRestriction, repeated};
use crate::error::{Error, Result};
use crate::model::{FieldName, TypeName, Value};

/// Collects a [`TypeSchema`]; everything is checked in [`TypeSchemaBuilder::build`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TypeSchemaBuilder {
    name: String,
    id_field: String,
    id_kind: IdKind,
    version: u32,
    min_version: u32,
    priority: i32,
    restriction: ZoneRestriction,
    fields: Vec<(String, FieldKind, bool)>,
    defaults: Vec<(String, Value)>,
    zeroless: Vec<String>,
    was: Vec<(String, String)>,
}

impl TypeSchemaBuilder {
    pub(super) fn new(name: String, id_field: String) -> Self {
        Self {
            name,
            id_field,
            id_kind: IdKind::Text,
            version: 1,
            min_version: 0,
            priority: 0,
            restriction: ZoneRestriction::Global,
            fields: Vec::new(),
            defaults: Vec::new(),
            zeroless: Vec::new(),
            was: Vec::new(),
        }
    }

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

    /// Gives a field a default: what records have that were stored before the field was, or that have null where it is
    /// no longer allowed.
    ///
    /// ```
    /// use fastsync_core::{FieldKind, TypeSchema};
    ///
    /// let schema = TypeSchema::builder("items", "id")
    ///     .field("state", FieldKind::Text)
    ///     .default_value("state", "open")
    ///     .build()?;
    /// assert!(schema.fields()[0].initial() == "open".into());
    /// # Ok::<(), fastsync_core::Error>(())
    /// ```
    pub fn default_value(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.defaults.push((name.into(), value.into()));
        self
    }

    /// Marks a field whose type does not allow its kind's zero: an enum stored as text does not allow empty text.
    ///
    /// Such a field needs a default to be added to a type that has records.
    pub fn zeroless(mut self, name: impl Into<String>) -> Self {
        self.zeroless.push(name.into());
        self
    }

    /// Says that a field had another name in an earlier schema: what is stored under it is kept. A field may have had
    /// several.
    pub fn was(mut self, name: impl Into<String>, earlier: impl Into<String>) -> Self {
        self.was.push((name.into(), earlier.into()));
        self
    }

    /// Sets the kind of the ids ([`IdKind::Text`] unless set).
    ///
    /// ```
    /// use fastsync_core::{IdKind, ObjectId, TypeSchema};
    ///
    /// let schema = TypeSchema::builder("items", "id").id_kind(IdKind::Integer).build()?;
    /// assert!(schema.admit_id(&ObjectId::new("-7")?).is_ok());
    /// assert!(schema.admit_id(&ObjectId::new("seven")?).is_err());
    /// # Ok::<(), fastsync_core::Error>(())
    /// ```
    pub fn id_kind(mut self, kind: IdKind) -> Self {
        self.id_kind = kind;
        self
    }

    /// Sets the schema version (1 unless set).
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Sets the oldest version with which a server of this schema exchanges the type (every one unless set): what older
    /// clients have of it stays with them until they are upgraded, and their other types go on.
    ///
    /// For a change that the names of the fields do not show, of what values mean. A field that came or went, or is called
    /// otherwise, needs none.
    pub fn min_version(mut self, min_version: u32) -> Self {
        self.min_version = min_version;
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
    /// field named `zone` in a restricted type (its table has a column of that name), more than [`MAX_FIELDS`], a
    /// default that does not fit its field or has none, an earlier name that another field has, a `min_version` later than
    /// the version.
    pub fn build(self) -> Result<TypeSchema> {
        let mut problems = Vec::new();
        let mut check =
            |result: Result<FieldName>| result.map_err(|e| problems.push(e.message().to_owned())).ok();
        let id_field = check(FieldName::new(&self.id_field));
        let mut fields: Vec<_> = self
            .fields
            .iter()
            .filter_map(|(name, kind, nullable)| {
                let name = check(FieldName::new(name))?;
                Some(FieldSchema {
                    name,
                    kind: *kind,
                    nullable: *nullable,
                    default: None,
                    zeroless: false,
                    was: Vec::new(),
                })
            })
            .collect();
        let was: Vec<_> = self
            .was
            .iter()
            .filter_map(|(name, earlier)| Some((name, check(FieldName::new(earlier))?)))
            .collect();
        let name = TypeName::new(&self.name).map_err(|e| problems.push(e.message().to_owned())).ok();
        let missing = |name: &str| format!("there is no field {name:?} to say more of");
        for (name, value) in self.defaults {
            let Some(field) = fields.iter_mut().find(|field| field.name.as_str() == name) else {
                problems.push(missing(&name));
                continue;
            };
            field.default = Some(value);
            if let Some(problem) = field.settle_default()? {
                problems.push(format!("field {name}: the default {problem}"));
            }
        }
        for name in &self.zeroless {
            match fields.iter_mut().find(|field| field.name.as_str() == name) {
                Some(field) => field.zeroless = true,
                None => problems.push(missing(name)),
            }
        }
        for (name, earlier) in was {
            match fields.iter_mut().find(|field| field.name.as_str() == name) {
                Some(field) => field.was.push(earlier),
                None => problems.push(missing(name)),
            }
        }
        let names = id_field.iter().chain(fields.iter().flat_map(FieldSchema::names));
        problems.extend(repeated(self.restriction, names));
        if fields.len() > MAX_FIELDS {
            problems.push(format!("{} fields, the limit is {MAX_FIELDS}", fields.len()));
        }
        if self.min_version > self.version {
            let (least, own) = (self.min_version, self.version);
            problems.push(format!("min_version {least} is later than the version itself, {own}"));
        }
        match (name, id_field) {
            (Some(name), Some(id_field)) if problems.is_empty() => Ok(TypeSchema {
                name,
                version: self.version,
                min_version: self.min_version,
                priority: self.priority,
                restriction: self.restriction,
                id_field,
                id_kind: self.id_kind,
                fields,
            }),
            _ => Err(Error::invalid("schema", format!("type {:?}: {}", self.name, problems.join("; ")))),
        }
    }
}
