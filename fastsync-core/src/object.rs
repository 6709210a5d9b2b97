//! The user's type.

#[cfg(feature = "rust_decimal")]
mod decimals;
mod id_value;
#[cfg(any(feature = "chrono", feature = "time"))]
mod moments;
mod to_object_id;

pub use id_value::IdValue;
pub use to_object_id::ToObjectId;

use crate::error::{Error, Result};
use crate::model::{Decimal, ObjectId, Timestamp, Value};
use crate::schema::{FieldKind, TypeSchema, ZoneRestriction};

/// A type whose values are kept in step.
///
/// Usually derived (feature `derive`); by hand it is four short functions, and a constant if you want the compiler to check
/// zones.
///
/// ```
/// use fastsync_core::{
///     FieldKind, FieldValue, IdValue, ObjectId, Result, SyncableObject, TypeSchema, Value, ZoneRestriction,
/// };
///
/// struct Note {
///     id: u64,
///     text: String,
/// }
///
/// impl SyncableObject for Note {
///     const ZONES: Option<ZoneRestriction> = Some(ZoneRestriction::Restricted);
///
///     fn schema() -> Result<TypeSchema> {
///         let schema = TypeSchema::builder("notes", "id").id_kind(u64::ID_KIND).restricted();
///         schema.field("text", FieldKind::Text).build()
///     }
///     fn id(&self) -> Result<ObjectId> {
///         self.id.to_object_id()
///     }
///     fn to_body(&self) -> Result<Vec<Value>> {
///         Ok(vec![self.text.to_value()?])
///     }
///     fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
///         let text = body.into_iter().next().unwrap_or(Value::Null);
///         Ok(Self { id: u64::from_object_id(id)?, text: String::from_value(text)? })
///     }
/// }
/// # let note = Note { id: 7, text: "x".into() };
/// # assert_eq!(Note::from_body(&note.id().unwrap(), note.to_body().unwrap()).unwrap().text, "x");
/// ```
///
/// Contract: `from_body(&id, body)` of what [`id`](Self::id) and [`to_body`](Self::to_body) gave is an equal
/// object, and `to_body` fits [`schema`](Self::schema).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be synchronised",
    note = "add `#[derive(SyncableObject)]` and mark one field with `#[syncable(id)]`"
)]
pub trait SyncableObject: Sized + Send + Sync + 'static {
    /// Which zones its records live in, for checks by the compiler: [`Repository::new`](crate::Repository::new) of a
    /// restricted type and [`Repository::in_zone`](crate::Repository::in_zone) of a global one do not compile.
    ///
    /// The derive sets it. A type that leaves it out is checked at run time, by its [`schema`](Self::schema): an edit in a
    /// zone of the other sort fails with `UnknownZone`. If it is given, it is the schema's
    /// [`restriction`](TypeSchema::restriction).
    const ZONES: Option<ZoneRestriction> = None;

    /// Name, fields and options of the type.
    ///
    /// # Errors
    /// `InvalidInput` if a name breaks the grammar.
    fn schema() -> Result<TypeSchema>;

    /// The object's identity.
    ///
    /// # Errors
    /// `InvalidInput` if the id field does not hold a valid [`ObjectId`].
    fn id(&self) -> Result<ObjectId>;

    /// The values of the fields beside the id, in the order of the schema.
    ///
    /// # Errors
    /// `InvalidInput` if a field holds a value that cannot be stored.
    fn to_body(&self) -> Result<Vec<Value>>;

    /// The object with this id and these values.
    ///
    /// # Errors
    /// `InvalidInput` if the values do not fit the type.
    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self>;
}

/// A type that has a column of its own. What has none is stored as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no column of its own",
    note = "store it as JSON with `#[syncable(json)]`, as text with `#[syncable(text)]`, or implement `FieldValue`"
)]
///
/// Implement it for a type of yours and mark the field with `#[syncable(value)]` to give it a plain column.
pub trait FieldValue: Sized {
    /// The kind of column.
    const KIND: FieldKind;
    /// Whether the column may be null.
    const NULLABLE: bool = false;
    /// Whether the kind's zero (`false`, `0`, empty text) is a value of this type. A field of a type without one needs a
    /// default to be added to objects that are stored.
    const HAS_ZERO: bool = true;

