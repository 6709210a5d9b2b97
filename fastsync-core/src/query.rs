//! What to read from a data source. Filter, order and limit are run by the backend itself.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Decimal, FieldName, TypeName, Value, Zone};
use crate::schema::{FieldKind, TypeSchema};

/// How a field is compared with a value. Text is compared by its bytes, which for dates and times is by time, decimal numbers
/// by size; null equals nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Present and not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
}

impl Comparison {
    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Which objects to read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Every object.
    All,
    /// The field compares so with the value.
    Compare(FieldName, Comparison, Value),
    /// The field equals one of the values.
    In(FieldName, Vec<Value>),
    /// The field is null.
    IsNull(FieldName),
    /// The text field begins with this text, byte for byte.
    StartsWith(FieldName, String),
    /// The text field contains this text, byte for byte.
    Contains(FieldName, String),
    /// Every one holds; true if there is none.
    And(Vec<Self>),
    /// At least one holds; false if there is none.
    Or(Vec<Self>),
    /// It does not hold. (A comparison with a null field does not hold, so its negation does.)
    Not(Box<Self>),
}

/// In which order to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// By this field; nulls come first in ascending order.
    pub field: FieldName,
    /// From the greatest down.
    pub descending: bool,
}

impl Order {
    /// By this field, from the least up or from the greatest down.
    #[must_use]
    pub const fn new(field: FieldName, descending: bool) -> Self {
        Self { field, descending }
    }
}

/// What to read: the live objects of one type in one zone.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// The type.
    pub type_name: TypeName,
    /// The zone.
    pub zone: Zone,
    /// Which objects.
    pub filter: Filter,
    /// In which order; ties, and everything if this is empty, by the bytes of the id ascending.
    pub order: Vec<Order>,
    /// How many to leave out at the beginning.
    pub offset: u64,
    /// How many to read at most; `None` for all.
    pub limit: Option<u64>,
    /// Whether to count everything that the filter selects.
    pub total: bool,
}

/// The most conditions a filter may have; each value of a list and each group counts as one.
pub const MAX_FILTER_TERMS: usize = 1_000;

const MAX_FILTER_DEPTH: usize = 32;

impl Query {
    /// Every object of a type in a zone, by id.
    #[must_use]
    pub fn all(type_name: TypeName, zone: Zone) -> Self {
        Self { type_name, zone, filter: Filter::All, order: Vec::new(), offset: 0, limit: None, total: false }
    }

    /// The same for the objects that the filter selects.
    #[must_use]
    pub fn with_filter(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }

    /// The same in this order.
    #[must_use]
    pub fn with_order(self, order: Vec<Order>) -> Self {
        Self { order, ..self }
    }

    /// Checks the fields and values against the type, and brings the values into their stored form.
    ///
    /// Data sources call this first, so that only registered names reach a statement.
    ///
    /// # Errors
    /// `InvalidInput` if a field is unknown, a value is none of its kind (a date that is not in the calendar), the kind is
    /// one that the comparison does not have (JSON, bytes and booleans have equality only), or a search text holds NUL;
    /// `TooLarge` if the filter has too many conditions or levels.
    pub fn admit(&mut self, schema: &TypeSchema) -> Result<()> {
        let mut terms = 0;
        self.filter.admit(schema, &mut terms, 0)?;
        for order in &self.order {
            let kind = kind_of(schema, &order.field)?;
            if matches!(kind, FieldKind::Json | FieldKind::Bytes) {
                return Err(Error::invalid("query", format!("field {} has no order", order.field)));
            }
        }
        Ok(())
    }
}

impl Filter {
    /// `field = value`.
    ///
    /// # Errors
    /// `InvalidInput` if `field` is not a field name.
    pub fn equal(field: &str, value: impl Into<Value>) -> Result<Self> {
        Self::compare(field, Comparison::Equal, value)
    }

    /// A comparison of a field with a value.
    ///
    /// # Errors
    /// `InvalidInput` if `field` is not a field name.
    pub fn compare(field: &str, comparison: Comparison, value: impl Into<Value>) -> Result<Self> {
        Ok(Self::Compare(FieldName::new(field)?, comparison, value.into()))
    }

