//! The answers to the pushes under way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt as _, MaybeDone, maybe_done};

use crate::error::Result;
use crate::protocol::PushReply;

/// The answers to the pushes under way, in the order in which they were sent. Dropped, they are not waited for.
#[derive(Default)]
pub(super) struct Replies<'a>(VecDeque<Awaited<'a>>);

struct Awaited<'a> {
    reply: MaybeDone<BoxFuture<'a, Result<PushReply>>>,
    /// Whether it was sent while the answer to another one was not there.
    is_early: bool,
}

impl<'a> Replies<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, sending: impl Future<Output = Result<PushReply>> + Send + 'a) {
        let is_early = !self.0.is_empty();
        self.0.push_back(Awaited { reply: maybe_done(sending.boxed()), is_early });
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The answer to the first one, and whether that was sent before it was its turn; none if no push is under way.
    pub(super) async fn next(&mut self) -> Option<(Result<PushReply>, bool)> {
        poll_fn(|context| {
            self.poll(context);
            match self.0.front_mut() {
                None => Poll::Ready(None),
                Some(first) => match Pin::new(&mut first.reply).take_output() {
                    None => Poll::Pending,
                    Some(reply) => {
                        let is_early = first.is_early;
                        self.0.pop_front();
                        Poll::Ready(Some((reply, is_early)))
                    }
                },
            }
        })
        .await
    }

    /// Does something while the pushes go on.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.poll(context);
            work.as_mut().poll(context)
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        for awaited in &mut self.0 {
            // What is done is kept until it is asked for.
            let _ = Pin::new(&mut awaited.reply).poll(context);
        }
    }
}
