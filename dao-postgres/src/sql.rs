//! Statements: their text and what is bound to it.
//!
//! Names in a text come from registered schemas only; every value is bound. In a text `?` is the next parameter, and `@`
//! begins the name of a sync table: it becomes the schema and the prefix. So no name depends on `search_path`.

use std::fmt::Write as _;
use std::sync::Arc;

use fastsync_dao_kit::sql::{Fail, Run};
use futures_util::TryStreamExt as _;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgQueryResult, PgRow, PgTypeInfo};
use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, PgConnection, Postgres, Row as _, Type as SqlType, ValueRef as _,
};
use uuid::Uuid;

use crate::error::{failed, is_outdated};

/// The most rows that one statement writes, or asks for by their keys.
pub(crate) const MAX_ROWS: usize = 1_000;

/// About how many bytes one statement binds.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// The schema that all tables are in.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    name: Arc<str>,
    /// `"public".fastsync_`.
    prefix: Arc<str>,
}

impl Schema {
    /// The name has letters, digits, `_` and `-` only, so nothing has to be escaped.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), prefix: format!("\"{name}\".fastsync_").into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The table of a type.
    pub(crate) fn table(&self, name: impl std::fmt::Display) -> String {
        format!("\"{}\".\"{name}\"", self.name)
    }

    /// A statement.
    pub(crate) fn sql(&self, text: impl Into<String>) -> Sql {
        let (text, arguments) = (text.into(), PgArguments::default());
        Sql { prefix: Arc::clone(&self.prefix), text, arguments, failed: false }
    }

    /// Runs statements without parameters, whose literals may have any character.
    pub(crate) async fn run(&self, connection: &mut PgConnection, statements: &str) -> Run<()> {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await.map_err(failed)?;
        Ok(())
    }
}

