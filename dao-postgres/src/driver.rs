//! sqlx as the kit knows a driver.

use std::sync::Arc;

use fastsync_core::{FieldSchema, Value};
use fastsync_dao_kit::sql::{Access, Dialect, Done, Fail, Holds, Link, Row, Run, Sql};
use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Postgres, Row as _, ValueRef as _};

use crate::dialect::POSTGRES;
use crate::error::{failed, is_outdated};
use crate::native;
use crate::parameters::Bound;

// Several reads see one state, that of the first; nothing is locked. A page is a walk over an index, whatever the statistics of
// a table say that was filled a moment ago.
pub(crate) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL enable_sort = off";

// The same for a query of the user's, for which the planner chooses freely.
const QUERY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// Locking reads see the latest state. So writers of different rows do not meet, and a decision never rests on an old snapshot.
pub(crate) const WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL jit = off; SET LOCAL enable_seqscan = off";

// The same, with the constraints that are declared as deferred checked at each statement.
const CAREFUL: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL jit = off; \
     SET LOCAL enable_seqscan = off; SET CONSTRAINTS ALL IMMEDIATE";

/// A row, in the server's binary form.
#[derive(Debug)]
pub(crate) struct PgAnswer(PgRow);

impl Row for PgAnswer {
    fn number(&self, at: usize) -> Run<u64> {
        Ok(self.integer(at)?.unwrap_or_default().cast_unsigned())
    }

    fn integer(&self, at: usize) -> Run<Option<i64>> {
        let Some(bytes) = self.bytes(at)? else { return Ok(None) };
        let number = match bytes {
            [one] => Some(i64::from(*one)),
            [a, b] => Some(i16::from_be_bytes([*a, *b]).into()),
            [a, b, c, d] => Some(i32::from_be_bytes([*a, *b, *c, *d]).into()),
            bytes => bytes.try_into().ok().map(i64::from_be_bytes),
        };
        number.map(Some).ok_or_else(unreadable)
    }

    fn real(&self, at: usize) -> Run<Option<f64>> {
        let bytes = self.bytes(at)?;
        bytes.map(|bytes| bytes.try_into().map(f64::from_be_bytes).map_err(|_| unreadable())).transpose()
    }

    fn bytes(&self, at: usize) -> Run<Option<&[u8]>> {
        let value = self.0.try_get_raw(at).map_err(failed)?;
        if value.is_null() {
            return Ok(None);
        }
        value.as_bytes().map(Some).map_err(|_| unreadable())
    }

    fn value(&self, at: usize, field: &FieldSchema, holds: Holds) -> Run<Value> {
        native::read(self, at, field, holds)
    }
}

fn unreadable() -> Fail {
    Fail::corrupt("a stored value cannot be read")
}

/// A connection.
#[derive(Debug)]
pub(crate) struct PgLink {
    held: Held,
    /// What stands before the names of tables: `"public".`.
    schema: Arc<str>,
    /// Whether the next transaction may be on another connection of the server's: nothing is prepared for later, and a statement
    /// by itself is a transaction, since the driver prepares it and runs it in two steps.
    pooled: bool,
}

#[derive(Debug)]
struct Held {
    connection: PoolConnection<Postgres>,
    is_in_transaction: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        // In the middle of a transaction, or of its end: the server takes it back when the connection is gone.
        if self.is_in_transaction {
            self.connection.close_on_drop();
        }
    }
}

impl PgLink {
    pub(crate) const fn new(connection: PoolConnection<Postgres>, schema: Arc<str>, pooled: bool) -> Self {
        Self { held: Held { connection, is_in_transaction: false }, schema, pooled }
    }

    /// Begins the transaction of one statement, if it needs one of its own; says whether it did.
    async fn enter(&mut self) -> Run<bool> {
        let alone = self.pooled && !self.held.is_in_transaction;
        if alone {
            self.held.is_in_transaction = true;
            self.raw("BEGIN").await?;
        }
        Ok(alone)
    }

