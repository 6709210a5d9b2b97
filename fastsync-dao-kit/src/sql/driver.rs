//! What a driver brings: rows, connections with transactions, and what a database says of its
//! tables.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use fastsync_core::{Decimal, FieldKind, FieldSchema, ObjectId, TypeName, Value};
use uuid::Uuid;

use crate::sql::column::{Column, Holds};
use crate::sql::dialect::{Dialect, Numbers};
use crate::sql::fail::{Fail, Run};
use crate::sql::kind::Type;
use crate::sql::statement::{Arguments, Sql};

/// A row of an answer. Columns are counted from 0.
pub trait Row: Send + Sync {
    /// A whole number that is not null, or a truth as 0 or 1. Numbers of 64 bits without a sign are
    /// as they were bound.
    ///
    /// # Errors
    /// `Corrupt` if it is something else.
    fn number(&self, at: usize) -> Run<u64>;

    /// A whole number or a truth of the user's.
    ///
    /// # Errors
    /// `Corrupt` if it is something else.
    fn integer(&self, at: usize) -> Run<Option<i64>>;

    /// A floating point number.
    ///
    /// # Errors
    /// `Corrupt` if it is something else.
    fn real(&self, at: usize) -> Run<Option<f64>>;

    /// Bytes, or a text as the bytes of its UTF-8.
    ///
    /// # Errors
    /// `Corrupt` if it is something else.
    fn bytes(&self, at: usize) -> Run<Option<&[u8]>>;

    /// A decimal number: from its text, unless the driver has it in another form.
    ///
    /// # Errors
    /// `Corrupt` if it has more digits than a number may have. `column` is for the message.
    fn decimal(&self, at: usize, column: &str) -> Run<Option<Decimal>> {
        let Some(bytes) = self.bytes(at)? else { return Ok(None) };
        let read = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        let number =
            read.ok_or_else(|| Fail::corrupt(format!("column {column} holds a number of too many digits")));
        number.map(Some)
    }

    /// A text that is not null.
    ///
    /// # Errors
    /// `Corrupt` if it is not UTF-8.
    fn text(&self, at: usize) -> Run<&str> {
        let bytes = self.bytes(at)?.unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Fail::corrupt("a text of the database is not UTF-8"))
    }

    /// An id of 16 bytes.
    ///
    /// # Errors
    /// `Corrupt` if it has another length.
    fn uuid(&self, at: usize) -> Run<Uuid> {
        let bytes = self.bytes(at)?.unwrap_or_default();
        Uuid::from_slice(bytes).map_err(|_| Fail::corrupt("an id of 16 bytes has another length"))
    }

    /// The id of an object.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    fn id(&self, at: usize) -> Run<ObjectId> {
        ObjectId::new(self.text(at)?).map_err(|_| Fail::corrupt("a table contains an invalid id"))
    }

    /// The value of a field in a column of the user's table. Here, `holds` is not of a native type.
    ///
    /// # Errors
    /// `Corrupt` if it is none of the field's kind.
    fn value(&self, at: usize, field: &FieldSchema, _holds: Holds) -> Run<Value> {
        let text = || match self.bytes(at)?.map(|bytes| std::str::from_utf8(bytes).map(str::to_owned)) {
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Fail::corrupt(format!("column {} holds what is not UTF-8", field.name))),
            None => Ok(None),
        };
        let value = match field.kind {
            FieldKind::Boolean => match self.integer(at)? {
                None => None,
                Some(value @ (0 | 1)) => Some(Value::Bool(value == 1)),
                Some(_) => {
                    return Err(Fail::corrupt(format!("column {} is neither true nor false", field.name)));
                }
            },
            kind if kind.is_integer() => self.integer(at)?.map(Value::Integer),
            FieldKind::Real => self.real(at)?.map(Value::Real),
            FieldKind::Bytes => self.bytes(at)?.map(|bytes| Value::Bytes(bytes.to_vec())),
            FieldKind::Decimal => self.decimal(at, field.name.as_str())?.map(Value::Decimal),
            FieldKind::Json => text()?.map(Value::Json),
            _ => text()?.map(Value::Text),
        };
        Ok(value.unwrap_or(Value::Null))
    }

    /// The values of the fields of a type, from column `first` on.
    ///
    /// # Errors
    /// As [`Self::value`].
    fn body(&self, first: usize, kind: &Type) -> Run<Vec<Value>> {
        let fields = kind.schema.fields().iter().zip(&kind.holds).zip(first..);
        fields.map(|((field, holds), at)| self.value(at, field, *holds)).collect()
    }
}

