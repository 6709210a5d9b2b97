//! A connection that ends by itself when its peer is too slow.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::pace::{Pace, Transfer};

/// What a connection is waiting for. Shared by its bytes and its requests, each of which sees only a part.
#[derive(Debug, Clone)]
pub(crate) struct Phase(Arc<AtomicU8>);

/// A request's head is under way, or the connection is new.
const HEAD: u8 = 0;
/// A request is being answered; its body has limits of its own.
const BUSY: u8 = 1;
/// An answer was given, the next request has not begun.
const IDLE: u8 = 2;

impl Phase {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(HEAD)))
    }

    pub(crate) fn begin_request(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    pub(crate) fn end_request(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn bytes_arrived(&self) {
        let _ = self.0.compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) reply: Pace,
}

pub(crate) struct GuardedStream<S> {
    stream: S,
    phase: Phase,
    timeouts: Timeouts,
    reading: Pin<Box<Sleep>>,
    /// The phase that `reading` is set for.
    watched: u8,
    /// The places of slow replies.
    slow: Arc<Semaphore>,
    /// From the first write of an answer that has to wait; paused while all that there is of the answer is written.
    writing: Option<(Transfer, Pin<Box<Sleep>>)>,
}

impl<S> GuardedStream<S> {
    pub(crate) fn new(stream: S, phase: Phase, timeouts: Timeouts, slow: Arc<Semaphore>) -> Self {
        let reading = Box::pin(sleep(timeouts.head));
        Self { stream, phase, timeouts, reading, watched: HEAD, slow, writing: None }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// Whether some of an answer waits to be taken.
    fn is_writing(&self) -> bool {
        self.writing.as_ref().is_some_and(|(transfer, _)| !transfer.is_paused())
    }

    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut phase = self.phase.0.load(Ordering::Relaxed);
        if phase == IDLE && self.is_writing() {
            phase = BUSY; // the answer is still on its way
        }
        if phase != self.watched {
            self.watched = phase;
            let timeout = if phase == HEAD { self.timeouts.head } else { self.timeouts.idle };
            self.reading.as_mut().reset(Instant::now() + timeout);
        }
        if phase == BUSY { Poll::Pending } else { self.reading.as_mut().poll(context) }
    }

    /// Ready if the reply is taken too slowly.
    fn poll_writing(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { timeouts, slow, writing, .. } = self;
        let (transfer, sleep) = writing.get_or_insert_with(|| {
            let transfer = Transfer::begin(timeouts.reply, slow);
            let sleep = sleep_until(transfer.deadline());
            (transfer, Box::pin(sleep))
        });
        transfer.resume();
        loop {
            if sleep.deadline() != transfer.deadline() {
                sleep.as_mut().reset(transfer.deadline());
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if transfer.check().is_err() {
                return Poll::Ready(());
            }
        }
    }

    fn guard_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(bytes)), Some((transfer, _))) = (&written, &mut self.writing) {
            transfer.arrived(*bytes);
        }
        if written.is_pending() && self.poll_writing(context).is_ready() { too_slow() } else { written }
    }
}

fn too_slow<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.phase.bytes_arrived();
                    if !self.is_writing() {
                        self.writing = None; // a new request, whose answer has a time of its own
                    }
                }
                // A peer that always has a byte ready must not escape the time limit of the head.
                if self.poll_reading(context).is_ready() { too_slow() } else { Poll::Ready(result) }
            }
            Poll::Pending if self.poll_reading(context).is_ready() => too_slow(),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.guard_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.guard_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Called by hyper once all that it has is written.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        let was_writing = self.is_writing();
        if flushed.is_ready()
            && let Some((transfer, _)) = &mut self.writing
        {
            transfer.pause();
        }
        if flushed.is_ready() && was_writing {
            context.waker().wake_by_ref(); // to be read again: the time of the next wait begins
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
