//! The model-based property test: random worlds, random histories, and at the end everyone is equal.

mod case;
mod check;
mod edit;
mod ledger;
mod link;
mod mutation;
mod observer;
mod steps;
mod versions;
mod world;

use std::sync::Mutex;
use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub use self::case::{Call, Case, ClockSetup, Edit, How, Setup, Step, Upgrade, cases};
pub use self::mutation::Mutation;
use self::world::World;
use crate::counts::Counts;
use crate::pace::Pace;
use crate::random::Seeded;
use crate::report::Failure;
use crate::storage::{OnDisk, StorageKind};
use fastsync_core::Random as _;

/// What must have happened in a run of so many cases.
#[must_use]
pub fn minimum(cases: u64) -> Vec<(&'static str, u64)> {
    PER_THOUSAND.iter().map(|(what, least)| (*what, least * cases / 1_000)).collect()
}

const PER_THOUSAND: &[(&str, u64)] = &[
    ("answers lost", 1_000),
    ("calls refused", 500),
    ("requests lost", 1_000),
    ("requests that arrived twice", 500),
    ("old pushes that arrived again", 1_000),
    ("pushes refused on the way", 100),
    ("pushes withdrawn", 100),
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
    ("upgrades of a client", 300),
    ("upgrades of the server", 200),
    ("upgrades of the server during a call", 20),
    ("protocol upgrades of a client", 150),
    ("protocol upgrades of the server", 100),
    ("protocol upgrades of the server during a call", 20),
    ("requests refused for their version", 50),
    ("pushes in the later protocol", 500),
    ("pulls that left a type waiting", 100),
    ("sessions over two types", 2_000),
    ("pages staged", 5_000),
    ("edits accounted for", 3_000),
    ("caught-up clients compared", 10_000),
];

/// What cases are counted under, by the kind of the server's storage.
const SERVERS: [&str; 6] = [
    "servers on SQLite",
    "servers on redb",
    "servers on sled",
    "servers on MySQL",
    "servers on PostgreSQL",
    "servers on MongoDB",
];

/// How long a case may take: one on a database takes seconds.
const MOST: Duration = Duration::from_secs(300);

/// Runs one case; an error says what does not hold.
///
/// # Errors
/// The violations, one per line.
///
/// # Panics
/// If no runtime can be made.
pub fn run_case(case: &Case, mutation: Option<Mutation>) -> Result<Counts, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = async { tokio::time::timeout(MOST, whole_case(case, mutation)).await };
    runtime.block_on(ended).unwrap_or_else(|_| Err(format!("the case does not end within {MOST:?}")))
}

async fn whole_case(case: &Case, mutation: Option<Mutation>) -> Result<Counts, String> {
    let world = World::new(case.setup.clone(), mutation).await.map_err(|error| error.to_string())?;
    for (at, step) in case.steps.iter().enumerate() {
        steps::step(&world, step).await;
        world.ledger.landed().await;
        verdict(&world, &format!("step {at}: {step:?}"))?;
    }
    check::end(&world).await;
    verdict(&world, "the end")?;
    let mut counts = world.ledger.facts().counts.clone();
    counts.note("cases");
    counts.add("steps", case.steps.len() as u64);
    for (server, what) in StorageKind::ALL.into_iter().zip(SERVERS) {
        counts.add(what, u64::from(case.setup.server == Some(server)));
    }
    for (clients, what) in
        [(OnDisk::Redb, "cases with clients on redb"), (OnDisk::Sled, "cases with clients on sled")]
    {
        counts.add(what, u64::from(case.setup.clients == Some(clients)));
    }
    world.remove().await?;
    Ok(counts)
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
pub fn find(seed: u64, cases: u64, mutation: Mutation) -> Option<u64> {
    (0..cases).find(|case| run_numbered(seed, *case, 0, 0, Some(mutation)).is_err())
}

/// Runs the case of this number, which derives from the seed and the number alone; a failure is shrunk.
///
/// # Errors
/// What does not hold, with the smallest case found for it.
///
/// # Panics
/// If another thread panicked while it counted.
pub fn run_numbered(
    seed: u64,
    case: u64,
    disk_percent: u32,
    shrinks: u32,
    mutation: Option<Mutation>,
) -> Result<Counts, String> {
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: shrinks, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed, case));
    let counts = Mutex::new(Counts::default());
    let outcome = runner.run(&cases(disk_percent), |case| match run_case(&case, mutation) {
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

fn rng(seed: u64, case: u64) -> TestRng {
    let bits = Seeded::stream(seed, case);
    let bytes: Vec<u8> = (0..4).flat_map(|_| bits.next_u64().to_le_bytes()).collect();
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// How often a failure is tried to be made smaller.
pub const SHRINKS: u32 = 4_096;

/// On how many threads cases are run: each case is a world of its own.
const THREADS: usize = 2;

/// Runs random cases derived from a seed, up to the first that fails, and counts what happened.
///
/// # Errors
/// What does not hold, and in which case.
///
/// # Panics
/// If another thread panicked while it counted.
pub fn run_cases(seed: u64, pace: &Pace, disk_percent: u32) -> Result<Counts, Failure> {
    let state = Mutex::new((0_u64, Counts::default(), None::<Failure>));
    let worker = || {
        loop {
            let case = {
                let mut state = state.lock().expect("what was run");
                let (begun, counts, failure) = &mut *state;
                if failure.is_some() || !pace.goes_on(*begun, counts) {
                    return;
                }
                *begun += 1;
                *begun - 1
            };
            let outcome = run_numbered(seed, case, disk_percent, SHRINKS, None);
            let mut state = state.lock().expect("what was run");
            match outcome {
                Ok(counted) => state.1.merge(&counted),
                Err(problem) => {
                    state.2.get_or_insert(Failure::of(case, problem));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(worker);
        }
    });
    let (_, counts, failure) = state.into_inner().expect("what was run");
    failure.map_or(Ok(counts), Err)
}