    /// The value to store.
    ///
    /// # Errors
    /// `InvalidInput` if it cannot be stored.
    fn to_value(&self) -> Result<Value>;

    /// Reads a stored value.
    ///
    /// # Errors
    /// `InvalidInput` if it is of another kind or out of range.
    fn from_value(value: Value) -> Result<Self>;
}

fn mismatch(kind: FieldKind) -> Error {
    Error::invalid("decode", format!("a stored value is not of kind {kind:?} or out of range"))
}

macro_rules! integer_field {
    ($($type:ty: $kind:ident),*) => {$(
        impl FieldValue for $type {
            const KIND: FieldKind = FieldKind::$kind;
            fn to_value(&self) -> Result<Value> {
                i64::try_from(*self).map(Value::Integer).map_err(|_| {
                    Error::invalid("encode", "a whole number is beyond 2^63 - 1, which no backend stores")
                })
            }
            fn from_value(value: Value) -> Result<Self> {
                match value {
                    Value::Integer(whole) => Self::try_from(whole).map_err(|_| mismatch(Self::KIND)),
                    _ => Err(mismatch(Self::KIND)),
                }
            }
        }
    )*};
}

integer_field!(i8: I8, i16: I16, i32: I32, i64: Integer, isize: Integer);
integer_field!(u8: U8, u16: U16, u32: U32, u64: Integer, usize: Integer);

impl FieldValue for bool {
    const KIND: FieldKind = FieldKind::Boolean;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Bool(*self))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bool(value) => Ok(value),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

impl FieldValue for f64 {
    const KIND: FieldKind = FieldKind::Real;
    fn to_value(&self) -> Result<Value> {
        if !self.is_finite() {
            return Err(Error::invalid("encode", "a number is not finite"));
        }
        Ok(Value::Real(*self + 0.0))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Real(real) => Ok(real),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

impl FieldValue for f32 {
    const KIND: FieldKind = FieldKind::Real;
    fn to_value(&self) -> Result<Value> {
        f64::from(*self).to_value()
    }
    // Narrowing gives back exactly the `f32` that was widened.
    #[allow(clippy::cast_possible_truncation)]
    fn from_value(value: Value) -> Result<Self> {
        let narrow = f64::from_value(value)? as Self;
        if narrow.is_finite() { Ok(narrow) } else { Err(mismatch(Self::KIND)) }
    }
}

impl FieldValue for Decimal {
    const KIND: FieldKind = FieldKind::Decimal;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Decimal(*self))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Decimal(number) => Ok(number),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

impl FieldValue for String {
    const KIND: FieldKind = FieldKind::Text;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Text(self.clone()))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Text(text) => Ok(text),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

/// The id of another object, as text.
impl FieldValue for ObjectId {
    const KIND: FieldKind = FieldKind::Text;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Text(self.as_str().to_owned()))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Text(text) => Self::new(text),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

impl FieldValue for Vec<u8> {
    const KIND: FieldKind = FieldKind::Bytes;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Bytes(self.clone()))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

impl FieldValue for uuid::Uuid {
    const KIND: FieldKind = FieldKind::Uuid;
    fn to_value(&self) -> Result<Value> {
        Ok(Value::Text(self.to_string()))
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Text(text) => text.parse().map_err(|_| mismatch(Self::KIND)),
            _ => Err(mismatch(Self::KIND)),
        }
    }
}

/// Milliseconds since 1970-01-01 UTC, as a whole number.
impl FieldValue for Timestamp {
    const KIND: FieldKind = FieldKind::Integer;
    fn to_value(&self) -> Result<Value> {
        self.as_millis().to_value()
    }
    fn from_value(value: Value) -> Result<Self> {
        u64::from_value(value).map(Self::from_millis)
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const KIND: FieldKind = T::KIND;
    const NULLABLE: bool = true;
    fn to_value(&self) -> Result<Value> {
        self.as_ref().map_or(Ok(Value::Null), T::to_value)
    }
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// What `#[derive(SyncableObject)]` and the compiler call. No part of the interface: it changes with the macro.
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, clippy::needless_pass_by_value)]
pub mod __private {
    use serde::{Serialize, de::DeserializeOwned};

