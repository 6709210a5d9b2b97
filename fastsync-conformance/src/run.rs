//! Running cases: each on a storage, a runtime and a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::fixture::Fixture;
use crate::harness::Harness;

/// After this long a case counts as hung.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// Runs a test of your own on a runtime of one thread, as the cases run.
///
/// # Panics
/// If the test fails.
pub fn run_single<H: Harness, F: Future<Output = ()>>(
    make: impl FnOnce() -> H,
    test: impl FnOnce(Fixture) -> F,
) {
    block_on(Builder::new_current_thread().enable_all().build(), async {
        test(Fixture::new(Arc::new(make())).await).await;
    });
}

fn block_on(runtime: std::io::Result<Runtime>, test: impl Future<Output = ()>) {
    let runtime = runtime.expect("a runtime starts");
    let outcome = runtime.block_on(async { tokio::time::timeout(CASE_LIMIT, test).await });
    assert!(outcome.is_ok(), "the case hung for {CASE_LIMIT:?}");
}

/// One case of the list, behind one type: it is compiled here, once, and not again for every data source.
struct Case {
    name: &'static str,
    is_parallel: bool,
    run: fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! table {
    ([] $($runner:ident $group:ident { $($case:ident),* $(,)? })*) => {
        &[$($(Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            is_parallel: table!(@ $runner),
            run: |fixture| Box::pin(crate::cases::$group::$case(fixture)),
        }),*),*]
    };
    (@ run_single) => { false };
    (@ run_parallel) => { true };
}

const CASES: &[Case] = crate::__for_each_case!([table][]);

/// Runs the case with this name (`group::case`) on the harness that `make` makes, unless the harness skips it.
///
/// # Panics
/// If the case fails, or there is none of this name.
pub fn run_case(name: &str, make: &mut dyn FnMut() -> Arc<dyn Harness>) {
    let case = CASES.iter().find(|case| case.name == name);
    let Some(case) = case else { panic!("there is no case {name}") };
    run(case, make());
}

fn run(case: &Case, harness: Arc<dyn Harness>) {
    if let Some(reason) = harness.skip() {
        #[allow(clippy::print_stderr, reason = "a case that does not run says so")]
        {
            eprintln!("SKIPPED {}: {reason}", case.name);
        }
        return;
    }
    let mut builder =
        if case.is_parallel { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    block_on(builder.worker_threads(4).enable_all().build(), async {
        (case.run)(Fixture::new(harness).await).await;
    });
}

/// Runs every case on a storage of its own and reports each by name (`group::case`), with the message of its
/// failure.
pub async fn run_all<H: Harness>(make: impl Fn() -> H) -> Vec<(&'static str, Result<(), String>)> {
    let mut results = Vec::with_capacity(CASES.len());
    for case in CASES {
        let harness: Arc<dyn Harness> = Arc::new(make());
        results.push((case.name, on_own_thread(move || run(case, harness)).await));
    }
    results
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
