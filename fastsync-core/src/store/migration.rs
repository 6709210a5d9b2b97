//! Changes of a type that need code: what a migration is, and the row that it works on.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};
use crate::model::{FieldName, ObjectId, Value, Zone};
use crate::object::{FieldValue, SyncableObject};
use crate::schema::{FieldKind, FieldSchema, TypeSchema};

type Rewrite = dyn Fn(&mut MigrationRow<'_>) -> Result<()> + Send + Sync;

/// How the stored objects of a type become those of a later version, where that needs code.
///
/// Give it to [`StoreBuilder::migrate`](crate::StoreBuilder::migrate), at the server and at the clients.
///
/// ```
/// use fastsync_core::*;
///
/// /// Version 1 had a `name`.
/// #[derive(Debug, PartialEq, SyncableObject)]
/// #[syncable(name = "people", version = 2)]
/// struct Person {
///     #[syncable(id)]
///     id: String,
///     first: String,
///     last: String,
/// }
///
/// fn split_name() -> Migration {
///     Migration::to(2, |person| {
///         let name: String = person.get("name")?;
///         let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
///         person.set("first", first)?;
///         person.set("last", last)
///     })
///     .had::<String>("name")
/// }
///
/// // A test of it needs no store.
/// let ada: Person = split_name().try_on(&ObjectId::new("p-1")?, [("name", "Ada Byron".into())])?;
/// assert_eq!(ada, Person { id: "p-1".into(), first: "Ada".into(), last: "Byron".into() });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Migration {
    to: u32,
    former: Vec<Former>,
    rewrite: Arc<Rewrite>,
}

/// A field that the type had.
#[derive(Debug, Clone)]
struct Former {
    name: String,
    kind: FieldKind,
    nullable: bool,
    zeroless: bool,
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("to", &self.to).field("had", &self.former).finish_non_exhaustive()
    }
}

impl Migration {
    /// A migration to version `version` of the type. `rewrite` changes each object that is stored in an earlier version, by the
    /// names of its fields. Its result is stored once; it may be called more often, for example after an opening that was cut
    /// off.
    ///
    /// It must come to the same wherever it runs: each client and the server call it for their own copy of an object.
    pub fn to(
        version: u32,
        rewrite: impl Fn(&mut MigrationRow<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { to: version, former: Vec::new(), rewrite: Arc::new(rewrite) }
    }

    /// Names a field that the type no longer has and that the migration reads, with the Rust type that it had.
    #[must_use]
    pub fn had<T: FieldValue>(mut self, name: impl Into<String>) -> Self {
        let zeroless = !T::HAS_ZERO;
        self.former.push(Former { name: name.into(), kind: T::KIND, nullable: T::NULLABLE, zeroless });
        self
    }

    /// As [`Self::had`], by kind: [`FieldKind::Json`] for what was JSON, [`FieldKind::Text`] for an enum stored as text.
    #[must_use]
    pub fn had_kind(mut self, name: impl Into<String>, kind: FieldKind, nullable: bool) -> Self {
        self.former.push(Former { name: name.into(), kind, nullable, zeroless: false });
        self
    }

    /// The version that it leads to.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.to
    }

    /// The fields that it [had](Self::had), by name.
    pub fn had_fields(&self) -> impl Iterator<Item = &str> {
        self.former.iter().map(|former| former.name.as_str())
    }

    /// What becomes of an object with these values, for tests. Fields that are not named have what a new field has.
    ///
    /// # Errors
    /// Those of the migration; `InvalidInput` if a value does not fit its field.
    pub fn try_on<'a, T: SyncableObject>(
        &self,
        id: &ObjectId,
        values: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<T> {
        let schema = T::schema()?;
        let count = schema.fields().len();
        let stored = schema.with_former(schema.version(), self.former()?)?;
        let mut body = stored.fields().iter().map(FieldSchema::initial).collect();
        let zone = Zone::Global;
        let mut row = MigrationRow::new(&stored, id, &zone, &mut body);
        for (name, value) in values {
            row.set(name, value)?;
        }
        self.run(&mut row)?;
        body.truncate(count);
        T::from_body(id, body)
    }

    pub(super) fn run(&self, row: &mut MigrationRow<'_>) -> Result<()> {
        (self.rewrite)(row)
    }

    /// The fields that the type had.
    pub(super) fn former(&self) -> Result<Vec<FieldSchema>> {
        self.former.iter().map(Former::schema).collect()
    }
}

