//! Failures inside a data source, and from an engine's panics to them.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastsync_core::{Error, ErrorKind};

/// A failure inside a data source, before the operation is named.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fail {
    /// The engine's own error, with what it means.
    Native(ErrorKind, &'static str, Box<dyn StdError + Send + Sync>),
    /// Found by the data source itself.
    Own(ErrorKind, String),
    /// An error of the core's.
    Core(Error),
}

/// What work inside a data source comes to.
pub type Run<T> = Result<T, Fail>;

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        let (kind, message) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                (ErrorKind::StorageFull, "the disk is full")
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists => (ErrorKind::Config, "the store cannot be opened or written"),
            // Engines read at places that their own files name.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                (ErrorKind::Corrupt, "a file of the store is too short or none of the engine's")
            }
            _ => (ErrorKind::Backend, "reading or writing the store failed"),
        };
        Self::Native(kind, message, Box::new(error))
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
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Own(kind, message.into())
    }

    /// Stored data that cannot be read back.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// What to tell everybody who comes later.
    pub(crate) fn summary(&self) -> (ErrorKind, String) {
        match self {
            Self::Native(kind, message, error) => (*kind, format!("{message}: {error}")),
            Self::Own(kind, message) => (*kind, message.clone()),
            Self::Core(error) => (error.kind(), error.message().to_owned()),
        }
    }

    /// The error that callers of an operation get.
    #[must_use]
    pub fn into_error(self, backend: &'static str, operation: &'static str) -> Error {
        let error = match self {
            Self::Core(error) => error,
            Self::Own(kind, message) => Error::new(kind, operation, message),
            Self::Native(kind, message, error) => Error::new(kind, operation, message).with_source(error),
        };
        error.with_backend(backend)
    }
}

/// Runs what may meet damage: some engines panic on it. A panic is `Corrupt`.
///
/// # Errors
/// Those of `work`.
pub fn guarded<T>(work: impl FnOnce() -> Run<T>) -> Run<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Fail {
    let text = panic.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given");
    Fail::corrupt(format!("the operation panicked, as engines do on damage: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_kind() {
        let io = |kind| Fail::from(io::Error::from(kind));
        let table = [
            (io(io::ErrorKind::StorageFull), ErrorKind::StorageFull),
            (io(io::ErrorKind::PermissionDenied), ErrorKind::Config),
            (io(io::ErrorKind::UnexpectedEof), ErrorKind::Corrupt),
            (io(io::ErrorKind::BrokenPipe), ErrorKind::Backend),
            (Fail::invalid("x"), ErrorKind::InvalidInput),
            (guarded::<()>(|| panic!("{}", "boom")).unwrap_err(), ErrorKind::Corrupt),
        ];
        for (fail, kind) in table {
            assert_eq!(fail.summary().0, kind);
            let error = fail.into_error("engine", "commit");
            assert_eq!((error.kind(), error.operation(), error.backend()), (kind, "commit", Some("engine")));
        }
    }
}
