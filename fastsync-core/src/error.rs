//! One error type: what went wrong (`kind`), where (`operation`, `backend`), and why (`source`).

use std::fmt;
use std::ops::RangeInclusive;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// The result of every fallible operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
///
/// Expected outcomes are not here: a conflict, a lost race, a required reset and a refused object are values in
/// the result of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value breaks a documented rule: an id, a name, a field, a count.
    InvalidInput,
    /// A documented limit in bytes, records or depth is exceeded; the message names the limit.
    TooLarge,
    /// The type is not registered.
    UnknownType,
    /// The zone does not exist, or the caller may not use it: the two are not told apart.
    UnknownZone,
    /// The object is not there.
    NotFound,
    /// An object with this id is there already.
    AlreadyExists,
    /// The request carries no valid identity.
    Unauthorized,
    /// A timestamp lies too far ahead of this end's clock.
    ClockSkew,
    /// The cursor was not issued by this server to this caller, or was altered.
    BadCursor,
    /// The peer speaks another protocol version, or requires a feature that this end does not know.
    UpgradeRequired,
    /// The operation needs something that this build or backend does not have: also to read what a newer release stored.
    Unsupported,
    /// The configuration is wrong: builder, connection settings, schema of the store.
    Config,
    /// Records kept moving under the operation; nothing was changed.
    Contention,
    /// A constraint of the user's own (unique column, foreign key, check) refuses the write.
    Constraint,
    /// There are local edits that were not sent; the operation would lose them.
    PendingEdits,
    /// The peer or the storage cannot be reached or is busy.
    Unavailable,
    /// The operation took longer than its limit; its outcome is unknown.
    Timeout,
    /// The storage is full.
    StorageFull,
    /// The peer answered with something that the protocol does not allow.
    Protocol,
    /// Stored data cannot be read back.
    Corrupt,
    /// Anything else that the storage or the peer reports.
    Backend,
}

impl ErrorKind {
    /// Whether the same call can succeed later without any change by the caller.
    ///
    /// `Timeout` is retryable because every operation of this library may be repeated safely.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Contention | Self::Unavailable | Self::Timeout)
    }

    /// The stable name of this kind, as used on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::TooLarge => "too_large",
            Self::UnknownType => "unknown_type",
            Self::UnknownZone => "unknown_zone",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Unauthorized => "unauthorized",
            Self::ClockSkew => "clock_skew",
            Self::BadCursor => "bad_cursor",
            Self::UpgradeRequired => "upgrade_required",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Contention => "contention",
            Self::Constraint => "constraint",
            Self::PendingEdits => "pending_edits",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::StorageFull => "storage_full",
            Self::Protocol => "protocol",
            Self::Corrupt => "corrupt",
            Self::Backend => "backend",
        }
    }

    /// The kind with this wire name; `None` for a name of a later version.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// Every kind, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::InvalidInput,
        Self::TooLarge,
        Self::UnknownType,
        Self::UnknownZone,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Unauthorized,
        Self::ClockSkew,
        Self::BadCursor,
        Self::UpgradeRequired,
        Self::Unsupported,
        Self::Config,
        Self::Contention,
        Self::Constraint,
        Self::PendingEdits,
        Self::Unavailable,
        Self::Timeout,
        Self::StorageFull,
        Self::Protocol,
        Self::Corrupt,
        Self::Backend,
    ];
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An error with its kind, the operation that failed, and the cause.
///
/// `Display` is one line without the cause; `std::error::Error::source` gives the driver's own error.
/// Messages hold no record bodies and no secrets.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    backend: Option<&'static str>,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    protocols: Option<RangeInclusive<u16>>,
}

impl Error {
    /// The context of a refusal for its size: how many records are allowed.
    pub const LIMIT_RECORDS: &'static str = "limit_records";

    /// The context of a refusal for its size: about how many bytes are allowed.
    pub const LIMIT_BYTES: &'static str = "limit_bytes";

    /// The context of a refusal for a time ahead of the server's: what the server's clock shows, in milliseconds since
    /// 1970-01-01 UTC.
    pub const SERVER_TIME_MS: &'static str = "server_time_ms";

    /// An error of `kind`, raised by `operation`.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            backend: None,
            message: message.into(),
            context: Vec::new(),
            source: None,
            protocols: None,
        }))
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names the data source or transport that raised this error.
    #[must_use]
    pub fn with_backend(mut self, backend: &'static str) -> Self {
        self.0.backend = Some(backend);
        self
    }

    /// Adds a fact that helps to find the cause: a type name, a limit, a path.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Names the protocol versions that are served, because the one that was asked for is not.
    #[must_use]
    pub fn with_protocols(mut self, versions: RangeInclusive<u16>) -> Self {
        self.0.protocols = Some(versions);
        self
    }

    /// The protocol versions that the server serves, if it refuses a request for its version: a client that speaks one of
    /// them goes on with the highest.
    #[must_use]
    pub fn protocols(&self) -> Option<RangeInclusive<u16>> {
        self.0.protocols.clone()
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, for example `"push"` or `"commit"`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The data source or transport that raised it.
    #[must_use]
    pub fn backend(&self) -> Option<&'static str> {
        self.0.backend
    }

    /// The message without operation and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts added on the way up.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Whether the same call can succeed later without any change by the caller: [`ErrorKind::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}", inner.operation)?;
        if let Some(backend) = inner.backend {
            write!(f, " ({backend})")?;
        }
        write!(f, ": {}: {}", inner.kind, inner.message)?;
        for (key, value) in &inner.context {
            write!(f, " [{key}: {value}]")?;
        }
        Ok(())
    }
}

/// With the members `kind`, `operation`, `backend`, `message`, `context` (pairs), `is_retryable`, and `causes`: the texts of the
/// errors below, the nearest first. Those are a driver's own: a database may quote a value in them.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut causes, mut cause) = (Vec::new(), std::error::Error::source(self));
        while let Some(found) = cause {
            causes.push(found.to_string());
            cause = found.source();
        }
        let mut error = serializer.serialize_struct("Error", 7)?;
        error.serialize_field("kind", self.0.kind.code())?;
        error.serialize_field("operation", self.0.operation)?;
        error.serialize_field("backend", &self.0.backend)?;
        error.serialize_field("message", &self.0.message)?;
        error.serialize_field("context", &self.0.context)?;
        error.serialize_field("is_retryable", &self.is_retryable())?;
        error.serialize_field("causes", &causes)?;
        error.end()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(source) = &self.0.source {
            write!(f, "; caused by: {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_round_trip() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(ErrorKind::from_code("no_such_kind"), None);
    }

    #[test]
    fn source_is_kept_and_display_leaves_it_out() {
        let error = Error::new(ErrorKind::Unavailable, "commit", "busy")
            .with_backend("sqlite")
            .with_context("table", "items")
            .with_source(std::io::Error::other("secret detail"));
        assert_eq!(error.to_string(), "commit (sqlite): unavailable: busy [table: items]");
        assert!(std::error::Error::source(&error).is_some());
        assert!(error.is_retryable());
        let serialised = serde_json::json!({
            "kind": "unavailable", "operation": "commit", "backend": "sqlite", "message": "busy",
            "context": [["table", "items"]], "is_retryable": true, "causes": ["secret detail"],
        });
        assert_eq!(serde_json::to_value(&error).unwrap(), serialised);
    }
}
