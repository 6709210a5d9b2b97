//! From sled's errors and panics to ours: the only place.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastsync_core::{Error, ErrorKind};

pub(crate) const BACKEND: &str = "sled";

/// A failure inside the data source, before the operation is named.
#[derive(Debug)]
pub(crate) enum Fail {
    Sled(sled::Error),
    Own(ErrorKind, String),
    Core(Error),
}

pub(crate) type Run<T> = Result<T, Fail>;

impl From<sled::Error> for Fail {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self::Sled(sled::Error::Io(error))
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl Fail {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Own(kind, message.into())
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Stored data that cannot be read back.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    /// What to tell everybody who comes later.
    pub(crate) fn summary(&self) -> (ErrorKind, String) {
        match self {
            Self::Sled(error) => {
                let (kind, message) = classify(error);
                (kind, format!("{message}: {error}"))
            }
            Self::Own(kind, message) => (*kind, message.clone()),
            Self::Core(error) => (error.kind(), error.message().to_owned()),
        }
    }

    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        let error = match self {
            Self::Core(error) => error,
            Self::Own(kind, message) => Error::new(kind, operation, message),
            Self::Sled(error) => {
                let (kind, message) = classify(&error);
                Error::new(kind, operation, message).with_source(error)
            }
        };
        error.with_backend(BACKEND)
    }
}

fn classify(error: &sled::Error) -> (ErrorKind, &'static str) {
    match error {
        sled::Error::Corruption { .. } => (ErrorKind::Corrupt, "the store is damaged"),
        // What sled calls a bug of its own is what it cannot explain, which so far was always damage.
        sled::Error::ReportableBug(_) | sled::Error::CollectionNotFound(_) => {
            (ErrorKind::Corrupt, "sled finds the store in a state that it never leaves")
        }
        sled::Error::Unsupported(_) => (ErrorKind::Config, "sled does not support this store"),
        sled::Error::Io(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                (ErrorKind::StorageFull, "the disk is full")
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists => (ErrorKind::Config, "the store cannot be opened or written"),
            // sled reads at places that its own files name.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                (ErrorKind::Corrupt, "a file of the store is too short or no file of sled's")
            }
            _ => (ErrorKind::Backend, "reading or writing the store failed"),
        },
    }
}

/// Runs what may meet damage: sled panics on some.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Run<T>) -> Run<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Fail {
    let text = panic.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given");
    Fail::corrupt(format!("the operation panicked, as sled does on damage: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_kind() {
        let io = |kind| Fail::from(io::Error::from(kind));
        let table = [
            (Fail::from(sled::Error::Corruption { at: None, bt: () }), ErrorKind::Corrupt),
            (Fail::from(sled::Error::ReportableBug("x".into())), ErrorKind::Corrupt),
            (Fail::from(sled::Error::Unsupported("x".into())), ErrorKind::Config),
            (io(io::ErrorKind::StorageFull), ErrorKind::StorageFull),
            (io(io::ErrorKind::PermissionDenied), ErrorKind::Config),
            (io(io::ErrorKind::UnexpectedEof), ErrorKind::Corrupt),
            (io(io::ErrorKind::BrokenPipe), ErrorKind::Backend),
            (guarded::<()>(|| panic!("{}", "boom")).unwrap_err(), ErrorKind::Corrupt),
        ];
        for (fail, kind) in table {
            assert_eq!(fail.summary().0, kind);
            let error = fail.into_error("commit");
            assert_eq!((error.kind(), error.operation(), error.backend()), (kind, "commit", Some(BACKEND)));
        }
    }
}