/// What a statement without an answer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// How many rows it changed.
    pub rows: u64,
    /// The number that it gave, if the database says so of itself: [`Numbers::LastInsertId`].
    pub number: u64,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// All its reads see one committed state; nothing is locked. They walk along indexes, whatever a server knows of the
    /// tables.
    Snapshot,
    /// The same for a query of the application's, which may take any way.
    Query,
    /// Each read sees the latest state, and one that locks locks the rows that it finds, not the
    /// gaps between them. So writers of different rows do not meet, and a decision never rests on
    /// an old snapshot.
    Write,
    /// The same, with a savepoint before each statement that may be refused: constraints that are checked at the end of a
    /// transaction are checked at each statement, so that they name its rows.
    Careful,
}

/// A connection, which goes back to its pool when it is dropped: if that is in a transaction,
/// rolled back.
pub trait Link: Send + Sized {
    /// What is bound to its statements.
    type Arguments: Arguments;
    /// A row of its answers.
    type Row: Row;

    /// How its database spells statements.
    fn dialect(&self) -> &'static Dialect;

    /// Runs a statement, prepared if the driver keeps statements.
    ///
    /// # Errors
    /// What the server or the driver says, as [`Native`](crate::sql::Native).
    fn execute(&mut self, sql: Sql<Self::Arguments>) -> impl Future<Output = Run<Done>> + Send;

    /// Runs a statement that answers with rows.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn all(&mut self, sql: Sql<Self::Arguments>) -> impl Future<Output = Run<Vec<Self::Row>>> + Send;

    /// Hands over every row as it comes, while the server is still making the next ones.
    ///
    /// # Errors
    /// As [`Self::execute`], and those of `take`, after which no row is handed over.
    fn each(
        &mut self,
        sql: Sql<Self::Arguments>,
        take: impl FnMut(&Self::Row) -> Run<()> + Send,
    ) -> impl Future<Output = Run<()>> + Send;

    /// Runs a statement about savepoints, without preparing it.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn savepoint(&mut self, statement: &'static str) -> impl Future<Output = Run<()>> + Send;

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn begin(&mut self, access: Access) -> impl Future<Output = Run<()>> + Send;

    /// Makes the transaction durable and ends it.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn commit(&mut self) -> impl Future<Output = Run<()>> + Send;

    /// Takes the transaction back and ends it.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn rollback(&mut self) -> impl Future<Output = Run<()>> + Send;

    /// Gives the lock of [`Database::alone`] up. Where tables are changed in a transaction, that is made durable if all is
    /// `done`, and taken back otherwise.
    ///
    /// # Errors
    /// As [`Self::execute`].
    fn release(self, done: bool) -> impl Future<Output = Run<()>> + Send;
}

/// A table that is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Why it cannot be the table of a type at all.
    pub problem: Option<String>,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// What else is wrong with it.
    pub flaws: Vec<String>,
}

/// The unique keys of a table, and the columns that foreign keys are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uniques {
    /// The columns of each unique key but the primary one. A part that is an expression has no
    /// name, or an empty one.
    pub keys: Vec<BTreeSet<String>>,
    /// They refer to rows of other tables.
    pub referring: BTreeSet<String>,
    /// Rows of other tables refer to them.
    pub referred: BTreeSet<String>,
}

