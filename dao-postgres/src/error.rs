//! From PostgreSQL's errors to ours: the only place.

use fastsync_core::{Error, ErrorKind};
use sqlx::postgres::PgDatabaseError;

pub(crate) const BACKEND: &str = "postgres";

/// A failure inside the data source, before the operation is named.
#[derive(Debug)]
pub(crate) enum Fail {
    Sql(sqlx::Error),
    Core(Error),
    /// Another commit was there between a look and a write, or a first attempt met what it had not looked for; nothing was
    /// written, and another look decides.
    Moved,
}

pub(crate) type Run<T> = Result<T, Fail>;

impl From<sqlx::Error> for Fail {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Core(error.with_backend(BACKEND))
    }
}

impl Fail {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Core(Error::new(kind, operation, message).with_backend(BACKEND))
    }

    pub(crate) fn invalid(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation, message)
    }

    /// Stored data that this version cannot read.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "read", what)
    }

    /// The state (SQLSTATE) that the server gives this failure.
    pub(crate) fn state(&self) -> Option<&str> {
        match self {
            Self::Sql(error) => state(error),
            _ => None,
        }
    }

    /// Whether the same transaction may well succeed when it is tried again.
    pub(crate) fn is_transient(&self) -> bool {
        match self.state() {
            Some(state) => TRANSIENT.contains(&state) || self.is_outdated(),
            None => matches!(self, Self::Moved),
        }
    }

    /// Whether a table was changed since the connection prepared the statement.
    pub(crate) fn is_outdated(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        self.state() == Some("0A000") && error.message().starts_with("cached plan")
    }

    /// Whether another row has a unique value of the row that is written.
    pub(crate) fn is_clash(&self) -> bool {
        matches!(self.state(), Some("23505" | "23P01"))
    }

    /// The database's text, which names the constraint, if a rule of the user's table refuses a row: a unique column, a foreign
    /// key, a check, a column that is too narrow, a trigger that raises an error.
    pub(crate) fn refusal(&self) -> Option<String> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        let state = self.state()?;
        let refused = state.starts_with("23") || REFUSED.contains(&state);
        refused.then(|| error.message().to_owned())
    }

    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Core(error) => error,
            Self::Moved => contention(operation),
            Self::Sql(error) => {
                let (kind, message) = classify(&error);
                Error::new(kind, operation, message).with_backend(BACKEND).with_source(error)
            }
        }
    }
}

fn state(error: &sqlx::Error) -> Option<&str> {
    let sqlx::Error::Database(error) = error else { return None };
    error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code)
}

fn contention(operation: &'static str) -> Error {
    Error::new(ErrorKind::Contention, operation, "other commits were in the way each time")
        .with_backend(BACKEND)
}

/// Serialization failure, deadlock, lock not available.
const TRANSIENT: &[&str] = &["40001", "40P01", "55P03"];

/// Values that a column cannot hold, and what a function of the user's raises.
const REFUSED: &[&str] = &["22001", "22003", "22007", "22008", "22023", "22P02", "44000", "P0001"];

fn classify(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::Database(_) => classify_state(state(error).unwrap_or_default()),
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Unavailable, "no connection of the pool was free within its acquire timeout")
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => (ErrorKind::Unavailable, "the connection to the server failed"),
        sqlx::Error::Tls(_) => (ErrorKind::Config, "TLS with the server failed"),
        sqlx::Error::Configuration(_) => (ErrorKind::Config, "the connection settings are not valid"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Corrupt, "a stored value cannot be read")
        }
        _ => (ErrorKind::Backend, "the driver refused a statement"),
    }
}

fn classify_state(state: &str) -> (ErrorKind, &'static str) {
    match state {
        state if TRANSIENT.contains(&state) => {
            (ErrorKind::Contention, "other transactions were in the way each time")
        }
        // A standby takes no writes; the others end connections or take none.
        "25006" | "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" | "25P04" => {
            (ErrorKind::Unavailable, "the server does not take the statement now")
        }
        "57014" => (ErrorKind::Timeout, "the server ended a statement that took too long"),
        "53100" | "53200" => (ErrorKind::StorageFull, "the server has no room left"),
        "42501" | "28000" | "28P01" | "3D000" => {
            (ErrorKind::Config, "the server refuses the user, the database or a privilege")
        }
        "42P01" | "3F000" => (ErrorKind::Config, "a table is not there: `prepare` makes the tables"),
        "42703" | "42804" => {
            (ErrorKind::Config, "a column is not as it was: a table was changed past `prepare`")
        }
        "54000" | "54001" | "54011" | "54023" => {
            (ErrorKind::Config, "a table of this shape, or a value in it, exceeds the server's limits")
        }
        "XX001" | "XX002" => (ErrorKind::Corrupt, "a table of the database is damaged"),
        state if state.starts_with("08") => (ErrorKind::Unavailable, "the connection to the server failed"),
        state if state.starts_with("23") || REFUSED.contains(&state) => {
            (ErrorKind::Constraint, "a constraint of a table refuses the write")
        }
        _ => (ErrorKind::Backend, "the server refused a statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_kind() {
        let table = [
            ("40001", ErrorKind::Contention),
            ("40P01", ErrorKind::Contention),
            ("55P03", ErrorKind::Contention),
            ("53300", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("25006", ErrorKind::Unavailable),
            ("08006", ErrorKind::Unavailable),
            ("57014", ErrorKind::Timeout),
            ("53100", ErrorKind::StorageFull),
            ("28P01", ErrorKind::Config),
            ("42P01", ErrorKind::Config),
            ("42703", ErrorKind::Config),
            ("XX001", ErrorKind::Corrupt),
            ("23505", ErrorKind::Constraint),
            ("23514", ErrorKind::Constraint),
            ("22001", ErrorKind::Constraint),
            ("42601", ErrorKind::Backend),
        ];
        for (state, kind) in table {
            assert_eq!(classify_state(state).0, kind, "{state}");
        }
        assert_eq!(Fail::from(sqlx::Error::PoolTimedOut).into_error("get").kind(), ErrorKind::Unavailable);
        assert_eq!(Fail::Moved.into_error("commit").kind(), ErrorKind::Contention);
    }
}
