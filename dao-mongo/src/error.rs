//! From the driver's errors to ours: the only place.

use fastsync_core::{Error, ErrorKind};
use mongodb::error::{
    ErrorKind as Native, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

pub(crate) const BACKEND: &str = "mongo";

/// A failure inside the data source, before the operation is named.
#[derive(Debug)]
pub(crate) enum Fail {
    Mongo(mongodb::error::Error),
    /// The database refuses one write of a command: a unique index, a validator.
    Write(WriteError),
    Core(Error),
}

/// The first error of a write command.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// Which write of the command it is.
    pub(crate) index: usize,
    pub(crate) code: i32,
    pub(crate) message: String,
}

pub(crate) type Run<T> = Result<T, Fail>;

impl From<mongodb::error::Error> for Fail {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Mongo(error)
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Core(error.with_backend(BACKEND))
    }
}

impl From<mongodb::bson::raw::Error> for Fail {
    fn from(_: mongodb::bson::raw::Error) -> Self {
        Self::corrupt("a document is malformed")
    }
}

impl From<mongodb::bson::raw::ValueAccessError> for Fail {
    fn from(error: mongodb::bson::raw::ValueAccessError) -> Self {
        Self::corrupt(format!("field {} of a sync document is missing or of another kind", error.key()))
    }
}

impl Fail {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Core(Error::new(kind, operation, message).with_backend(BACKEND))
    }

    /// Stored data that this version cannot read.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "read", what)
    }

    /// The server's number of the error.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Mongo(error) => code(error),
            Self::Write(error) => Some(error.code),
            Self::Core(_) => None,
        }
    }

    fn has_label(&self, label: &str) -> bool {
        matches!(self, Self::Mongo(error) if error.contains_label(label))
    }

    /// Whether the whole transaction can be tried again: nothing of it was applied.
    pub(crate) fn is_transient(&self) -> bool {
        self.has_label(TRANSIENT_TRANSACTION_ERROR)
            || matches!(self.code(), Some(codes::WRITE_CONFLICT | codes::SNAPSHOT_UNAVAILABLE))
    }

    /// Whether the transaction may have been committed.
    pub(crate) fn is_unknown_commit(&self) -> bool {
        self.has_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
    }

    /// Whether the snapshot of a read is not there (yet, or any more).
    pub(crate) fn is_snapshot_gone(&self) -> bool {
        matches!(self.code(), Some(codes::SNAPSHOT_UNAVAILABLE | codes::SNAPSHOT_TOO_OLD))
    }

    /// Whether a unique index has the key already.
    pub(crate) fn is_duplicate_key(&self) -> bool {
        self.code() == Some(codes::DUPLICATE_KEY)
    }

    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let ours = |kind, message| Error::new(kind, operation, message).with_backend(BACKEND);
        match self {
            Self::Core(error) => error,
            Self::Write(error) => {
                ours(kind_of_code(error.code), "the database refuses a write").with_source(error.message)
            }
            Self::Mongo(error) => {
                let (kind, message) = classify(&error);
                match *error.kind {
                    // What a malformed setting says may hold a password.
                    Native::InvalidArgument { .. } => ours(kind, message),
                    _ => ours(kind, message).with_source(error),
                }
            }
        }
    }
}

impl WriteError {
    /// Whether a rule of the user's refuses the document.
    pub(crate) fn is_constraint(&self) -> bool {
        matches!(self.code, codes::DUPLICATE_KEY | codes::DOCUMENT_VALIDATION)
    }

    /// Whether another document has a unique value.
    pub(crate) fn is_clash(&self) -> bool {
        self.code == codes::DUPLICATE_KEY
    }
}

