//! Devices with several pushes under way at once, on every engine that is here.

use simulation::counts::Counts;
use simulation::following::{MINIMUM, run};
use simulation::storage::StorageKind;

/// What is too little with some seeds by chance is enough with so many.
const MOST_SEEDS: u64 = 30;

fn kinds(what: &str) -> impl Iterator<Item = StorageKind> {
    StorageKind::ALL.into_iter().filter(move |kind| match kind.skip(what) {
        None => true,
        Some(is_required) => {
            assert!(!is_required, "{} is required", kind.name());
            false
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_under_way_are_stored_once_and_in_order() {
    for kind in kinds("several pushes under way") {
        let mut all = Counts::default();
        // Seed after seed until enough has happened, which three of them are mostly enough for.
        for seed in 0..MOST_SEEDS {
            if seed >= 3 && all.missing(MINIMUM).is_empty() {
                break;
            }
            let counts = run(kind, seed, false).await;
            all.merge(
                &counts.unwrap_or_else(|problem| panic!("{} with seed {seed}: {problem}", kind.name())),
            );
        }
        let missing = all.missing(MINIMUM);
        assert!(missing.is_empty(), "{}: {missing:?}\n{all}", kind.name());
    }
}

/// The run can fail: a server that does not compare what it stored of a device stores a push twice, or too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_compares_nothing_is_caught() {
    for kind in kinds("a careless server") {
        let mut caught = false;
        for seed in 0..MOST_SEEDS {
            caught = run(kind, seed, true).await.is_err();
            if caught {
                break;
            }
        }
        assert!(caught, "nothing catches a careless server on {}", kind.name());
    }
}
