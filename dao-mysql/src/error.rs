//! From MySQL's errors to ours: the only place.

use fastsync_core::{Error, ErrorKind};
use sqlx::mysql::MySqlDatabaseError;

pub(crate) const BACKEND: &str = "mysql";

/// A failure inside the data source, before the operation is named.
#[derive(Debug)]
pub(crate) enum Fail {
    Sql(sqlx::Error),
    Core(Error),
    /// Another commit was there between a look and a write; nothing was written, and another look decides.
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

    /// The server's number of this failure.
    pub(crate) fn number(&self) -> Option<u16> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
    }

    /// Whether the same transaction may well succeed when it is tried again.
    pub(crate) fn is_transient(&self) -> bool {
        match self.number() {
            Some(number) => TRANSIENT.contains(&number),
            None => matches!(self, Self::Moved),
        }
    }

    /// Whether a row with such a key is there already.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.number().is_some_and(|number| DUPLICATE.contains(&number))
    }

    /// Whether another row has a unique value of the row that is written.
    pub(crate) fn is_clash(&self) -> bool {
        self.is_duplicate() || self.number() == Some(GUARD)
    }

    /// The database's text if a rule of the user's table refuses a row: a unique column, a foreign key, a check, a
    /// column that is too narrow, a trigger.
    pub(crate) fn refusal(&self) -> Option<String> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        let number = self.number()?;
        if number == GUARD {
            return Some("another row has the value of a unique column".to_owned());
        }
        let refused = DUPLICATE.contains(&number)
            || REFUSED.contains(&number)
            // 4025 is another error on MySQL, and is told apart by its state.
            || (number == 4025 && error.code().as_deref() == Some("23000"))
            || error.code().as_deref() == Some("45000");
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

fn contention(operation: &'static str) -> Error {
    Error::new(ErrorKind::Contention, operation, "other commits were in the way each time")
        .with_backend(BACKEND)
}

/// The row under an upsert is not the one with its id: a subquery of the statement has two rows on purpose.
const GUARD: u16 = 1242;

/// Deadlock, lock wait timeout, lock not available, changed since it was read, definition changed, to be prepared
/// again, the node left its cluster's primary component in the middle, or at the commit: the next attempt looks first
/// whether the session is there.
const TRANSIENT: &[u16] = &[1213, 1205, 3572, 1020, 1412, 1615, 1637, 1180];

const DUPLICATE: &[u16] = &[1022, 1062, 1169, 1586];

/// Foreign keys, nulls, checks, and values that a column cannot hold.
const REFUSED: &[u16] = &[
    1216, 1217, 1451, 1452, 1761, 1762, 3008, 1048, 1364, 3819, 1264, 1265, 1292, 1366, 1367, 1406, 1690,
    3140, 4096,
];

fn classify(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::Database(database) => {
            let number =
                database.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
            classify_number(number)
        }
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Unavailable, "no connection of the pool was free within its acquire timeout")
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Unavailable, "the connection to the server failed")
        }
        sqlx::Error::Tls(_) => (ErrorKind::Config, "TLS with the server failed"),
        sqlx::Error::Configuration(_) => (ErrorKind::Config, "the connection settings are not valid"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Corrupt, "a stored value cannot be read")
        }
        _ => (ErrorKind::Backend, "the driver refused a statement"),
    }
}

fn classify_number(number: u16) -> (ErrorKind, &'static str) {
    match number {
        number if TRANSIENT.contains(&number) => {
            (ErrorKind::Contention, "other transactions were in the way each time")
        }
        1040 | 1053 | 1077 | 1079 | 1129 | 1203 | 1226 | 1290 | 1317 | 1792 | 1836 | 1927 | 1047 | 4031 => {
            (ErrorKind::Unavailable, "the server does not take the statement now")
        }
        1969 | 3024 => (ErrorKind::Timeout, "the server ended a statement that took too long"),
        1021 | 1114 | 3675 => (ErrorKind::StorageFull, "the server has no room left"),
        1044 | 1045 | 1049 | 1142 | 1143 | 1227 | 1698 | 3118 | 3159 => {
            (ErrorKind::Config, "the server refuses the user, the database or a privilege")
        }
        1146 => (ErrorKind::Config, "a table is not there: `prepare` makes the tables"),
        1054 => (ErrorKind::Config, "a column is not there: a table was changed past `prepare`"),
        1118 | 1071 | 1117 => (ErrorKind::Config, "a table of this shape exceeds the server's limits"),
        1153 => (ErrorKind::TooLarge, "a value is larger than max_allowed_packet"),
        1034 | 1194 | 1195 | 1712 | 1932 | 1877 => (ErrorKind::Corrupt, "a table of the database is damaged"),
        number if DUPLICATE.contains(&number) || REFUSED.contains(&number) || number == GUARD => {
            (ErrorKind::Constraint, "a constraint of a table refuses the write")
        }
        _ => (ErrorKind::Backend, "the server refused a statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_kind() {
        let table = [
            (1213, ErrorKind::Contention),
            (1205, ErrorKind::Contention),
            (1180, ErrorKind::Contention),
            (1040, ErrorKind::Unavailable),
            (1053, ErrorKind::Unavailable),
            (1047, ErrorKind::Unavailable),
            (1317, ErrorKind::Unavailable),
            (3024, ErrorKind::Timeout),
            (1114, ErrorKind::StorageFull),
            (1045, ErrorKind::Config),
            (1049, ErrorKind::Config),
            (1146, ErrorKind::Config),
            (1153, ErrorKind::TooLarge),
            (1712, ErrorKind::Corrupt),
            (1062, ErrorKind::Constraint),
            (1452, ErrorKind::Constraint),
            (1064, ErrorKind::Backend),
        ];
        for (number, kind) in table {
            assert_eq!(classify_number(number).0, kind, "{number}");
        }
        assert_eq!(Fail::from(sqlx::Error::PoolTimedOut).into_error("get").kind(), ErrorKind::Unavailable);
        assert_eq!(Fail::Moved.into_error("commit").kind(), ErrorKind::Contention);
    }
}
