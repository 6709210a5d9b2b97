//! The model-based property test: random worlds, random histories, and at the end everyone is equal.

mod case;
mod check;
mod edit;
mod ledger;
mod link;
mod mutation;
mod observer;
mod steps;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub use self::case::{Call, Case, ClockSetup, Edit, How, Setup, Step, cases};
pub use self::mutation::Mutation;
use self::world::World;
use crate::counts::Counts;
use crate::on_disk::OnDisk;
use crate::random::Seeded;
use fastsync_core::Random as _;

/// What must have happened in a run of 1,000 cases.
pub const PER_THOUSAND: &[(&str, u64)] = &[
    ("answers lost", 1_000),
    ("requests lost", 1_000),
    ("requests that arrived twice", 500),
    ("old pushes that arrived again", 1_000),
    ("edits during a call", 1_000),
    ("edits of the server during a call", 500),
    ("pushes of others during a call", 500),
    ("conflicts settled by a push", 2_000),
    ("conflicts settled by a pull", 1_000),
    ("pulls that had to start over", 200),
    ("tombstones purged", 300),
    ("deletions committed by the server", 1_000),
    ("edits refused", 200),
    ("hard resets", 500),
    ("hard deletes", 200),
    ("restarts of a client", 1_000),
    ("restarts of the server", 500),
    ("sessions over two types", 2_000),
    ("pages staged", 5_000),
    ("edits accounted for", 3_000),
    ("caught-up clients compared", 10_000),
];

/// Runs one case; an error says what does not hold.
///
/// # Errors
/// The violations, one per line.
///
/// # Panics
/// If no runtime can be made.
pub fn run_case(case: &Case, mutation: Option<Mutation>) -> Result<Counts, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let world = World::new(case.setup.clone(), mutation).await.map_err(|error| error.to_string())?;
        for (at, step) in case.steps.iter().enumerate() {
            steps::step(&world, step).await;
            verdict(&world, &format!("step {at}: {step:?}"))?;
        }
        check::end(&world).await;
        verdict(&world, "the end")?;
        let mut counts = world.ledger.facts().counts.clone();
        counts.note("cases");
        counts.add("steps", case.steps.len() as u64);
        counts.add("cases on disk", u64::from(world.is_on_disk()));
        let on_sled = [case.setup.server, case.setup.clients].contains(&Some(OnDisk::Sled));
        counts.add("cases with sled", u64::from(on_sled));
        Ok(counts)
    })
}

fn verdict(world: &World, at: &str) -> Result<(), String> {
    let facts = world.ledger.facts();
    if facts.violations.is_empty() {
        return Ok(());
    }
    Err(format!("at {at}\n{}", facts.violations.join("\n")))
}

/// Looks for a deliberate bug in at most so many random cases; gives the number of the case that shows it.
#[must_use]
pub fn find(seed: u64, cases: u32, mutation: Mutation) -> Option<u32> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let run = AtomicU32::new(0);
    let outcome = runner.run(&case::cases(0), |case| {
        run.fetch_add(1, Ordering::SeqCst);
        run_case(&case, Some(mutation)).map(|_| ()).map_err(TestCaseError::fail)
    });
    outcome.is_err().then(|| run.load(Ordering::SeqCst))
}

fn rng(seed: u64) -> TestRng {
    let bits = Seeded::new(seed);
    let bytes: Vec<u8> = (0..4).flat_map(|_| bits.next_u64().to_le_bytes()).collect();
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Runs so many random cases derived from a seed, shrinks the first that fails, and counts what happened.
///
/// # Errors
/// What does not hold, with the smallest case found for it.
///
/// # Panics
/// If another thread panicked while it counted.
pub fn run_cases(
    seed: u64,
    cases: u32,
    disk_percent: u32,
    mutation: Option<Mutation>,
) -> Result<Counts, String> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_096, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let counts = Mutex::new(Counts::default());
    let outcome = runner.run(&case::cases(disk_percent), |case| match run_case(&case, mutation) {
        Ok(counted) => {
            counts.lock().expect("counts").merge(&counted);
            Ok(())
        }
        Err(message) => Err(TestCaseError::fail(message)),
    });
    match outcome {
        Ok(()) => Ok(counts.into_inner().expect("counts")),
        Err(TestError::Fail(reason, case)) => Err(format!("{reason}\nthe smallest case found:\n{case:#?}")),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}
