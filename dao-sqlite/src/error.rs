//! From SQLite's errors to ours: the only place.

use fastsync_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

pub(crate) const BACKEND: &str = "sqlite";

/// A failure inside the data source, before the operation is named.
#[derive(Debug)]
pub(crate) enum Fail {
    Sqlite(rusqlite::Error),
    Core(Error),
}

pub(crate) type Run<T> = Result<T, Fail>;

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
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

    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Core(error) => error,
            Self::Sqlite(error) => {
                let (kind, message) = classify(&error);
                Error::new(kind, operation, message).with_backend(BACKEND).with_source(error)
            }
        }
    }

    /// The database's text if a constraint refused a write.
    pub(crate) fn constraint(&self) -> Option<String> {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, message))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                Some(message.clone().unwrap_or_else(|| failure.to_string()))
            }
            _ => None,
        }
    }
}

fn classify(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return (ErrorKind::Backend, "SQLite refused a statement");
    };
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (ErrorKind::Unavailable, "the database stayed locked for longer than the busy timeout")
        }
        ErrorCode::DiskFull => (ErrorKind::StorageFull, "the disk or the database is full"),
        ErrorCode::DatabaseCorrupt => (ErrorKind::Corrupt, "the database file is damaged"),
        ErrorCode::NotADatabase => (ErrorKind::Corrupt, "the file is not a SQLite database"),
        ErrorCode::CannotOpen => (ErrorKind::Config, "the database file cannot be opened"),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (ErrorKind::Config, "the database cannot be written")
        }
        ErrorCode::ConstraintViolation => {
            (ErrorKind::Constraint, "a constraint of a table refuses the write")
        }
        ErrorCode::TooBig => (ErrorKind::TooLarge, "a value is longer than SQLite's limit"),
        ErrorCode::SystemIoFailure => (ErrorKind::Backend, "reading or writing the database file failed"),
        ErrorCode::OutOfMemory => (ErrorKind::Backend, "SQLite is out of memory"),
        _ => (ErrorKind::Backend, "SQLite refused a statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind() {
        let table = [
            (5, ErrorKind::Unavailable),   // BUSY
            (261, ErrorKind::Unavailable), // BUSY_RECOVERY
            (517, ErrorKind::Unavailable), // BUSY_SNAPSHOT
            (6, ErrorKind::Unavailable),   // LOCKED
            (13, ErrorKind::StorageFull),  // FULL
            (11, ErrorKind::Corrupt),      // CORRUPT
            (267, ErrorKind::Corrupt),     // CORRUPT_VTAB
            (26, ErrorKind::Corrupt),      // NOTADB
            (14, ErrorKind::Config),       // CANTOPEN
            (8, ErrorKind::Config),        // READONLY
            (1544, ErrorKind::Config),     // READONLY_DIRECTORY
            (3, ErrorKind::Config),        // PERM
            (19, ErrorKind::Constraint),   // CONSTRAINT
            (2067, ErrorKind::Constraint), // CONSTRAINT_UNIQUE
            (787, ErrorKind::Constraint),  // CONSTRAINT_FOREIGNKEY
            (18, ErrorKind::TooLarge),     // TOOBIG
            (10, ErrorKind::Backend),      // IOERR
            (7, ErrorKind::Backend),       // NOMEM
            (1, ErrorKind::Backend),       // ERROR
            (21, ErrorKind::Backend),      // MISUSE
        ];
        for (code, kind) in table {
            let native = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            let fail = Fail::from(native);
            assert_eq!(fail.constraint().is_some(), kind == ErrorKind::Constraint, "{code}");
            let error = fail.into_error("commit");
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!((error.operation(), error.backend()), ("commit", Some("sqlite")));
        }
    }
}
