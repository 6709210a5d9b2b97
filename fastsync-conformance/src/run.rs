//! Running cases: each on a storage, a runtime and a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::fixture::Fixture;
use crate::harness::Harness;

/// After this long a case counts as hung.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// Runs a case on a runtime of one thread.
///
/// # Panics
/// If the case fails.
pub fn run_single<H: Harness, F: Future<Output = ()>>(
    make: impl FnOnce() -> H,
    case: impl FnOnce(Fixture) -> F,
) {
    run_on(Builder::new_current_thread().enable_time().build(), make, case);
}

/// Runs a case on a runtime of several threads.
///
/// # Panics
/// If the case fails.
pub fn run_parallel<H: Harness, F: Future<Output = ()>>(
    make: impl FnOnce() -> H,
    case: impl FnOnce(Fixture) -> F,
) {
    run_on(Builder::new_multi_thread().worker_threads(4).enable_time().build(), make, case);
}

fn run_on<H: Harness, F: Future<Output = ()>>(
    runtime: std::io::Result<Runtime>,
    make: impl FnOnce() -> H,
    case: impl FnOnce(Fixture) -> F,
) {
    let runtime = runtime.expect("a runtime starts");
    let outcome = runtime.block_on(async {
        let harness: Arc<dyn Harness> = Arc::new(make());
        let run = async {
            let fixture = Fixture::new(harness.clone()).await;
            case(fixture).await;
        };
        tokio::time::timeout(CASE_LIMIT, run).await
    });
    assert!(outcome.is_ok(), "the case hung for {CASE_LIMIT:?}");
}

/// Runs every case on a storage of its own and reports each by name (`group::case`), with the message of its
/// failure.
pub async fn run_all<H: Harness>(
    make: impl Fn() -> H + Send + Sync,
) -> Vec<(&'static str, Result<(), String>)> {
    macro_rules! collect {
        ([$make:ident] $($runner:ident $group:ident { $($case:ident),* $(,)? })*) => {
            vec![$($((
                concat!(stringify!($group), "::", stringify!($case)),
                on_own_thread({
                    let harness = $make();
                    move || crate::$runner(move || harness, crate::cases::$group::$case)
                })
                .await,
            )),*),*]
        };
    }
    crate::__for_each_case!([collect] [make])
}

/// A thread of its own, so that a caller on a runtime may wait for it and a panic is a value.
async fn on_own_thread(run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    thread::spawn(move || sender.send(catch_unwind(AssertUnwindSafe(run))));
    match receiver.await {
        Ok(outcome) => outcome.map_err(|panic| message(&*panic)),
        Err(_) => Err("the case ended without an outcome".to_owned()),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// Waits for tasks of a case; a panic in one is a panic of the case.
pub(crate) async fn join_all<T>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => panic!("a task of the case ended early: {error}"),
            },
        }
    }
    results
}