    /// Whether an admitted filter selects the object whose fields `value` gives; for data sources whose storage has
    /// no filters of its own.
    pub fn selects<'a>(&self, value: &impl Fn(&FieldName) -> Cow<'a, Value>) -> bool {
        let text_matches = |field: &FieldName, matches: &dyn Fn(&str) -> bool| match &*value(field) {
            Value::Text(found) => matches(found),
            _ => false,
        };
        match self {
            Self::All => true,
            Self::Compare(field, comparison, wanted) => {
                let found = value(field);
                !matches!(*found, Value::Null) && comparison.holds(found.compare(wanted))
            }
            Self::In(field, values) => {
                let found = value(field);
                !matches!(*found, Value::Null) && values.contains(&found)
            }
            Self::IsNull(field) => matches!(*value(field), Value::Null),
            Self::StartsWith(field, text) => text_matches(field, &|found| found.starts_with(text.as_str())),
            Self::Contains(field, text) => text_matches(field, &|found| found.contains(text.as_str())),
            Self::And(filters) => filters.iter().all(|filter| filter.selects(value)),
            Self::Or(filters) => filters.iter().any(|filter| filter.selects(value)),
            Self::Not(filter) => !filter.selects(value),
        }
    }

    fn admit(&mut self, schema: &TypeSchema, terms: &mut usize, depth: usize) -> Result<()> {
        let large = |what: &str, limit: usize| {
            Error::new(ErrorKind::TooLarge, "query", format!("a filter has more than {limit} {what}"))
        };
        if depth >= MAX_FILTER_DEPTH {
            return Err(large("levels", MAX_FILTER_DEPTH));
        }
        *terms += match self {
            // Of no value, it is a condition all the same.
            Self::In(_, values) => values.len().max(1),
            _ => 1,
        };
        if *terms > MAX_FILTER_TERMS {
            return Err(large("terms", MAX_FILTER_TERMS));
        }
        match self {
            Self::All => Ok(()),
            Self::Compare(field, comparison, value) => {
                let kind = kind_of(schema, field)?;
                let ordered = !matches!(kind, FieldKind::Json | FieldKind::Bytes | FieldKind::Boolean);
                if !ordered && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
                    return Err(Error::invalid("query", format!("field {field} has no order")));
                }
                admit_value(schema, field, value)
            }
            Self::In(field, values) => {
                kind_of(schema, field)?;
                values.iter_mut().try_for_each(|value| admit_value(schema, field, value))
            }
            Self::IsNull(field) => kind_of(schema, field).map(|_| ()),
            Self::StartsWith(field, text) | Self::Contains(field, text) => {
                if !kind_of(schema, field)?.is_text() {
                    return Err(Error::invalid("query", format!("field {field} is not text")));
                }
                if text.contains('\0') {
                    return Err(Error::invalid("query", "a search text holds NUL"));
                }
                Ok(())
            }
            Self::And(filters) | Self::Or(filters) => {
                filters.iter_mut().try_for_each(|filter| filter.admit(schema, terms, depth + 1))
            }
            Self::Not(filter) => filter.admit(schema, terms, depth + 1),
        }
    }
}

impl Order {
    /// How two values of the field are ordered.
    #[must_use]
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let ascending = a.compare(b);
        if self.descending { ascending.reverse() } else { ascending }
    }
}

impl Value {
    /// The order of two values of one field, hence of one kind: null comes first, text and bytes go by their bytes.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            _ => matches!(other, Self::Null).cmp(&matches!(self, Self::Null)),
        }
    }
}

fn kind_of(schema: &TypeSchema, field: &FieldName) -> Result<FieldKind> {
    if field == schema.id_field() {
        return Ok(FieldKind::Text);
    }
    schema
        .fields()
        .iter()
        .find(|candidate| candidate.name == *field)
        .map(|field| field.kind)
        .ok_or_else(|| Error::invalid("query", format!("type {} has no field {field}", schema.name())))
}

fn admit_value(schema: &TypeSchema, field: &FieldName, value: &mut Value) -> Result<()> {
    let problem = match (kind_of(schema, field)?, &*value) {
        // What no field holds is something to compare with: a number beyond its width, a part of a UUID.
        (kind, Value::Integer(_)) if kind.is_integer() => None,
        (FieldKind::Text | FieldKind::Uuid, Value::Text(_)) => None,
        (FieldKind::Real, Value::Integer(whole)) => {
            *value = Value::Real(*whole as f64);
            None
        }
        (FieldKind::Bytes, Value::Text(_)) => Some("is compared with another kind"),
        (FieldKind::Json, plain) if !matches!(plain, Value::Json(_)) => Some("is compared with another kind"),
        (kind, _) => kind.settle(value)?,
    };
    match problem {
        None => Ok(()),
        Some(problem) => {
            Err(Error::invalid("query", format!("a value that field {field} is compared with {problem}")))
        }
    }
}

macro_rules! value_from {
    ($($type:ty => $make:expr;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let make: fn($type) -> Value = $make;
                make(value)
            }
        }
    )*};
}

value_from! {
    bool => Value::Bool;
    i64 => Value::Integer;
    i32 => |whole| Value::Integer(whole.into());
    u32 => |whole| Value::Integer(whole.into());
    f64 => Value::Real;
    String => Value::Text;
    &str => |text| Value::Text(text.to_owned());
    uuid::Uuid => |id| Value::Text(id.to_string());
    Vec<u8> => Value::Bytes;
    Decimal => Value::Decimal;
}
