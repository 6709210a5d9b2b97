//! Threads for the work that blocks, so that none of it runs on the caller's async threads: a few that read, and one
//! that writes.
//!
//! Work that was handed over runs to its end, also if its future is dropped: its effect is whole or nothing.

use std::sync::Arc;
use std::thread;

use fastsync_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::kv::draft::Draft;
use crate::kv::engine::{Engine, View};
use crate::kv::fail::{Fail, Run, guarded};
use crate::kv::registry::Registry;
use crate::kv::steps::Steps;
use crate::kv::store::Store;
use crate::workers::Queue;

/// From this size on a group of writes is not made larger.
const GROUP_BYTES: usize = 4 << 20;

type Work<E> = Box<dyn FnOnce(&Store<E>) + Send>;

/// What the writer does.
enum Task<E: Engine> {
    /// Together with others.
    Grouped(Box<dyn Write<E::View>>),
    /// Alone: more than one batch.
    Alone(Work<E>),
}

/// The threads of one store.
pub(crate) struct Workers<E: Engine> {
    reads: Arc<Queue<Work<E>>>,
    writes: Arc<Queue<Task<E>>>,
}

impl<E: Engine> Workers<E> {
    pub(crate) fn start(store: &Arc<Store<E>>, readers: usize) -> Run<Self> {
        // If one of the threads cannot be started, dropping this ends the others.
        let workers = Self { reads: Queue::new(), writes: Queue::new() };
        for _ in 0..readers {
            let (queue, store) = (Arc::clone(&workers.reads), Arc::clone(store));
            spawn("fastsync-reader", move || {
                while let Some(read) = queue.next() {
                    read(&store);
                }
            })?;
        }
        let (queue, store) = (Arc::clone(&workers.writes), Arc::clone(store));
        spawn("fastsync-writer", move || write_all(&queue, &store))?;
        Ok(workers)
    }

    /// Runs a read on one committed state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &E::View) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.reads.push(Box::new(move |store| {
            // The caller may be gone.
            drop(reply.send(store.read(work)));
        }));
        wait(E::NAME, operation, answer).await
    }

    /// Runs a write; it is durable when this is ready.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Registry, &mut Draft<'_, E::View>) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.writes.push(Task::Grouped(Box::new(Job { work: Some(work), result: None, reply })));
        wait(E::NAME, operation, answer).await
    }

    /// Runs a write that takes several batches; it is durable when this is ready.
    pub(crate) async fn write_alone<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store<E>) -> Run<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.writes.push(Task::Alone(Box::new(move |store| {
            drop(reply.send(store.check().and_then(|()| guarded(|| work(store)))));
        })));
        wait(E::NAME, operation, answer).await
    }
}

impl<E: Engine> Drop for Workers<E> {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Run<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

async fn wait<T>(
    backend: &'static str,
    operation: &'static str,
    answer: oneshot::Receiver<Run<T>>,
) -> Result<T> {
    match answer.await {
        Ok(result) => result.map_err(|fail| fail.into_error(backend, operation)),
        Err(_) => {
            let error =
                Error::new(ErrorKind::Backend, operation, "the thread that works on the store is gone");
            Err(error.with_backend(backend))
        }
    }
}

/// A write in three steps: drafted, made durable together with others, answered.
trait Write<V>: Send {
    /// Drafts, or leaves no trace in the draft.
    fn draft(&mut self, registry: &Registry, draft: &mut Draft<'_, V>);
    /// Tells the caller, after what all of the group drafted is durable or has failed.
    fn answer(self: Box<Self>, group: &Run<()>);
}

struct Job<T, F> {
    work: Option<F>,
    result: Option<Run<T>>,
    reply: oneshot::Sender<Run<T>>,
}

impl<V: View, T: Send, F> Write<V> for Job<T, F>
where
    F: FnOnce(&Registry, &mut Draft<'_, V>) -> Run<T> + Send,
{
    fn draft(&mut self, registry: &Registry, draft: &mut Draft<'_, V>) {
        let Some(work) = self.work.take() else { return };
        let result = guarded(|| work(registry, draft));
        self.result = Some(draft.end_job(result));
    }

    fn answer(self: Box<Self>, group: &Run<()>) {
        let result = match (group, self.result) {
            (Ok(()), Some(result)) => result,
            // What it read may be what the group failed to write.
            (Err(fail), _) => {
                let (kind, message) = fail.summary();
                Err(Fail::new(kind, message))
            }
            (Ok(()), None) => return,
        };
        drop(self.reply.send(result));
    }
}

/// Group commit: everything that waits is drafted in turn, applied as one batch and made durable once.
fn write_all<E: Engine>(queue: &Queue<Task<E>>, store: &Store<E>) {
    while let Some(first) = queue.next() {
        let (mut group, mut alone) = match first {
            Task::Grouped(job) => (vec![job], None),
            Task::Alone(work) => (Vec::new(), Some(work)),
        };
        if !group.is_empty() {
            let drafted = store.draft_group(|registry, draft| {
                while let Some(job) = group.last_mut() {
                    job.draft(registry, draft);
                    let next = if draft.bytes() < GROUP_BYTES { queue.next_if_any() } else { None };
                    match next {
                        Some(Task::Grouped(job)) => group.push(job),
                        Some(Task::Alone(work)) => {
                            alone = Some(work);
                            break;
                        }
                        None => break,
                    }
                }
                Ok(())
            });
            let written =
                drafted.and_then(|drafted| store.apply(drafted.changes, drafted.number, Steps::default()));
            for job in group {
                job.answer(&written);
            }
        }
        if let Some(work) = alone {
            work(store);
        }
    }
}
