//! sqlx as the kit knows a driver.

use fastsync_core::Value;
use fastsync_dao_kit::sql::{Access, Arguments, Dialect, Done, Fail, Holds, Link, Row, Run, Sql};
use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;

use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Encode, MySql, MySqlConnection, Row as _, Type};

use crate::error::failed;

// Several reads see one state, that of the first; nothing else is locked.
const READ: &str =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

// Locking reads see the latest state and lock the rows that they find, not the gaps between them. So writers of
// different rows do not meet, and a decision never rests on an old snapshot.
const WRITE: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE";

/// What is bound to a statement, encoded.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    arguments: MySqlArguments,
    failed: bool,
}

impl Bound {
    fn add<'v, T: Encode<'v, MySql> + Type<MySql>>(&mut self, value: T) {
        self.failed |= self.arguments.add(value).is_err();
    }
}

impl Arguments for Bound {
    fn number(&mut self, number: u64) {
        self.add(number);
    }

    fn text(&mut self, text: &str) {
        self.add(text);
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.add(bytes);
    }

    fn value(&mut self, _: Holds, value: &Value) {
        match value {
            Value::Null => self.add(None::<&str>),
            Value::Bool(value) => self.add(*value),
            Value::Integer(value) => self.add(*value),
            Value::Real(value) => self.add(*value),
            Value::Text(text) | Value::Json(text) => self.add(text.as_str()),
            Value::Bytes(bytes) => self.add(bytes.as_slice()),
            Value::Decimal(number) => self.add(number.to_string()),
        }
    }
}

/// A row.
#[derive(Debug)]
pub(crate) struct MySqlAnswer(MySqlRow);

impl Row for MySqlAnswer {
    fn number(&self, at: usize) -> Run<u64> {
        self.0.try_get_unchecked(at).map_err(failed)
    }

    fn integer(&self, at: usize) -> Run<Option<i64>> {
        self.0.try_get_unchecked(at).map_err(failed)
    }

    fn real(&self, at: usize) -> Run<Option<f64>> {
        self.0.try_get_unchecked(at).map_err(failed)
    }

    fn bytes(&self, at: usize) -> Run<Option<&[u8]>> {
        self.0.try_get_unchecked(at).map_err(failed)
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct MySqlLink {
    held: Held,
    dialect: &'static Dialect,
}

#[derive(Debug)]
enum Held {
    Pooled(Pooled),
    /// It does not go back to its pool.
    Alone(MySqlConnection),
}

#[derive(Debug)]
struct Pooled {
    connection: PoolConnection<MySql>,
    is_in_transaction: bool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // In the middle of a transaction, or of its end: the server takes it back when the connection is gone.
        if self.is_in_transaction {
            self.connection.close_on_drop();
        }
    }
}

impl MySqlLink {
    pub(crate) const fn new(connection: PoolConnection<MySql>, dialect: &'static Dialect) -> Self {
        Self { held: Held::Pooled(Pooled { connection, is_in_transaction: false }), dialect }
    }

    /// A connection that does not go back to its pool.
    pub(crate) fn alone(connection: PoolConnection<MySql>, dialect: &'static Dialect) -> Self {
        Self { held: Held::Alone(connection.detach()), dialect }
    }

    fn connection(&mut self) -> &mut MySqlConnection {
        match &mut self.held {
            Held::Pooled(pooled) => &mut pooled.connection,
            Held::Alone(connection) => connection,
        }
    }

    const fn is_in_transaction(&self) -> bool {
        matches!(&self.held, Held::Pooled(pooled) if pooled.is_in_transaction)
    }

    const fn note_transaction(&mut self, is_in_transaction: bool) {
        if let Held::Pooled(pooled) = &mut self.held {
            pooled.is_in_transaction = is_in_transaction;
        }
    }

    async fn raw(&mut self, statement: &'static str) -> Run<()> {
        sqlx::raw_sql(statement).execute(self.connection()).await.map(drop).map_err(failed)
    }
}

fn query(sql: Sql<Bound>, dialect: &Dialect) -> Run<Query<'static, MySql, MySqlArguments>> {
    let (text, Bound { arguments, failed }) = sql.into_parts(dialect, "");
    if failed {
        return Err(Fail::invalid("bind", "a value cannot be sent to the server"));
    }
    Ok(sqlx::query_with(AssertSqlSafe(text), arguments))
}

impl Link for MySqlLink {
    type Arguments = Bound;
    type Row = MySqlAnswer;

    fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    async fn execute(&mut self, sql: Sql<Bound>) -> Run<Done> {
        let done = query(sql, self.dialect)?.execute(self.connection()).await.map_err(failed)?;
        Ok(Done { rows: done.rows_affected(), number: done.last_insert_id() })
    }

    async fn all(&mut self, sql: Sql<Bound>) -> Run<Vec<MySqlAnswer>> {
        let rows = query(sql, self.dialect)?.map(MySqlAnswer).fetch_all(self.connection()).await;
        rows.map_err(failed)
    }

    async fn each(
        &mut self,
        sql: Sql<Bound>,
        mut take: impl FnMut(&MySqlAnswer) -> Run<()> + Send,
    ) -> Run<()> {
        let mut rows = query(sql, self.dialect)?.fetch(self.connection());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            take(&MySqlAnswer(row))?;
        }
        Ok(())
    }

    /// Through the text protocol: MySQL prepares no statement about savepoints.
    async fn savepoint(&mut self, statement: &'static str) -> Run<()> {
        self.raw(statement).await
    }

    async fn begin(&mut self, access: Access) -> Run<()> {
        if self.is_in_transaction() {
            // Its end has failed. Another `START TRANSACTION` would commit it.
            self.rollback().await?;
        }
        self.note_transaction(true);
        self.raw(match access {
            Access::Snapshot | Access::Query => READ,
            Access::Write | Access::Careful => WRITE,
        })
        .await
    }

    async fn commit(&mut self) -> Run<()> {
        match self.raw("COMMIT").await {
            Ok(()) => {
                self.note_transaction(false);
                Ok(())
            }
            Err(fail) => {
                // A connection that is broken is rolled back by the server.
                self.rollback().await.unwrap_or_default();
                Err(fail)
            }
        }
    }

    async fn rollback(&mut self) -> Run<()> {
        self.raw("ROLLBACK").await?;
        self.note_transaction(false);
        Ok(())
    }

    /// MySQL commits around every change of a table: nothing is to be taken back.
    async fn release(self, _done: bool) -> Run<()> {
        match self.held {
            Held::Alone(connection) => connection.close().await.map_err(failed),
            Held::Pooled(_) => Ok(()),
        }
    }
}
