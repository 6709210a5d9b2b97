//! Collecting a body into one buffer, within limits.

use std::future::poll_fn;
use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;

use crate::BoxError;

/// Why a body cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is larger than the limit.
    TooLarge,
    /// It came too slowly.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    TooSlow,
    /// Too much is being read at once.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    Busy,
    /// The connection failed.
    Broken(#[cfg_attr(not(feature = "client"), allow(dead_code))] BoxError),
}

/// What a transfer is held to.
pub(crate) trait Watch {
    /// When to check it.
    fn deadline(&self) -> Option<tokio::time::Instant>;
    /// Whether a transfer that has reached its deadline may go on, to another one.
    fn check(&mut self) -> Result<(), ReadError>;
    /// Some of it arrived.
    fn arrived(&mut self, bytes: usize) -> Result<(), ReadError>;
}

/// Held to nothing: whoever waits has a limit of its own.
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn deadline(&self) -> Option<tokio::time::Instant> {
        None
    }
    fn check(&mut self) -> Result<(), ReadError> {
        Ok(())
    }
    fn arrived(&mut self, _: usize) -> Result<(), ReadError> {
        Ok(())
    }
}

/// No announced length makes us reserve more than this: the rest grows with what really arrives.
const MAX_RESERVED: usize = 1 << 20;

/// Reads a body of at most `limit` bytes; a longer one is refused before reading if it says so.
pub(crate) async fn collect<B>(
    body: B,
    headers: &HeaderMap,
    limit: usize,
    watch: &mut (impl Watch + Send),
) -> Result<Bytes, ReadError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let expected = announced.unwrap_or(0).max(body.size_hint().lower());
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(ReadError::TooLarge);
    }
    let mut body = pin!(body);
    let mut buffer = BytesMut::new();
    loop {
        let frame = loop {
            let next = poll_fn(|context| body.as_mut().poll_frame(context));
            match watch.deadline() {
                None => break next.await,
                Some(deadline) => match tokio::time::timeout_at(deadline, next).await {
                    Ok(frame) => break frame,
                    Err(_) => watch.check()?,
                },
            }
        };
        let Some(frame) = frame else { return Ok(buffer.freeze()) };
        let Ok(mut data) = frame.map_err(|error| ReadError::Broken(error.into()))?.into_data() else {
            continue; // trailers
        };
        if data.remaining() > limit - buffer.len() {
            return Err(ReadError::TooLarge);
        }
        watch.arrived(data.remaining())?;
        if buffer.is_empty() {
            if body.is_end_stream() {
                return Ok(data.copy_to_bytes(data.remaining())); // a single chunk is not copied
            }
            buffer.reserve(expected.min(MAX_RESERVED).max(data.remaining()));
        }
        bytes::BufMut::put(&mut buffer, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn the_limit_is_inclusive_and_checked_before_reading() {
        let none = HeaderMap::new();
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(collect(body(), &none, 5, &mut Unwatched).await.unwrap(), "12345");
        assert!(matches!(collect(body(), &none, 4, &mut Unwatched).await, Err(ReadError::TooLarge)));
        let huge = HeaderMap::from_iter([(CONTENT_LENGTH, u64::MAX.into())]);
        assert!(matches!(collect(body(), &huge, 5, &mut Unwatched).await, Err(ReadError::TooLarge)));
    }
}
