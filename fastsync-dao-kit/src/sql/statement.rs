//! Statements: their text and what is bound to it.
//!
//! Names in a text come from registered schemas only; every value is bound.

use std::fmt::{Debug, Display, Write as _};

use fastsync_core::Value;
use uuid::Uuid;

use crate::sql::column::Holds;
use crate::sql::dialect::{Dialect, Lists};

/// What is bound to a statement, as a driver keeps it. What cannot be encoded is reported when the
/// statement is sent.
pub trait Arguments: Debug + Default + Send {
    /// A number of the sync tables, which is counted or compared.
    fn number(&mut self, number: u64);

    /// A text: a zone's key, or a text that a column is compared with.
    fn text(&mut self, text: &str);

    /// Bytes of the sync tables.
    fn bytes(&mut self, bytes: Option<&[u8]>);

    /// A value for a column of the user's, or to compare it with, which may be null.
    fn value(&mut self, holds: Holds, value: &Value);

    /// 64 bits of the sync tables that mean nothing in their order.
    fn bits(&mut self, bits: u64) {
        self.number(bits);
    }

    /// A truth of the sync tables.
    fn truth(&mut self, truth: bool) {
        self.number(u64::from(truth));
    }

    /// A name or JSON of the sync tables.
    fn name(&mut self, name: &str) {
        self.bytes(Some(name.as_bytes()));
    }

    /// The id of a session or a device.
    fn uuid(&mut self, uuid: Uuid) {
        self.bytes(Some(uuid.as_bytes()));
    }

    /// An id, for a column of ids of the user's.
    fn id(&mut self, _holds: Holds, id: &str) {
        self.text(id);
    }

    /// What is bound from here on goes into this many arrays in turn, each of which takes one place: for
    /// [`Lists::Arrays`].
    fn begin_arrays(&mut self, _columns: usize) {}

    /// Binds the arrays that were begun, in their order.
    fn end_arrays(&mut self) {}
}

/// What can be bound to a statement.
pub trait Bind {
    /// Binds it.
    fn bind_to(&self, arguments: &mut impl Arguments);
}

/// 64 bits that mean nothing in their order. A database without such numbers keeps the same bits with a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits(pub u64);

/// A name or JSON of the sync tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(pub &'a str);

macro_rules! bind {
    ($($type:ty, |$value:ident, $arguments:ident| $bound:expr;)*) => {$(
        impl Bind for $type {
            fn bind_to(&self, $arguments: &mut impl Arguments) {
                let $value = self;
                $bound;
            }
        }
    )*};
}

bind! {
    u64, |value, arguments| arguments.number(*value);
    u32, |value, arguments| arguments.number(u64::from(*value));
    Bits, |value, arguments| arguments.bits(value.0);
    bool, |value, arguments| arguments.truth(*value);
    str, |value, arguments| arguments.text(value);
    Name<'_>, |value, arguments| arguments.name(value.0);
    [u8], |value, arguments| arguments.bytes(Some(value));
    Vec<u8>, |value, arguments| arguments.bytes(Some(value));
    Option<&[u8]>, |value, arguments| arguments.bytes(*value);
    Uuid, |value, arguments| arguments.uuid(*value);
    // A value of a column.
    (Holds, &Value), |value, arguments| arguments.value(value.0, value.1);
    // An id in a column of the user's.
    (Holds, &str), |value, arguments| arguments.id(value.0, value.1);
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind_to(&self, arguments: &mut impl Arguments) {
        (**self).bind_to(arguments);
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

    /// Appends that what stands before is one of these values, of which there is at least one. A list of places is filled up
    /// with its last value to a length that is used often, so that the server has seen the statement before.
    pub fn push_list<T: Bind + Copy>(
        &mut self,
        dialect: &Dialect,
        values: impl ExactSizeIterator<Item = T>,
    ) -> &mut Self {
        self.members(dialect, [" IN ", " = ANY (?)"], values)
    }

    /// Appends that what stands before is none of these values, of which there is at least one; as [`Self::push_list`].
    pub fn push_unlisted<T: Bind + Copy>(
        &mut self,
        dialect: &Dialect,
        values: impl ExactSizeIterator<Item = T>,
    ) -> &mut Self {
        self.members(dialect, [" NOT IN ", " <> ALL (?)"], values)
    }

    fn members<T: Bind + Copy>(
        &mut self,
        dialect: &Dialect,
        [of_places, of_an_array]: [&str; 2],
        values: impl ExactSizeIterator<Item = T>,
    ) -> &mut Self {
        if dialect.has_arrays() {
            return self.push(of_an_array).in_arrays(1, |sql| {
                sql.add_all(values);
            });
        }
        let length = values.len().next_power_of_two();
        self.push(of_places).push(&marks(length));
        let mut missing = length;
        let mut last = None;
        for value in values {
            self.add(value);
            last = Some(value);
            missing = missing.saturating_sub(1);
        }
        self.add_all(std::iter::repeat_n(last, missing).flatten())
    }

    /// Binds everything that is added meanwhile to so many arrays in turn, for which places stand in the text already.
    pub(crate) fn in_arrays(&mut self, columns: usize, add: impl FnOnce(&mut Self)) -> &mut Self {
        self.arguments.begin_arrays(columns);
        add(self);
        self.arguments.end_arrays();
        self
    }

    /// Appends rows of so many columns, which are bound row by row.
    pub(crate) fn push_rows<R>(
        &mut self,
        dialect: &Dialect,
        rows: &[R],
        columns: usize,
        bind: impl Fn(&mut Self, &R),
    ) -> &mut Self {
        let add = |sql: &mut Self| rows.iter().for_each(|row| bind(sql, row));
        match dialect.lists {
            Lists::Places(_) => {
                self.push(&rows_of_marks(rows.len(), columns));
                add(self);
                self
            }
            Lists::Arrays => self.push("SELECT * FROM UNNEST").push(&marks(columns)).in_arrays(columns, add),
        }
    }

    /// The text as the database takes it, and what is bound to it. `schema` is that of [`Dialect::spell`].
    #[must_use]
    pub fn into_parts(self, dialect: &Dialect, schema: &str) -> (String, A) {
        (dialect.spell(self.text, schema), self.arguments)
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
