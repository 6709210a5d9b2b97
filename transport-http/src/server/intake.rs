//! Receiving bodies, within limits of one and of all together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fastsync_codec::UnpackError;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use tokio::sync::Semaphore;

use super::limits::Limits;
use crate::BoxError;
use crate::body::{self, ReadError, Watch};
use crate::headers;
use crate::pace::{Pace, TooSlow, Transfer};

/// Receives the bodies of a service's requests. A cheap handle: clones share the limits of all requests together.
///
/// [`SyncService`](super::SyncService) has one of its own. Use this for routes beside it that are to keep the same limits.
#[derive(Debug, Clone)]
pub struct Intake {
    limits: Limits,
    slow: Arc<Semaphore>,
    in_flight: Arc<AtomicUsize>,
}

/// A body that was received. Its bytes count as in flight until this is dropped.
#[derive(Debug)]
pub struct Received {
    bytes: Bytes,
    _held: Vec<Held>,
}

impl Received {
    /// The bytes, decompressed.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Why a body was not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntakeError {
    /// It is larger than the limit.
    TooLarge,
    /// It is larger than the limit once it is decompressed.
    TooLargeUnpacked,
    /// It stalled, or came below the least rate; or there are too many slow ones.
    TooSlow,
    /// There is too much in flight: the client is to come again.
    Busy,
    /// The connection broke off.
    Broken,
    /// It has a content encoding that is not known.
    UnknownCoding,
    /// It is not what its content encoding says.
    Malformed,
}

impl IntakeError {
    /// The status that says it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge | Self::TooLargeUnpacked => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::UnknownCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The text that says it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooLarge | Self::TooLargeUnpacked => "the body is too large",
            Self::TooSlow => "the body took too long",
            Self::Busy => "the server is receiving too much at once; try again",
            Self::Broken => "the body broke off",
            Self::UnknownCoding if cfg!(feature = "zstd") => {
                "the content encoding must be identity, gzip or zstd"
            }
            Self::UnknownCoding => "the content encoding must be identity or gzip",
            Self::Malformed => "the body is not one whole member or frame of its encoding",
        }
    }

    /// Whether some of the body may still be on its way, so that the connection cannot be used again.
    #[must_use]
    pub const fn is_within(self) -> bool {
        matches!(self, Self::TooLarge | Self::TooSlow | Self::Busy | Self::Broken)
    }
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for IntakeError {}

impl Intake {
    /// With these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let slow = Arc::new(Semaphore::new(limits.slow_bodies.min(Semaphore::MAX_PERMITS)));
        Self { limits, slow, in_flight: Arc::default() }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Receives a body and decompresses it. It needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// See [`IntakeError`].
    pub async fn receive<B>(&self, headers: &HeaderMap, body: B) -> Result<Received, IntakeError>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let coding = headers::coding(headers).map_err(|()| IntakeError::UnknownCoding)?;
        let Limits { body_bytes, stall_timeout: stall, least_rate, grace, .. } = self.limits;
        let transfer = Transfer::begin(Pace { stall, least_rate, grace }, &self.slow);
        let mut watch = Watched { transfer, held: self.holding() };
        let bytes =
            body::collect(body, headers, body_bytes, &mut watch).await.map_err(|error| match error {
                ReadError::TooLarge => IntakeError::TooLarge,
                ReadError::TooSlow => IntakeError::TooSlow,
                ReadError::Busy => IntakeError::Busy,
                ReadError::Broken(_) => IntakeError::Broken,
            })?;
        let mut held = vec![watch.held];
        let Some(coding) = coding else { return Ok(Received { bytes, _held: held }) };
        let unpacked = coding.unpack(&bytes, body_bytes).map_err(|error| match error {
            UnpackError::TooLarge => IntakeError::TooLargeUnpacked,
            _ => IntakeError::Malformed,
        })?;
        let mut more = self.holding();
        more.add(unpacked.len()).map_err(|()| IntakeError::Busy)?;
        held.push(more);
        Ok(Received { bytes: unpacked, _held: held })
    }

    fn holding(&self) -> Held {
        let room = self.limits.bytes_in_flight;
        Held { bytes: 0, room, in_flight: Arc::clone(&self.in_flight) }
    }
}

/// Bytes that count as in flight.
#[derive(Debug)]
struct Held {
    bytes: usize,
    room: usize,
    in_flight: Arc<AtomicUsize>,
}

impl Held {
    fn add(&mut self, bytes: usize) -> Result<(), ()> {
        let before = self.in_flight.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(bytes);
        if before.saturating_add(bytes) > self.room { Err(()) } else { Ok(()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Watched {
    transfer: Transfer,
    held: Held,
}

impl Watch for Watched {
    fn deadline(&self) -> Option<tokio::time::Instant> {
        Some(self.transfer.deadline())
    }

    fn check(&mut self) -> Result<(), ReadError> {
        self.transfer.check().map_err(|TooSlow| ReadError::TooSlow)
    }

    fn arrived(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.transfer.arrived(bytes);
        self.held.add(bytes).map_err(|()| ReadError::Busy)
    }
}