impl Former {
    fn schema(&self) -> Result<FieldSchema> {
        let Self { name, kind, nullable, zeroless } = self;
        let (kind, nullable) = (*kind, *nullable);
        let mut field = FieldSchema {
            name: FieldName::new(name)?,
            kind,
            nullable,
            default: None,
            zeroless: *zeroless,
            was: Vec::new(),
        };
        // A store may come from a version before the field was: then it has something that can be stored.
        if !field.has_initial() {
            field.default = Some(match kind {
                FieldKind::Uuid => uuid::Uuid::nil().into(),
                FieldKind::Instant => "1970-01-01T00:00:00Z".into(),
                FieldKind::LocalDateTime => "1970-01-01T00:00:00".into(),
                FieldKind::Date => "1970-01-01".into(),
                FieldKind::Time => "00:00:00".into(),
                FieldKind::Json => Value::Json("{}".to_owned()),
                kind => kind.zero(),
            });
            field.settle_default()?;
        }
        Ok(field)
    }
}

/// An object that is stored in an earlier version, as a [`Migration`] sees it: the fields of the type as it is now, and
/// those that it [had](Migration::had).
///
/// A field that has another name now is found by each of its names.
#[derive(Debug)]
pub struct MigrationRow<'a> {
    schema: &'a TypeSchema,
    id: &'a ObjectId,
    zone: &'a Zone,
    body: &'a mut Vec<Value>,
    written: BTreeSet<usize>,
}

impl<'a> MigrationRow<'a> {
    pub(super) const fn new(
        schema: &'a TypeSchema,
        id: &'a ObjectId,
        zone: &'a Zone,
        body: &'a mut Vec<Value>,
    ) -> Self {
        Self { schema, id, zone, body, written: BTreeSet::new() }
    }

    /// The object's id.
    #[must_use]
    pub const fn id(&self) -> &ObjectId {
        self.id
    }

    /// The zone that it lives in.
    #[must_use]
    pub const fn zone(&self) -> &Zone {
        self.zone
    }

    /// The value of a field, as it is stored.
    ///
    /// # Errors
    /// `InvalidInput` if the type neither has nor [had](Migration::had) the field.
    pub fn value(&self, field: &str) -> Result<&Value> {
        let at = self.place(field)?;
        self.body.get(at).ok_or_else(|| self.unknown(field))
    }

    /// The value of a field, as a Rust type: that of the field as it was.
    ///
    /// # Errors
    /// As [`Self::value`]; `InvalidInput` if the value does not fit the type.
    pub fn get<T: FieldValue>(&self, field: &str) -> Result<T> {
        T::from_value(self.value(field)?.clone()).map_err(|error| self.named(error, field))
    }

    /// The value of a field that is stored as JSON.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_json<T: DeserializeOwned>(&self, field: &str) -> Result<T> {
        self.value(field)?.parse_json().map_err(|error| self.named(error, field))
    }

    /// Sets a field.
    ///
    /// # Errors
    /// As [`Self::value`]; `InvalidInput` if the value does not fit the field.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) -> Result<()> {
        let at = self.place(field)?;
        let mut value = value.into();
        let problem = match self.schema.fields().get(at) {
            Some(field) => field.admit(&mut value)?,
            None => None,
        };
        if let Some(problem) = problem {
            let text = format!("field {}.{field} {problem}", self.schema.name());
            return Err(Error::invalid("migrate", text));
        }
        if let Some(slot) = self.body.get_mut(at) {
            *slot = value;
            self.written.insert(at);
        }
        Ok(())
    }

    /// Sets a field that is stored as JSON.
    ///
    /// # Errors
    /// As [`Self::set`]; `InvalidInput` if the value does not serialise.
    pub fn set_json<T: Serialize + ?Sized>(&mut self, field: &str, value: &T) -> Result<()> {
        let value = Value::json(value).map_err(|error| self.named(error, field))?;
        self.set(field, value)
    }

    /// The places of the fields that were set.
    pub(super) fn into_written(self) -> BTreeSet<usize> {
        self.written
    }

    fn place(&self, field: &str) -> Result<usize> {
        let fields = self.schema.fields();
        let named = fields.iter().position(|known| known.name.as_str() == field);
        let was = || fields.iter().position(|known| known.was.iter().any(|name| name.as_str() == field));
        named.or_else(was).ok_or_else(|| self.unknown(field))
    }

    fn unknown(&self, field: &str) -> Error {
        let name = self.schema.name();
        let text = format!("type {name} has no field {field}; if it had one, say so with `Migration::had`");
        Error::invalid("migrate", text)
    }

    fn named(&self, error: Error, field: &str) -> Error {
        error.with_context("field", format!("{}.{field}", self.schema.name()))
    }
}
