//! The body of an answer, which sees how fast it is taken.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use fastsync_core::SyncContext;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::Inner;

/// How much is given at once: what was given last and what has arrived differ by little more than the buffers between.
const PART: usize = 64 << 10;

/// The body of an answer: bytes that are there already.
#[derive(Debug, Default)]
pub struct Body {
    rest: Bytes,
    watch: Option<Watch>,
}

/// Who takes it, and since when.
struct Watch {
    inner: Arc<Inner>,
    context: SyncContext,
    began: Option<Instant>,
    taken: usize,
    /// How many bytes of JSON each byte stands for.
    scale: f64,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Body {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, watch: None }
    }

    /// Of a reply whose JSON has so many bytes.
    pub(super) fn watched(bytes: Bytes, inner: Arc<Inner>, context: SyncContext, json: usize) -> Self {
        let scale = if bytes.is_empty() { 1.0 } else { json as f64 / bytes.len() as f64 };
        let watch = Watch { inner, context, began: None, taken: 0, scale };
        Self { rest: bytes, watch: Some(watch) }
    }

    /// The bytes, for a framework with bodies of its own. Then nothing is known of how fast they are taken.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.watch = None;
        std::mem::take(&mut self.rest)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.rest.len().min(PART);
        if part == 0 {
            return Poll::Ready(None);
        }
        // A single part is not cut: a body that nobody watches is given as it is.
        let data = match &mut self.watch {
            None => std::mem::take(&mut self.rest),
            Some(watch) => {
                watch.began.get_or_insert_with(Instant::now);
                watch.taken = watch.taken.saturating_add(part);
                let data = self.rest.slice(..part);
                self.rest.advance(part);
                data
            }
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(Watch { inner, context, began: Some(began), taken, scale }) = self.watch.take() else {
            return;
        };
        let json = taken as f64 * scale;
        inner.rates.note(&context, json, began.elapsed(), self.rest.is_empty());
    }
}
