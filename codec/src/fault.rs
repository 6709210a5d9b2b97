//! An error of the server on its way to the client.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use fastsync_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The part of an error that a client may see. It is always JSON, so that proxies can read it:
/// `{"error": {"code": "too_large", "message": "..", "retryable": false}}`.
///
/// It has the kind of the error, and facts that a client acts upon: the versions that are served, the server's clock, the limits
/// of a session. It has the error's own message only where that is about what the client sent, so never a path, a host, another
/// user's data or a text of the database. Context and source stay at the server: log them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'a> {
    detail: Detail<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Detail<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Detail<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(default)]
    retryable: bool,
    /// The oldest and the newest protocol version that are served, if the one of the request is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocols: Option<(u16, u16)>,
    /// The server's clock, in milliseconds since 1970-01-01 UTC, if an edit is dated after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_time_ms: Option<u64>,
    /// How many records a session may have, if it has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_records: Option<u64>,
    /// About how many bytes a session may have, if it has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_bytes: Option<u64>,
}

/// The most characters of a message that are sent, and of one that is taken.
const LONGEST_MESSAGE: usize = 512;

impl<'a> Fault<'a> {
    /// A fault of the transport itself, such as an unknown path.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            detail: Detail {
                code: kind.code().into(),
                message: message.into(),
                retryable: kind.is_retryable(),
                protocols: None,
                server_time_ms: None,
                limit_records: None,
                limit_bytes: None,
            },
        }
    }

    /// The fault of an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let fact = |name| {
            let (_, fact) = error.context().find(|(key, _)| *key == name)?;
            fact.parse().ok()
        };
        let message = fixed_message(error.kind()).map_or_else(
            || Cow::Owned(error.message().chars().take(LONGEST_MESSAGE).collect()),
            Cow::Borrowed,
        );
        let Self { detail } = Self::new(error.kind(), message);
        Self {
            detail: Detail {
                protocols: error.protocols().map(RangeInclusive::into_inner),
                server_time_ms: fact(Error::SERVER_TIME_MS),
                limit_records: fact(Error::LIMIT_RECORDS),
                limit_bytes: fact(Error::LIMIT_BYTES),
                ..detail
            },
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Body { error: self.detail.clone() }).unwrap_or_default()
    }

    /// Reads a fault; `None` if the bytes are something else.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let Body { error } = serde_json::from_slice(bytes).ok()?;
        Some(Self { detail: error })
    }

    /// The [code](ErrorKind::code) of its kind, which a server of a later version may have and this one not.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.detail.code
    }

    /// The error, as the client sees it. A kind of a later version is `Unavailable` if it may be tried again, and else `Protocol`.
    #[must_use]
    pub fn into_error(self, operation: &'static str) -> Error {
        let later = if self.detail.retryable { ErrorKind::Unavailable } else { ErrorKind::Protocol };
        let kind = ErrorKind::from_code(self.code()).unwrap_or(later);
        self.into_error_of(kind, operation)
    }

    /// The error, of a kind that the transport knows better.
    #[must_use]
    pub fn into_error_of(self, kind: ErrorKind, operation: &'static str) -> Error {
        let Detail { message, protocols, server_time_ms, limit_records, limit_bytes, .. } = self.detail;
        // Whoever wrote it, it goes into logs and dialogs.
        let message: String = message.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect();
        let mut error = Error::new(kind, operation, message);
        if let Some((oldest, newest)) = protocols {
            error = error.with_protocols(oldest..=newest);
        }
        let facts = [
            (Error::SERVER_TIME_MS, server_time_ms),
            (Error::LIMIT_RECORDS, limit_records),
            (Error::LIMIT_BYTES, limit_bytes),
        ];
        for (name, fact) in facts {
            error = fact.into_iter().fold(error, |error, fact| error.with_context(name, fact));
        }
        error
    }
}

/// The message that replaces the error's own. `None` for kinds whose message is about what the caller sent; the others could
/// name zones, hosts, paths or data that are not the caller's.
const fn fixed_message(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::InvalidInput
        | ErrorKind::TooLarge
        | ErrorKind::UnknownType
        | ErrorKind::ClockSkew
        | ErrorKind::BadCursor
        | ErrorKind::UpgradeRequired
        | ErrorKind::Unsupported
        | ErrorKind::Constraint
        | ErrorKind::PendingEdits => return None,
        ErrorKind::Unauthorized => "the request carries no valid identity",
        ErrorKind::UnknownZone => "the zone does not exist or may not be used",
        ErrorKind::NotFound => "there is no such object",
        ErrorKind::AlreadyExists => "the object exists already",
        ErrorKind::Contention => "the records kept moving; try again",
        ErrorKind::Unavailable => "the server is busy or cannot reach its storage; try again",
        ErrorKind::Timeout => "the operation took too long; try again",
        ErrorKind::StorageFull => "the server's storage is full",
        ErrorKind::Protocol => "the server got an answer that it does not understand",
        _ => "the server failed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_kind_and_facts() {
        for kind in ErrorKind::ALL.iter().copied() {
            let error = Error::new(kind, "commit", "secret\n")
                .with_context("path", "secret")
                .with_context(Error::LIMIT_RECORDS, 7)
                .with_protocols(2..=3)
                .with_source("secret");
            let sent = Fault::of(&error).encode();
            let told = String::from_utf8(sent.clone()).unwrap();
            assert_eq!(told.contains("secret"), fixed_message(kind).is_none(), "{told}");
            let back = Fault::decode(&sent).unwrap().into_error("push");
            assert_eq!((back.kind(), back.is_retryable()), (kind, error.is_retryable()));
            assert_eq!(back.protocols(), Some(2..=3));
            assert!(back.context().any(|fact| fact == (Error::LIMIT_RECORDS, "7")));
            assert!(!back.message().contains('\n'));
        }
    }

    #[test]
    fn internal_kinds_tell_nothing() {
        for kind in [ErrorKind::Config, ErrorKind::Corrupt, ErrorKind::Backend] {
            assert_eq!(fixed_message(kind), Some("the server failed"));
        }
    }

    /// The form is a promise: clients that are out there read it.
    #[test]
    fn the_form() {
        let text = r#"{"error":{"code":"clock_skew","message":"m","retryable":false,"server_time_ms":5}}"#;
        let error = Error::new(ErrorKind::ClockSkew, "push", "m").with_context(Error::SERVER_TIME_MS, 5);
        assert_eq!(String::from_utf8(Fault::of(&error).encode()).unwrap(), text);
        assert_eq!(Fault::decode(text.as_bytes()), Some(Fault::of(&error)));
    }

    #[test]
    fn kinds_of_a_later_version_and_other_texts() {
        let later = |retryable| {
            let text =
                format!(r#"{{"error":{{"code":"of_2031","retryable":{retryable},"new":[1]}},"more":1}}"#);
            Fault::decode(text.as_bytes()).unwrap().into_error("push").kind()
        };
        assert_eq!((later(true), later(false)), (ErrorKind::Unavailable, ErrorKind::Protocol));
        for other in ["", "<html>", "{}", r#"{"error":"x"}"#, r#"{"error":{"message":"x"}}"#] {
            assert_eq!(Fault::decode(other.as_bytes()), None, "{other}");
        }
    }
}
