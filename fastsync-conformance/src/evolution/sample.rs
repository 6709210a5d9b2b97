//! Objects made from the schema alone, for types without rules of their own.

use fastsync_core::{Decimal, FieldKind, FieldSchema, IdKind, ObjectId, Result, TypeSchema, Value};
use uuid::Uuid;

use super::release::Item;

/// An object of this schema. Another number gives another id and other values, as far as the kinds have others.
pub(super) fn sample(schema: &TypeSchema, n: u64) -> Result<Item> {
    let id = match schema.id_kind() {
        IdKind::Uuid => Uuid::from_u128(u128::from(n) + 1).to_string(),
        IdKind::Integer => (n + 1).to_string(),
        _ => format!("sample-{n}"),
    };
    let body = schema.fields().iter().map(|field| value(field, n)).collect::<Result<_>>()?;
    Ok(Item { id: ObjectId::new(id)?, body })
}

fn value(field: &FieldSchema, n: u64) -> Result<Value> {
    if field.nullable && n % 3 == 2 {
        return Ok(Value::Null);
    }
    // An enum stored as text: only its default is known to be one of its values.
    if field.zeroless {
        return Ok(field.initial());
    }
    let small = i64::try_from(n % 50).unwrap_or_default();
    Ok(match field.kind {
        FieldKind::Boolean => n.is_multiple_of(2).into(),
        kind if kind.is_integer() => (small * 2 + 1).into(),
        FieldKind::Real => Value::Real(0.5 + f64::from(u8::try_from(small).unwrap_or_default())),
        FieldKind::Decimal => Value::Decimal(Decimal::new(i128::from(small) * 10 + 5, 1)?),
        FieldKind::Text => format!("{} {n}", field.name).into(),
        FieldKind::Uuid => Uuid::from_u128(u128::from(n) + 100).to_string().into(),
        FieldKind::Instant => format!("2026-01-31T12:00:{:02}.000000000Z", small + 1).into(),
        FieldKind::LocalDateTime => format!("2026-01-31T12:00:{:02}.000000000", small + 1).into(),
        FieldKind::Date => format!("2026-01-{:02}", small % 28 + 1).into(),
        FieldKind::Time => format!("12:00:{:02}.000000000", small + 1).into(),
        FieldKind::Bytes => n.to_be_bytes().to_vec().into(),
        // What is in a JSON field only its type knows.
        _ => field.initial(),
    })
}
