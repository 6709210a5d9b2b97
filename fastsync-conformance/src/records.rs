//! The types and records that the cases work with: a small shop's.

use fastsync_core::source::{Action, Expect, OnMismatch, Write};
use fastsync_core::{FieldKind, ObjectId, Record, RecordKey, Revision, TypeName, TypeSchema, Zone};

/// The types that every case finds prepared: `customers` (name, city or null), `orders` (customer, quantity,
/// note or null) and `samples` (a nullable field of each kind), restricted to zones, and `articles` (title,
/// price), global. Customers are the parents of orders.
///
/// # Panics
/// Never: the schemas are well formed.
#[must_use]
pub fn schemas() -> Vec<TypeSchema> {
    let built = [
        TypeSchema::builder("customers", "id")
            .restricted()
            .field("name", FieldKind::Text)
            .nullable_field("city", FieldKind::Text)
            .build(),
        TypeSchema::builder("articles", "id")
            .priority(5)
            .field("title", FieldKind::Text)
            .field("price", FieldKind::Real)
            .build(),
        TypeSchema::builder("orders", "id")
            .priority(10)
            .restricted()
            .field("customer", FieldKind::Text)
            .field("quantity", FieldKind::Integer)
            .nullable_field("note", FieldKind::Text)
            .build(),
        TypeSchema::builder("samples", "id")
            .priority(20)
            .restricted()
            .nullable_field("flag", FieldKind::Boolean)
            .nullable_field("whole", FieldKind::Integer)
            .nullable_field("real", FieldKind::Real)
            .nullable_field("text", FieldKind::Text)
            .nullable_field("uuid", FieldKind::Uuid)
            .nullable_field("moment", FieldKind::Instant)
            .nullable_field("bytes", FieldKind::Bytes)
            .nullable_field("json", FieldKind::Json)
            .nullable_field("decimal", FieldKind::Decimal)
            .nullable_field("local", FieldKind::LocalDateTime)
            .nullable_field("day", FieldKind::Date)
            .nullable_field("clock", FieldKind::Time)
            .nullable_field("i8", FieldKind::I8)
            .nullable_field("i16", FieldKind::I16)
            .nullable_field("i32", FieldKind::I32)
            .nullable_field("u8", FieldKind::U8)
            .nullable_field("u16", FieldKind::U16)
            .nullable_field("u32", FieldKind::U32)
            .build(),
    ];
    built.into_iter().map(|schema| schema.expect("a schema of the suite is well formed")).collect()
}

/// A type name.
///
/// # Panics
/// If it is not one.
#[must_use]
pub fn name(text: &str) -> TypeName {
    TypeName::new(text).expect("a type name of the suite is well formed")
}

/// The key of a record.
///
/// # Panics
/// If the type name or the id is malformed.
#[must_use]
pub fn key(zone: &Zone, type_name: &str, id: &str) -> RecordKey {
    let id = ObjectId::new(id).expect("an id of the suite is well formed");
    RecordKey { zone: zone.clone(), type_name: name(type_name), id }
}

/// The zone that most cases work in.
///
/// # Panics
/// Never: the key is well formed.
#[must_use]
pub fn acme() -> Zone {
    Zone::restricted("company:acme").expect("a zone of the suite is well formed")
}

/// Another zone.
///
/// # Panics
/// Never: the key is well formed.
#[must_use]
pub fn birch() -> Zone {
    Zone::restricted("company:birch").expect("a zone of the suite is well formed")
}

/// Stores a record, whatever is there.
#[must_use]
pub fn put(record: &Record) -> Write {
    write(Action::Put { record: record.clone(), pending: false })
}

/// Stores a local edit, whatever is there.
#[must_use]
pub fn put_pending(record: &Record) -> Write {
    write(Action::Put { record: record.clone(), pending: true })
}

/// Notes that the server committed the edit `change` of this life of a record as `revision`.
#[must_use]
pub fn acknowledge(record: &Record, change: u64, revision: Revision) -> Write {
    let incarnation = record.metadata.incarnation;
    write(Action::Acknowledge { key: record.key.clone(), change, revision, incarnation })
}

fn write(action: Action) -> Write {
    Write { action, expect: Expect::Anything, on_mismatch: OnMismatch::Abort }
}

/// Conditions on a write.
pub trait WriteExt {
    /// With another expectation.
    #[must_use]
    fn expecting(self, expect: Expect) -> Self;

    /// Left out if its expectation fails.
    #[must_use]
    fn or_skip(self) -> Self;
}

impl WriteExt for Write {
    fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    fn or_skip(self) -> Self {
        Self { on_mismatch: OnMismatch::Skip, ..self }
    }
}
