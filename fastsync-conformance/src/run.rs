//! Running cases: each on a storage, a runtime and a thread of its own, and for a limited time.

use std::any::Any;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::fixture::Fixture;
use crate::harness::Harness;
use crate::steps::Steps;

/// A case of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    name: &'static str,
    sentence: &'static str,
    is_parallel: bool,
    /// Behind one type: it is compiled here, once, and not again for every data source.
    run: fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The data source does what the case asks for.
    Passed,
    /// It could not run, for this reason.
    Skipped(String),
    /// It failed: what it checks, what was done and what was found, in words.
    Failed(String),
}

macro_rules! table {
    ([] $($runner:ident $group:ident { $($case:ident: $sentence:literal),* $(,)? })*) => {
        &[$($(Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            sentence: $sentence,
            is_parallel: table!(@ $runner),
            run: |fixture| Box::pin(crate::cases::$group::$case(fixture)),
        }),*),*]
    };
    (@ run_single) => { false };
    (@ run_parallel) => { true };
}

const CASES: &[Case] = crate::__for_each_case!([table][]);

/// Every case of the suite, by group.
#[must_use]
pub fn cases() -> &'static [Case] {
    CASES
}

impl Case {
    /// Its name: `group::case`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The sentence of the contract that it checks.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.sentence
    }

    /// Runs it on a storage of its own. It blocks, for at most a little longer than [`Harness::time_limit`].
    #[must_use]
    pub fn run(&self, harness: Arc<dyn Harness>) -> Outcome {
        if let Some(reason) = harness.skip() {
            return Outcome::Skipped(reason);
        }
        let (case, limit) = (*self, harness.time_limit());
        let title = Title { name: self.name, sentence: self.sentence };
        attempt(title, limit, move |steps| case.block_on(limit, harness, steps))
    }

    /// Whether it ended in time.
    fn block_on(&self, limit: Duration, harness: Arc<dyn Harness>, steps: Arc<Steps>) -> bool {
        let mut builder =
            if self.is_parallel { Builder::new_multi_thread() } else { Builder::new_current_thread() };
        let run = self.run;
        block_on(builder.worker_threads(4).enable_all().build(), limit, async move {
            run(Fixture::noted(harness, steps).await).await;
        })
    }
}

/// What a case is called, and what it checks.
#[derive(Clone, Copy)]
pub(crate) struct Title {
    pub(crate) name: &'static str,
    pub(crate) sentence: &'static str,
}

impl Title {
    fn report(self, steps: &Steps, found: &str) -> String {
        let mut report = format!("case {} failed\n  the contract says: {}\n", self.name, self.sentence);
        let done = steps.to_string();
        if !done.is_empty() {
            let _ = write!(report, "  what was done, at last:\n{done}");
        }
        let _ = write!(report, "  what was found: {found}");
        report
    }
}

/// Runs a body on a thread of its own. It says whether it ended in time, and must end soon after.
pub(crate) fn attempt(
    title: Title,
    limit: Duration,
    body: impl FnOnce(Arc<Steps>) -> bool + Send + 'static,
) -> Outcome {
    let steps = Arc::<Steps>::default();
    let (sender, receiver) = mpsc::channel();
    let of_case = Arc::clone(&steps);
    let body = move || {
        // If nobody waits any more, the case was over time.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(|| body(of_case))));
    };
    if let Err(error) = thread::Builder::new().name(title.name.to_owned()).spawn(body) {
        return Outcome::Failed(title.report(&steps, &format!("no thread starts: {error}")));
    }
    // The runtime ends what waits. What blocks its thread is left alone, a little later.
    let too_long = format!("it took longer than {limit:?}");
    let found = match receiver.recv_timeout(limit.saturating_add(limit / 4)) {
        Ok(Ok(true)) => return steps.skipped().map_or(Outcome::Passed, Outcome::Skipped),
        Ok(Ok(false)) => too_long,
        Ok(Err(panic)) => message(&*panic),
        Err(RecvTimeoutError::Timeout) => format!("{too_long}, and blocks its thread"),
        Err(RecvTimeoutError::Disconnected) => "it ended without an outcome".to_owned(),
    };
    Outcome::Failed(title.report(&steps, &found))
}

/// Runs a future on a runtime of one thread. Whether it ended in time.
pub(crate) fn block_on_one_thread(limit: Duration, test: impl Future<Output = ()>) -> bool {
    block_on(Builder::new_current_thread().enable_all().build(), limit, test)
}

fn block_on(runtime: std::io::Result<Runtime>, limit: Duration, test: impl Future<Output = ()>) -> bool {
    let runtime = runtime.expect("a runtime starts");
    runtime.block_on(async { tokio::time::timeout(limit, test).await }).is_ok()
}

/// Runs a test of your own on a runtime of one thread, as the cases run.
///
/// # Panics
/// If the test fails, or takes longer than [`Harness::time_limit`].
pub fn run_single<H: Harness, F: Future<Output = ()>>(
    make: impl FnOnce() -> H,
    test: impl FnOnce(Fixture) -> F,
) {
    let harness = Arc::new(make());
    let limit = harness.time_limit();
    let is_over = block_on_one_thread(limit, async {
        test(Fixture::new(harness).await).await;
    });
    assert!(is_over, "the test took longer than {limit:?}");
}

/// Runs the case with this name (`group::case`) on the harness that `make` makes. A case that is skipped says so on
/// the standard error stream.
///
/// # Panics
/// If the case fails, with a report of it, or there is none of this name.
pub fn run_case(name: &str, make: &mut dyn FnMut() -> Arc<dyn Harness>) {
    let case = CASES.iter().find(|case| case.name == name);
    let Some(case) = case else { panic!("there is no case {name}") };
    conclude(name, case.run(make()));
}

/// Passes, says that it was skipped, or panics with the report.
pub(crate) fn conclude(name: &str, outcome: Outcome) {
    match outcome {
        Outcome::Passed => {}
        Outcome::Skipped(reason) => {
            // Not by a macro: a test's output is not shown if it passes. If nobody can read it, it is not said.
            let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {reason}");
        }
        Outcome::Failed(report) => panic!("{report}"),
    }
}

/// Runs every case on a storage of its own, one after the other, and tells what became of each, by name
/// (`group::case`).
pub async fn run_all<H: Harness>(make: impl Fn() -> H) -> Vec<(&'static str, Outcome)> {
    let mut outcomes = Vec::with_capacity(CASES.len());
    for case in CASES {
        let harness: Arc<dyn Harness> = Arc::new(make());
        // A thread of its own, so that a caller on a runtime may wait for it.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        thread::spawn(move || sender.send(case.run(harness)));
        let lost = |_| Outcome::Failed(format!("case {} ended without an outcome", case.name));
        outcomes.push((case.name, receiver.await.unwrap_or_else(lost)));
    }
    outcomes
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