/// A database and how it is reached.
pub trait Database: Debug + Send + Sync + 'static {
    /// The name of the data source, such as `mysql`.
    const NAME: &'static str;
    /// A connection.
    type Link: Link;

    /// About how many bytes a statement may bind.
    fn statement_bytes(&self) -> usize;

    /// How often a transaction that lost to another one is tried, at least once.
    fn attempts(&self) -> u32;

    /// The statements that make the sync tables of the first version, each of which can be
    /// repeated. The last one notes the version.
    fn sync_tables(&self) -> Vec<String>;

    /// A connection of the pool, outside a transaction.
    ///
    /// # Errors
    /// `Unavailable` if there is none.
    fn link(&self) -> impl Future<Output = Run<Self::Link>> + Send;

    /// A connection that has the lock of those who prepare this database, until it is released or
    /// lost.
    ///
    /// # Errors
    /// `Unavailable` if another one has it for too long.
    fn alone(&self) -> impl Future<Output = Run<Self::Link>> + Send;

    /// Whether one of the sync tables is there.
    ///
    /// # Errors
    /// Those of the server.
    fn is_there(&self, link: &mut Self::Link, table: &str) -> impl Future<Output = Run<bool>> + Send;

    /// The table of a type of this name, also if its name differs in case, where such names are one; `None` if there is
    /// none.
    ///
    /// # Errors
    /// Those of the server.
    fn table(
        &self,
        link: &mut Self::Link,
        name: &TypeName,
    ) -> impl Future<Output = Run<Option<Table>>> + Send;

    /// The columns of a table, in their order; none if it is not there.
    ///
    /// # Errors
    /// Those of the server.
    fn columns(&self, link: &mut Self::Link, table: &str) -> impl Future<Output = Run<Vec<Column>>> + Send;

    /// The unique keys of a table, and what refers to it.
    ///
    /// # Errors
    /// Those of the server.
    fn uniques(&self, link: &mut Self::Link, table: &str) -> impl Future<Output = Run<Uniques>> + Send;

    /// What the database would do to the tables of these types by itself, in words.
    ///
    /// # Errors
    /// Those of the server.
    fn unnoticed(
        &self,
        link: &mut Self::Link,
        types: &BTreeSet<&str>,
    ) -> impl Future<Output = Run<Vec<String>>> + Send;

    /// Waits.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;

    /// Runs work that goes on when nobody waits for it any more; `None` if the runtime ended before
    /// it did.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// What is bound to statements of a database.
pub(crate) type ArgumentsOf<D> = <<D as Database>::Link as Link>::Arguments;

/// A row of a database's answers.
pub(crate) type RowOf<D> = <<D as Database>::Link as Link>::Row;

impl<A: Arguments> Sql<A> {
    pub(crate) async fn execute<L: Link<Arguments = A>>(self, link: &mut L) -> Run<Done> {
        link.execute(self).await
    }

    pub(crate) async fn all<L: Link<Arguments = A>>(self, link: &mut L) -> Run<Vec<L::Row>> {
        link.all(self).await
    }

    pub(crate) async fn first<L: Link<Arguments = A>>(self, link: &mut L) -> Run<Option<L::Row>> {
        Ok(link.all(self).await?.into_iter().next())
    }

    /// The number that a statement gives: [`Dialect::raise`] or [`Dialect::giving`].
    pub(crate) async fn number<L: Link<Arguments = A>>(self, link: &mut L) -> Run<u64> {
        match link.dialect().forms.numbers {
            Numbers::LastInsertId => Ok(link.execute(self).await?.number),
            Numbers::Returning => {
                let row = self.first(link).await?;
                row.ok_or_else(|| Fail::corrupt("a row of the sync tables is not there"))?.number(0)
            }
        }
    }

    /// A single number; 0 without a row.
    pub(crate) async fn count<L: Link<Arguments = A>>(self, link: &mut L) -> Run<u64> {
        self.first(link).await?.map_or(Ok(0), |row| row.number(0))
    }
}
