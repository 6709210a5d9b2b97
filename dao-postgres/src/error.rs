//! From PostgreSQL's errors to ours: the only place.

use fastsync_core::ErrorKind;
use fastsync_dao_kit::sql::{Fail, Meaning, Native};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// An error with what it means.
pub(crate) fn failed(error: sqlx::Error) -> Fail {
    let (meaning, (kind, message)) = match &error {
        sqlx::Error::Database(database) => {
            let state = state(&**database);
            let meaning =
                if is_outdated(&error) { Meaning::Transient } else { meaning(state, database.message()) };
            (meaning, classify_state(state))
        }
        _ => (Meaning::Other, classify(&error)),
    };
    Native { meaning, kind, message, source: Box::new(error) }.into()
}

/// Whether a table was changed since the connection prepared the statement.
pub(crate) fn is_outdated(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    state(&**error) == "0A000" && error.message().starts_with("cached plan")
}

/// Whether a lock was not to be had within `lock_timeout`.
pub(crate) fn is_lock_timeout(fail: &Fail) -> bool {
    let Fail::Native(native) = fail else { return false };
    let Some(sqlx::Error::Database(error)) = native.source.downcast_ref() else { return false };
    state(&**error) == LOCK_NOT_AVAILABLE
}

fn state(error: &dyn DatabaseError) -> &str {
    error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code).unwrap_or_default()
}

fn meaning(state: &str, message: &str) -> Meaning {
    match state {
        state if TRANSIENT.contains(&state) => Meaning::Transient,
        "23505" | "23P01" => Meaning::Duplicate(message.to_owned()),
        state if is_refusal(state) => Meaning::Refused(message.to_owned()),
        _ => Meaning::Other,
    }
}

/// Whether a rule of the user's table refuses a row: a unique column, a foreign key, a check, a column that is too narrow, a
/// trigger that raises an error.
fn is_refusal(state: &str) -> bool {
    state.starts_with("23") || REFUSED.contains(&state)
}

/// Serialization failure, deadlock, lock not available.
const TRANSIENT: &[&str] = &["40001", "40P01", LOCK_NOT_AVAILABLE];

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Values that a column cannot hold, and what a function of the user's raises.
const REFUSED: &[&str] = &["22001", "22003", "22007", "22008", "22023", "22P02", "44000", "P0001"];

fn classify(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Unavailable, "no connection of the pool was free within its acquire timeout")
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        // A proxy with no server behind it takes the connection and ends it before a word is said.
        | sqlx::Error::Protocol(_) => (ErrorKind::Unavailable, "the connection to the server failed"),
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
        state if is_refusal(state) => (ErrorKind::Constraint, "a constraint of a table refuses the write"),
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
        assert_eq!(
            failed(sqlx::Error::PoolTimedOut).into_error("postgres", "get").kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(Fail::Moved.into_error("postgres", "commit").kind(), ErrorKind::Contention);
    }

    /// Fails if what may succeed at the next attempt is given up, or if a refused row looks like anything else.
    #[test]
    fn every_state_means_what_is_done_next() {
        for state in ["40001", "40P01", "55P03"] {
            assert_eq!(meaning(state, ""), Meaning::Transient, "{state}");
        }
        let text = || "the database's text".to_owned();
        for state in ["23505", "23P01"] {
            assert_eq!(meaning(state, &text()), Meaning::Duplicate(text()), "{state}");
        }
        for state in ["23503", "23514", "22001", "P0001"] {
            assert_eq!(meaning(state, &text()), Meaning::Refused(text()), "{state}");
        }
        assert_eq!([meaning("42P01", ""), meaning("42601", "")], [Meaning::Other, Meaning::Other]);
    }
}