/// Runs a statement about the transaction.
pub(crate) async fn control(connection: &mut PgConnection, statement: &'static str) -> Run<()> {
    sqlx::raw_sql(statement).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// A statement under construction.
#[derive(Debug)]
pub(crate) struct Sql {
    prefix: Arc<str>,
    text: String,
    arguments: PgArguments,
    failed: bool,
}

impl Sql {
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds the next parameter that stands in the text already.
    #[allow(clippy::needless_pass_by_value, reason = "texts and numbers are given as they are")]
    pub(crate) fn add<T: Scalar>(&mut self, value: T) -> &mut Self {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        self.add_bytes(T::OIDS.0, Some(bytes))
    }

    /// Binds bytes in the server's own form of a type; `None` is null.
    pub(crate) fn add_bytes(&mut self, oid: u32, bytes: Option<Vec<u8>>) -> &mut Self {
        self.failed |= self.arguments.add(Parameter { oid, bytes }).is_err();
        self
    }

    /// Binds the next parameter as an array.
    pub(crate) fn add_array<T: Scalar>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self {
        let mut array = Array::new(T::OIDS);
        for value in values {
            array.push(|to| {
                value.write(to);
                true
            });
        }
        self.add_built(array)
    }

    pub(crate) fn add_built(&mut self, array: Array) -> &mut Self {
        let (oid, bytes) = array.into_bytes();
        self.add_bytes(oid, Some(bytes))
    }

    /// [`Self::add`] for a chain of calls.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Scalar) -> Self {
        self.add(value);
        self
    }

    /// Appends a parameter and binds it.
    pub(crate) fn push_bind(&mut self, value: impl Scalar) -> &mut Self {
        self.text.push('?');
        self.add(value)
    }

    fn query(self) -> Run<sqlx::query::Query<'static, Postgres, PgArguments>> {
        if self.failed {
            return Err(Fail::invalid("bind", "a value cannot be sent to the server"));
        }
        Ok(sqlx::query_with(AssertSqlSafe(finished(&self.text, &self.prefix)), self.arguments))
    }

    pub(crate) async fn execute(self, connection: &mut PgConnection) -> Run<PgQueryResult> {
        let done = self.query()?.execute(&mut *connection).await;
        told(connection, done).await
    }

    pub(crate) async fn all(self, connection: &mut PgConnection) -> Run<Vec<PgRow>> {
        let rows = self.query()?.fetch_all(&mut *connection).await;
        told(connection, rows).await
    }

    /// Hands over every row as it comes, while the server is still making the next ones.
    pub(crate) async fn each(
        self,
        connection: &mut PgConnection,
        mut take: impl FnMut(&PgRow) -> Run<()> + Send,
    ) -> Run<()> {
        let done = {
            let mut rows = self.query()?.fetch(&mut *connection);
            loop {
                match rows.try_next().await {
                    Ok(Some(row)) => take(&row)?,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        };
        told(connection, done).await
    }

    pub(crate) async fn first(self, connection: &mut PgConnection) -> Run<Option<PgRow>> {
        Ok(self.all(connection).await?.into_iter().next())
    }
}

/// A statement whose result has another form since a table was changed is refused by the server, for as long as the
/// connection has it prepared.
async fn told<T>(connection: &mut PgConnection, done: Result<T, sqlx::Error>) -> Run<T> {
    if done.as_ref().is_err_and(is_outdated) {
        sqlx::Connection::clear_cached_statements(connection).await.map_err(failed)?;
    }
    done.map_err(failed)
}

/// The text as the server gets it.
fn finished(text: &str, prefix: &str) -> String {
    let mut sql = String::with_capacity(text.len().saturating_mul(2));
    let mut parameters = 0_usize;
    for c in text.chars() {
        match c {
            '?' => {
                parameters = parameters.saturating_add(1);
                let _ = write!(sql, "${parameters}");
            }
            '@' => sql.push_str(prefix),
            c => sql.push(c),
        }
    }
    sql
}

/// A value of a type that the server has by itself, with its number and that of its arrays.
pub(crate) trait Scalar {
    const OIDS: (u32, u32);

    /// Appends the server's binary form.
    fn write(&self, to: &mut Vec<u8>);
}

pub(crate) const BOOL: (u32, u32) = (16, 1000);
pub(crate) const BYTEA: (u32, u32) = (17, 1001);
pub(crate) const INT8: (u32, u32) = (20, 1016);
pub(crate) const TEXT: (u32, u32) = (25, 1009);
pub(crate) const JSON: (u32, u32) = (114, 199);
pub(crate) const FLOAT8: (u32, u32) = (701, 1022);
pub(crate) const DATE: (u32, u32) = (1082, 1182);
pub(crate) const TIME: (u32, u32) = (1083, 1183);
pub(crate) const TIMESTAMP: (u32, u32) = (1114, 1115);
pub(crate) const TIMESTAMPTZ: (u32, u32) = (1184, 1185);
pub(crate) const UUID: (u32, u32) = (2950, 2951);

macro_rules! scalar {
    ($($type:ty, $oids:expr, |$value:ident| $bytes:expr;)*) => {$(
        impl Scalar for $type {
            const OIDS: (u32, u32) = $oids;

            fn write(&self, to: &mut Vec<u8>) {
                let $value = self;
                to.extend_from_slice($bytes);
            }
        }
    )*};
}

scalar! {
    bool, BOOL, |value| &[u8::from(*value)];
    i64, INT8, |value| &value.to_be_bytes();
    // A number that is counted or compared. Bits that mean nothing in their order are bound as `i64`.
    u64, INT8, |value| &i64::try_from(*value).unwrap_or(i64::MAX).to_be_bytes();
    &str, TEXT, |value| value.as_bytes();
    String, TEXT, |value| value.as_bytes();
    &[u8], BYTEA, |value| value;
    Vec<u8>, BYTEA, |value| value;
    Uuid, UUID, |value| value.as_bytes();
}

/// An array of one dimension in the server's binary form.
#[derive(Debug)]
pub(crate) struct Array {
    oids: (u32, u32),
    length: i32,
    has_nulls: bool,
    elements: Vec<u8>,
}

impl Array {
    pub(crate) const fn new(oids: (u32, u32)) -> Self {
        Self { oids, length: 0, has_nulls: false, elements: Vec::new() }
    }

    /// Appends what is written; null if that answers `false`.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let begin = self.elements.len();
        self.elements.extend_from_slice(&(-1_i32).to_be_bytes());
        let body = self.elements.len();
        self.length = self.length.saturating_add(1);
        if !write(&mut self.elements) {
            self.elements.truncate(body);
            self.has_nulls = true;
            return;
        }
        let length = i32::try_from(self.elements.len().saturating_sub(body)).unwrap_or(i32::MAX);
        if let Some(place) = self.elements.get_mut(begin..body) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn into_bytes(self) -> (u32, Vec<u8>) {
        let dimensions = i32::from(self.length > 0);
        let mut bytes = Vec::with_capacity(self.elements.len().saturating_add(20));
        bytes.extend_from_slice(&dimensions.to_be_bytes());
        bytes.extend_from_slice(&i32::from(self.has_nulls).to_be_bytes());
        bytes.extend_from_slice(&self.oids.0.to_be_bytes());
        if dimensions > 0 {
            bytes.extend_from_slice(&self.length.to_be_bytes());
            bytes.extend_from_slice(&1_i32.to_be_bytes());
            bytes.extend_from_slice(&self.elements);
        }
        (self.oids.1, bytes)
    }
}

/// A parameter in the server's binary form.
struct Parameter {
    oid: u32,
    bytes: Option<Vec<u8>>,
}

impl SqlType<Postgres> for Parameter {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(TEXT.0))
    }
}