pub(crate) mod codes {
    pub(crate) const NAMESPACE_EXISTS: i32 = 48;
    pub(crate) const WRITE_CONFLICT: i32 = 112;
    pub(crate) const DOCUMENT_VALIDATION: i32 = 121;
    pub(crate) const SNAPSHOT_TOO_OLD: i32 = 239;
    pub(crate) const SNAPSHOT_UNAVAILABLE: i32 = 246;
    pub(crate) const DUPLICATE_KEY: i32 = 11_000;
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        Native::Command(error) => Some(error.code),
        Native::Write(WriteFailure::WriteError(error)) => Some(error.code),
        Native::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        Native::InsertMany(error) => Some(error.write_errors.as_ref()?.first()?.code),
        _ => None,
    }
}

fn classify(error: &mongodb::error::Error) -> (ErrorKind, &'static str) {
    if let Some(code) = code(error) {
        let kind = kind_of_code(code);
        let transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
        return match kind {
            ErrorKind::Backend if transient => (ErrorKind::Contention, "the transaction was aborted"),
            _ => (kind, "the server refuses an operation"),
        };
    }
    match &*error.kind {
        Native::ServerSelection { .. } | Native::Io(_) | Native::ConnectionPoolCleared { .. } => {
            (ErrorKind::Unavailable, "the server cannot be reached")
        }
        Native::DnsResolve { .. } => (ErrorKind::Unavailable, "the server's name cannot be resolved"),
        Native::Authentication { .. } => (ErrorKind::Config, "the server refuses the credentials"),
        Native::InvalidArgument { .. } => (ErrorKind::Config, "a setting of the connection is malformed"),
        Native::InvalidTlsConfig { .. } => (ErrorKind::Config, "the TLS settings do not hold"),
        Native::SessionsNotSupported | Native::IncompatibleServer { .. } => (
            ErrorKind::Config,
            "the server does not have what is needed: MongoDB 5.0 or later, as a replica set",
        ),
        _ => (ErrorKind::Backend, "the driver reports an error"),
    }
}

/// The kind and message that callers see.
pub(crate) fn kind_of(error: &mongodb::error::Error) -> ErrorKind {
    classify(error).0
}

fn kind_of_code(code: i32) -> ErrorKind {
    match code {
        // Unauthorized, AuthenticationFailed, IllegalOperation (there is no replica set).
        13 | 18 | 20 => ErrorKind::Config,
        // Also LockTimeout and NoSuchTransaction.
        codes::WRITE_CONFLICT | 24 | 251 | codes::SNAPSHOT_TOO_OLD | codes::SNAPSHOT_UNAVAILABLE => {
            ErrorKind::Contention
        }
        // MaxTimeMSExpired, WriteConcernTimeout, TransactionExceededLifetimeLimitSeconds.
        50 | 64 | 290 => ErrorKind::Timeout,
        // HostUnreachable, HostNotFound, NetworkTimeout, shutting down, not (any more) the primary.
        6 | 7 | 89 | 91 | 189 | 9001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436 => ErrorKind::Unavailable,
        codes::DUPLICATE_KEY | codes::DOCUMENT_VALIDATION => ErrorKind::Constraint,
        // BSONObjectTooLarge and its forms, TransactionTooLarge.
        10_334 | 17_419 | 17_420 | 257 => ErrorKind::TooLarge,
        // OutOfDiskSpace.
        14_031 => ErrorKind::StorageFull,
        _ => ErrorKind::Backend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_kinds() {
        let table = [
            (13, ErrorKind::Config),
            (112, ErrorKind::Contention),
            (251, ErrorKind::Contention),
            (246, ErrorKind::Contention),
            (50, ErrorKind::Timeout),
            (64, ErrorKind::Timeout),
            (91, ErrorKind::Unavailable),
            (10_107, ErrorKind::Unavailable),
            (11_000, ErrorKind::Constraint),
            (121, ErrorKind::Constraint),
            (10_334, ErrorKind::TooLarge),
            (14_031, ErrorKind::StorageFull),
            (1, ErrorKind::Backend),
        ];
        for (code, kind) in table {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }
}