    /// Ends it.
    async fn leave<T>(&mut self, alone: bool, done: Run<T>) -> Run<T> {
        match (alone, done) {
            (false, done) => done,
            (true, Ok(done)) => self.commit().await.map(|()| done),
            (true, Err(fail)) => {
                self.rollback().await.unwrap_or_default();
                Err(fail)
            }
        }
    }

    pub(crate) async fn raw(&mut self, statement: &'static str) -> Run<()> {
        sqlx::raw_sql(statement).execute(&mut *self.held.connection).await.map(drop).map_err(failed)
    }

    fn query(&self, sql: Sql<Bound>) -> Run<Query<'static, Postgres, PgArguments>> {
        let (text, bound) = sql.into_parts(&POSTGRES, &self.schema);
        let arguments =
            bound.finish().ok_or_else(|| Fail::invalid("bind", "a value cannot be sent to the server"))?;
        // What has no parameters is rare, a definition most of all: the connection keeps others prepared.
        let is_kept = arguments.len() > 0 && !self.pooled;
        Ok(sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_kept))
    }

    /// A statement whose result has another form since a table was changed is refused by the server, for as long as the
    /// connection has it prepared.
    async fn told<T>(&mut self, done: Result<T, sqlx::Error>) -> Run<T> {
        if done.as_ref().is_err_and(is_outdated) {
            self.held.connection.clear_cached_statements().await.map_err(failed)?;
        }
        done.map_err(failed)
    }

    async fn end(&mut self, statement: &'static str) -> Run<()> {
        let ended = self.raw(statement).await;
        if ended.is_ok() {
            self.held.is_in_transaction = false;
        }
        ended
    }
}

impl Link for PgLink {
    type Arguments = Bound;
    type Row = PgAnswer;

    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }

    async fn execute(&mut self, sql: Sql<Bound>) -> Run<Done> {
        let query = self.query(sql)?;
        let alone = self.enter().await?;
        let done = query.execute(&mut *self.held.connection).await;
        let done = self.told(done).await;
        Ok(Done { rows: self.leave(alone, done).await?.rows_affected(), number: 0 })
    }

    async fn all(&mut self, sql: Sql<Bound>) -> Run<Vec<PgAnswer>> {
        let query = self.query(sql)?;
        let alone = self.enter().await?;
        let rows = query.map(PgAnswer).fetch_all(&mut *self.held.connection).await;
        let rows = self.told(rows).await;
        self.leave(alone, rows).await
    }

    async fn each(&mut self, sql: Sql<Bound>, mut take: impl FnMut(&PgAnswer) -> Run<()> + Send) -> Run<()> {
        let query = self.query(sql)?;
        let alone = self.enter().await?;
        let done = {
            let mut rows = query.fetch(&mut *self.held.connection);
            loop {
                match rows.try_next().await {
                    Ok(Some(row)) => take(&PgAnswer(row))?,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        };
        let done = self.told(done).await;
        self.leave(alone, done).await
    }

    async fn savepoint(&mut self, statement: &'static str) -> Run<()> {
        self.raw(statement).await
    }

    async fn begin(&mut self, access: Access) -> Run<()> {
        if self.held.is_in_transaction {
            // Its end has failed.
            self.rollback().await?;
        }
        self.held.is_in_transaction = true;
        self.raw(match access {
            Access::Snapshot => READ,
            Access::Query => QUERY,
            Access::Write => WRITE,
            Access::Careful => CAREFUL,
        })
        .await
    }

    /// A commit that is refused has ended its transaction.
    async fn commit(&mut self) -> Run<()> {
        match self.end("COMMIT").await {
            Err(fail) => {
                self.rollback().await.unwrap_or_default();
                Err(fail)
            }
            ended => ended,
        }
    }

    async fn rollback(&mut self) -> Run<()> {
        self.end("ROLLBACK").await
    }

    async fn release(mut self, done: bool) -> Run<()> {
        if done { self.commit().await } else { self.rollback().await }
    }
}