    use super::{FieldValue, SyncableObject};
    use crate::error::{Error, Result};
    use crate::model::Value;
    use crate::schema::{TypeSchemaBuilder, ZoneRestriction};

    /// What `Repository::new` asks of the type while it is compiled.
    #[track_caller]
    pub const fn has_global_objects<T: SyncableObject>() {
        assert!(
            !matches!(T::ZONES, Some(ZoneRestriction::Restricted)),
            "objects of this type live in restricted zones: use `Repository::in_zone(store, zone)`"
        );
    }

    /// What `Repository::in_zone` asks of the type while it is compiled.
    #[track_caller]
    pub const fn has_restricted_objects<T: SyncableObject>() {
        assert!(
            !matches!(T::ZONES, Some(ZoneRestriction::Global)),
            "objects of this type are global: use `Repository::new(store)`, or make the type `restricted`"
        );
    }

    pub fn column<T: FieldValue>(schema: TypeSchemaBuilder, name: &str) -> TypeSchemaBuilder {
        let schema =
            if T::NULLABLE { schema.nullable_field(name, T::KIND) } else { schema.field(name, T::KIND) };
        if T::HAS_ZERO { schema } else { schema.zeroless(name) }
    }

    pub fn values<const N: usize>(type_name: &str, body: Vec<Value>) -> Result<[Value; N]> {
        body.try_into().map_err(|body: Vec<Value>| {
            let message = format!("type {type_name} has {N} fields, the body has {}", body.len());
            Error::invalid("decode", message)
        })
    }

    pub fn named<T>(field: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.with_context("field", field))
    }

    pub fn to_json<T: Serialize>(value: &T) -> Result<Value> {
        match Value::json(value)? {
            Value::Json(text) if text == "null" => Err(Error::invalid(
                "encode",
                "a JSON field serialises to `null`, which is no value: declare it as `Option`",
            )),
            json => Ok(json),
        }
    }

    pub fn from_json<T: DeserializeOwned>(value: Value) -> Result<T> {
        value.parse_json()
    }

    pub fn to_text<T: Serialize>(value: &T) -> Result<Value> {
        Value::json(value)?.parse_json().map(Value::Text).map_err(|_: Error| {
            Error::invalid("encode", "a text field serialises to something else than a string")
        })
    }

    pub fn from_text<T: DeserializeOwned>(value: Value) -> Result<T> {
        match value {
            Value::Text(text) => Value::json(&text)?.parse_json(),
            _ => Err(Error::invalid("decode", "a stored value is not text")),
        }
    }

    pub fn to_option<T>(value: &Option<T>, write: fn(&T) -> Result<Value>) -> Result<Value> {
        value.as_ref().map_or(Ok(Value::Null), write)
    }

    pub fn from_option<T>(value: Value, read: fn(Value) -> Result<T>) -> Result<Option<T>> {
        match value {
            Value::Null => Ok(None),
            value => read(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_round_trip_at_their_limits() {
        fn check<T: FieldValue + PartialEq + std::fmt::Debug>(value: impl Into<T>) {
            let value = value.into();
            assert_eq!(T::from_value(value.to_value().unwrap()).unwrap(), value);
        }
        check::<i64>(i64::MIN);
        check::<u64>(u64::MAX / 2);
        check::<u8>(255_u8);
        check::<f64>(0.1_f64);
        check::<f32>(f32::MAX);
        check::<Option<bool>>(Some(true));
        check::<Option<String>>(None::<String>);
        check::<Vec<u8>>(vec![0_u8, 255]);
        check::<uuid::Uuid>(uuid::Uuid::from_u128(7));
        check::<Decimal>(Decimal::new(-125, 1).unwrap());
        assert!(u64::MAX.to_value().is_err());
        assert!(f64::NAN.to_value().is_err());
        assert!(u8::from_value(Value::Integer(256)).is_err());
        assert!(bool::from_value(Value::Integer(1)).is_err());
    }
}
