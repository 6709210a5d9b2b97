//! Failures inside a data source, and what native errors mean for what it does next.

use std::error::Error as StdError;

use fastsync_core::{Error, ErrorKind};

/// A failure inside a data source, before the operation is named.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fail {
    /// An error of the driver or the server.
    Native(Box<Native>),
    /// Found by the data source itself, or by the core.
    Core(Error),
    /// Another commit was there between a look and a write; nothing was written, and another look
    /// decides.
    Moved,
}

/// What work inside a data source comes to.
pub type Run<T> = Result<T, Fail>;

/// An error of the driver or the server, classified.
#[derive(Debug)]
pub struct Native {
    /// What it means for what is done next.
    pub meaning: Meaning,
    /// The kind that callers see.
    pub kind: ErrorKind,
    /// The message that people see, without values of a row.
    pub message: &'static str,
    /// The error.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// What a native error means for what is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The same transaction may well succeed when it is tried again: a deadlock, a lock that did
    /// not come in time.
    Transient,
    /// A row with a value of a unique key is there already. With the database's text.
    Duplicate(String),
    /// The row under an upsert is not the one with its id.
    Guarded,
    /// A rule of the user's table refuses a row: a foreign key, a check, a column that is too
    /// narrow, a trigger. With the database's text.
    Refused(String),
    /// Something else.
    Other,
}

impl From<Native> for Fail {
    fn from(native: Native) -> Self {
        Self::Native(Box::new(native))
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl Fail {
    /// A failure that the data source found.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Core(Error::new(kind, operation, message))
    }

    /// Input that cannot be stored or asked for.
    #[must_use]
    pub fn invalid(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation, message)
    }

    /// Stored data that this version cannot read.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "read", what)
    }

    fn meaning(&self) -> &Meaning {
        match self {
            Self::Native(native) => &native.meaning,
            Self::Moved => &Meaning::Transient,
            Self::Core(_) => &Meaning::Other,
        }
    }

    /// Whether the same transaction may well succeed when it is tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.meaning(), Meaning::Transient)
    }

    /// Whether a row with such a key is there already.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self.meaning(), Meaning::Duplicate(_))
    }

    /// Whether another row has a unique value of the row that is written.
    #[must_use]
    pub fn is_clash(&self) -> bool {
        matches!(self.meaning(), Meaning::Duplicate(_) | Meaning::Guarded)
    }

    /// Why a rule of the user's table refuses a row, if one does.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        match self.meaning() {
            Meaning::Guarded => Some("another row has the value of a unique column".to_owned()),
            Meaning::Duplicate(text) | Meaning::Refused(text) => Some(text.clone()),
            Meaning::Transient | Meaning::Other => None,
        }
    }

    /// A duplicate of a row that was not there when it was looked up: another commit was faster.
    pub(crate) fn or_moved(self) -> Self {
        if self.is_duplicate() { Self::Moved } else { self }
    }

    /// As callers of the library get it.
    #[must_use]
    pub fn into_error(self, backend: &'static str, operation: &'static str) -> Error {
        let error = match self {
            Self::Core(error) => error,
            Self::Moved => {
                Error::new(ErrorKind::Contention, operation, "other commits were in the way each time")
            }
            Self::Native(native) => {
                let Native { kind, message, source, .. } = *native;
                Error::new(kind, operation, message).with_source(source)
            }
        };
        error.with_backend(backend)
    }
}
