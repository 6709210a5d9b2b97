//! Statements: their text and what is bound to it.
//!
//! Names in a text come from registered schemas only; every value is bound.

use std::fmt::{Debug, Display, Write as _};

use fastsync_core::{FieldKind, Value};

use crate::sql::dialect::Dialect;

/// What is bound to a statement, as a driver keeps it. What cannot be encoded is reported when the
/// statement is sent.
pub trait Arguments: Debug + Default + Send {
    /// A number of the sync tables.
    fn number(&mut self, number: u64);

    /// A text: an id, a zone's key.
    fn text(&mut self, text: &str);

    /// Bytes of the sync tables, also names, which they keep as bytes.
    fn bytes(&mut self, bytes: Option<&[u8]>);

    /// A value of a field of the user's, which may be null.
    fn value(&mut self, kind: FieldKind, value: &Value);
}

/// What can be bound to a statement.
pub trait Bind {
    /// Binds it.
    fn bind_to(&self, arguments: &mut impl Arguments);
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        (**self).bind_to(arguments);
    }
}

impl Bind for u64 {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.number(*self);
    }
}

impl Bind for u32 {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.number(u64::from(*self));
    }
}

impl Bind for bool {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.number(u64::from(*self));
    }
}

impl Bind for str {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.text(self);
    }
}

impl Bind for [u8] {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.bytes(Some(self));
    }
}

impl Bind for Vec<u8> {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.bytes(Some(self));
    }
}

impl Bind for Option<&[u8]> {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.bytes(*self);
    }
}

impl Bind for uuid::Uuid {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.bytes(Some(self.as_bytes()));
    }
}

/// A value of a field.
impl Bind for (FieldKind, &Value) {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        arguments.value(self.0, self.1);
    }
}

/// A statement under construction.
#[derive(Debug, Default)]
pub struct Sql<A> {
    text: String,
    arguments: A,
}

impl<A: Arguments> Sql<A> {
    /// A statement that begins with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), arguments: A::default() }
    }

    /// Appends a text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds the next place that stands in the text already.
    pub fn add(&mut self, value: impl Bind) -> &mut Self {
        value.bind_to(&mut self.arguments);
        self
    }

    /// Binds the next places that stand in the text already.
    pub fn add_all(&mut self, values: impl IntoIterator<Item = impl Bind>) -> &mut Self {
        for value in values {
            self.add(value);
        }
        self
    }

    /// [`Self::add`] for a chain of calls.
    #[must_use]
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.add(value);
        self
    }

    /// Appends a place and binds it.
    pub fn push_bind(&mut self, value: impl Bind) -> &mut Self {
        self.text.push('?');
        self.add(value)
    }

    /// Appends `(?, ?, ...)` for a list of texts, which is not empty. The list is filled up with
    /// its last text to a length that is used often, so that the server has seen the statement
    /// before.
    pub fn push_list<'v>(&mut self, texts: impl ExactSizeIterator<Item = &'v str>) -> &mut Self {
        let length = texts.len().next_power_of_two();
        self.push(&marks(length));
        let mut added = 0_usize;
        let mut last = "";
        for text in texts {
            self.add(text);
            last = text;
            added = added.saturating_add(1);
        }
        for _ in added..length {
            self.add(last);
        }
        self
    }

    /// The text as the database takes it, and what is bound to it.
    #[must_use]
    pub fn into_parts(self, dialect: &Dialect) -> (String, A) {
        (dialect.spell(self.text), self.arguments)
    }
}

/// `(?, ?, ...)`.
#[must_use]
pub fn marks(count: usize) -> String {
    let mut text = String::with_capacity(count.saturating_mul(2).saturating_add(2));
    text.push('(');
    for at in 0..count {
        text.push_str(if at == 0 { "?" } else { ",?" });
    }
    text.push(')');
    text
}

/// `(?, ...), (?, ...), ...`.
#[must_use]
pub fn rows_of_marks(rows: usize, columns: usize) -> String {
    let row = marks(columns);
    let mut text = String::with_capacity(rows.saturating_mul(row.len().saturating_add(1)));
    for at in 0..rows {
        let _ = write!(text, "{}{row}", if at == 0 { "" } else { "," });
    }
    text
}

/// A registered name as an identifier. Names are letters, digits and `_`, so nothing has to be
/// escaped.
#[must_use]
pub fn quoted(name: impl Display) -> String {
    format!("`{name}`")
}