impl Encode<'_, Postgres> for Parameter {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }

    fn size_hint(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// A column of a row in the server's binary form; `None` if it is null.
pub(crate) fn bytes(row: &PgRow, at: usize) -> Run<Option<&[u8]>> {
    let value = row.try_get_raw(at).map_err(failed)?;
    if value.is_null() {
        return Ok(None);
    }
    value.as_bytes().map(Some).map_err(|_| unreadable())
}

/// A column of a row as a whole number of any width.
pub(crate) fn integer(row: &PgRow, at: usize) -> Run<Option<i64>> {
    let Some(bytes) = bytes(row, at)? else { return Ok(None) };
    let number = match bytes {
        [one] => Some(i64::from(*one)),
        [a, b] => Some(i16::from_be_bytes([*a, *b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([*a, *b, *c, *d]).into()),
        bytes => bytes.try_into().ok().map(i64::from_be_bytes),
    };
    number.map(Some).ok_or_else(unreadable)
}

/// A column of a row as a number that is never below zero, or 64 bits; zero if it is null.
pub(crate) fn number(row: &PgRow, at: usize) -> Run<u64> {
    Ok(integer(row, at)?.unwrap_or_default().cast_unsigned())
}

/// A column of a row as a truth value.
pub(crate) fn truth(row: &PgRow, at: usize) -> Run<bool> {
    Ok(number(row, at)? != 0)
}

/// A column of a row as text; empty if it is null.
pub(crate) fn text(row: &PgRow, at: usize) -> Run<&str> {
    let bytes = bytes(row, at)?.unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| Fail::corrupt("a text of the database is not UTF-8"))
}

/// A column of a row as a UUID.
pub(crate) fn uuid(row: &PgRow, at: usize) -> Run<Uuid> {
    Uuid::from_slice(bytes(row, at)?.unwrap_or_default()).map_err(|_| unreadable())
}

fn unreadable() -> Fail {
    Fail::corrupt("a stored value cannot be read")
}

/// A registered name as an identifier. Names are letters, digits and `_`, so nothing has to be escaped.
pub(crate) fn quoted(name: impl std::fmt::Display) -> String {
    format!("\"{name}\"")
}

/// A text as a literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_qualified_and_parameters_numbered() {
        let text = "SELECT n FROM @zones WHERE name = ? AND n IN (?, ?)";
        let sql = finished(text, &Schema::new("shop").prefix);
        assert_eq!(sql, "SELECT n FROM \"shop\".fastsync_zones WHERE name = $1 AND n IN ($2, $3)");
    }

    #[test]
    fn an_array_has_its_header_its_elements_and_its_nulls() {
        let mut array = Array::new(INT8);
        array.push(|to| {
            7_u64.write(to);
            true
        });
        array.push(|_| false);
        let (oid, bytes) = array.into_bytes();
        assert_eq!((oid, bytes.len()), (1016, 20 + 12 + 4));
        assert_eq!(bytes[..12], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20]);
        assert_eq!(Array::new(TEXT).into_bytes().1.len(), 12);
    }
}
