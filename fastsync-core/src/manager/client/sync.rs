//! Both halves of a synchronisation.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Client, PullReport, PushReport, SyncReport};
use crate::error::{Error, ErrorKind, Result};

/// A synchronisation of which one half failed, or both. If only the push did, the pull is complete and visible: read
/// [`pull`](Self::pull).
///
/// It becomes an [`Error`] with `?`, which drops the report of the half that did not fail. To find out whether somebody has to sign
/// in, look at both halves.
///
/// ```no_run
/// # async fn f(client: &fastsync_core::SyncManager<fastsync_core::Client>) {
/// match client.sync().await {
///     Ok(report) => println!("{} sent, {} received", report.push.applied, report.pull.received),
///     Err(error) => {
///         if let Ok(pull) = error.pull() {
///             println!("{} received", pull.received);
///         }
///         println!("{error}; try again later: {}", error.is_retryable());
///     }
/// }
/// # }
/// ```
pub struct SyncError(Box<Halves>);

struct Halves {
    push: Result<PushReport>,
    pull: Result<PullReport>,
}

/// As `{"push": …, "pull": …}`, each `{"report": …}` or `{"error": …}`.
impl Serialize for SyncError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Half<'a, T> {
            Report(&'a T),
            Error(&'a Error),
        }
        #[derive(Serialize)]
        struct Both<'a> {
            push: Half<'a, PushReport>,
            pull: Half<'a, PullReport>,
        }
        fn half<T>(result: &Result<T>) -> Half<'_, T> {
            result.as_ref().map_or_else(Half::Error, Half::Report)
        }
        let Halves { push, pull } = &*self.0;
        Both { push: half(push), pull: half(pull) }.serialize(serializer)
    }
}

impl SyncError {
    /// What the push did, or why it failed. What it did before it failed is stored and not reported.
    ///
    /// # Errors
    /// The push's.
    pub fn push(&self) -> Result<&PushReport, &Error> {
        self.0.push.as_ref()
    }

    /// What the pull did, or why it failed.
    ///
    /// # Errors
    /// The pull's.
    pub fn pull(&self) -> Result<&PullReport, &Error> {
        self.0.pull.as_ref()
    }

    /// What went wrong: the retryable error if one half has one, else the push's, else the pull's.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error().map_or(ErrorKind::Backend, Error::kind)
    }

    /// Whether the same call can achieve more later without any change by the caller.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.error().is_some_and(Error::is_retryable)
    }

    fn error(&self) -> Option<&Error> {
        let errors = || self.0.push.as_ref().err().into_iter().chain(self.0.pull.as_ref().err());
        errors().find(|error| error.is_retryable()).or_else(|| errors().next())
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.push, &self.0.pull) {
            (Err(push), Err(pull)) if push.kind() == pull.kind() && push.message() == pull.message() => {
                write!(f, "push and pull failed: {push}")
            }
            (Err(push), Err(pull)) => write!(f, "push and pull failed: {push}; {pull}"),
            (Err(error), Ok(_)) => write!(f, "the push failed, the pull is done: {error}"),
            (Ok(_), Err(error)) => write!(f, "the pull failed, the push is done: {error}"),
            (Ok(_), Ok(_)) => f.write_str("nothing failed"),
        }
    }
}

impl fmt::Debug for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncError").field("push", &self.0.push).field("pull", &self.0.pull).finish()
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The error itself is in the text already.
        self.error().and_then(std::error::Error::source)
    }
}

impl From<SyncError> for Error {
    fn from(error: SyncError) -> Self {
        let Halves { push, pull } = *error.0;
        match (push.err(), pull.err()) {
            (Some(push), Some(pull)) if pull.is_retryable() && !push.is_retryable() => {
                pull.with_context("push", push)
            }
            (Some(push), Some(pull)) => push.with_context("pull", pull),
            (Some(error), None) | (None, Some(error)) => error,
            (None, None) => Self::new(ErrorKind::Backend, "sync", "nothing failed"),
        }
    }
}

impl Client {
    pub(super) async fn sync(&self) -> Result<SyncReport, SyncError> {
        let push = self.push().await;
        let pull = match &push {
            // What is in flight has just been asked for.
            Err(error) => self.pull_after_failed_push(error).await,
            Ok(_) => self.pull().await,
        };
        match (push, pull) {
            (Ok(push), Ok(mut pull)) => {
                // The push may have had to pull first.
                pull.reset = pull.reset.or(push.reset);
                pull.forgotten += push.forgotten;
                Ok(SyncReport { push, pull })
            }
            (push, pull) => Err(SyncError(Box::new(Halves { push, pull }))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manager::client::{SettledConflict, Settlement, WaitingEdits, WaitingReason};
    use crate::model::{
        DeviceId, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision, SyncMetadata, Timestamp, TypeName,
        Zone,
    };

    /// Fails if a report tells a log what a user has written, or a half of a synchronisation is missing.
    #[test]
    fn what_is_serialised_has_both_halves_and_no_values() {
        let (type_name, id) = (TypeName::new("notes").unwrap(), ObjectId::new("1").unwrap());
        let key = RecordKey { zone: Zone::Global, type_name: type_name.clone(), id };
        let metadata = SyncMetadata {
            revision: Revision::from_bits(1),
            incarnation: Incarnation::from_bits(2),
            modified_at: Hlc::new(Timestamp::from_millis(3), 0),
            modified_by: DeviceId::from_uuid(uuid::Uuid::nil()),
            change: 4,
        };
        let dropped = Some(Record { key: key.clone(), body: Some(vec!["private words".into()]), metadata });
        let conflict = SettledConflict { key, settlement: Settlement::KeptServer, dropped };
        let waiting = WaitingEdits { type_name, edits: 2, reason: WaitingReason::UnknownToServer };
        let push = PushReport { conflicts: vec![conflict], waiting: vec![waiting], ..PushReport::default() };
        let failed = Error::new(ErrorKind::Unavailable, "pull", "no network");
        let error = SyncError(Box::new(Halves { push: Ok(push), pull: Err(failed) }));
        let serialised = serde_json::to_value(&error).unwrap();
        assert!(!serialised.to_string().contains("private words"), "{serialised}");
        let report = &serialised["push"]["report"];
        assert_eq!(report["conflicts"][0]["settlement"], "kept_server");
        assert_eq!(
            report["waiting"],
            json!([{ "type_name": "notes", "edits": 2, "reason": "unknown_to_server" }])
        );
        assert_eq!(serialised["pull"]["error"]["kind"], "unavailable");
    }
}
