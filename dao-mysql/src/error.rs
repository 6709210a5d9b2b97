//! From MySQL's errors to ours: the only place.

use fastsync_core::ErrorKind;
use fastsync_dao_kit::sql::{Fail, Meaning, Native};
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

/// An error with what it means.
pub(crate) fn failed(error: sqlx::Error) -> Fail {
    let (meaning, (kind, message)) = match &error {
        sqlx::Error::Database(database) => {
            let number =
                database.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
            (meaning(number, &**database), classify_number(number))
        }
        _ => (Meaning::Other, classify(&error)),
    };
    Native { meaning, kind, message, source: Box::new(error) }.into()
}

fn meaning(number: u16, error: &dyn DatabaseError) -> Meaning {
    let state = error.code();
    match number {
        GUARD => Meaning::Guarded,
        number if TRANSIENT.contains(&number) => Meaning::Transient,
        number if DUPLICATE.contains(&number) => Meaning::Duplicate(error.message().to_owned()),
        // 4025 is another error on MySQL, and is told apart by its state.
        number
            if REFUSED.contains(&number)
                || (number == 4025 && state.as_deref() == Some("23000"))
                || state.as_deref() == Some("45000") =>
        {
            Meaning::Refused(error.message().to_owned())
        }
        _ => Meaning::Other,
    }
}

const NO_TABLE: u16 = 1146;

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
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Unavailable, "no connection of the pool was free within its acquire timeout")
        }
        // A protocol error: a proxy with no server behind it ends a connection before a word is said.
        sqlx::Error::Io(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => (ErrorKind::Unavailable, "the connection to the server failed"),
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
        NO_TABLE => (ErrorKind::Config, "a table is not there: `prepare` makes the tables"),
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
        let error = failed(sqlx::Error::PoolTimedOut).into_error("mysql", "get");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(Fail::Moved.into_error("mysql", "commit").kind(), ErrorKind::Contention);
    }
}
