//! A refusal by the application.

use crate::error::{Error, ErrorKind};

/// Why an object is refused, in the application's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// For programs, for example `out_of_stock`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Rejection {
    /// A refusal with a code and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

impl From<Rejection> for Error {
    fn from(Rejection { code, message }: Rejection) -> Self {
        Self::new(ErrorKind::InvalidInput, "validate", message).with_context("code", code)
    }
}
