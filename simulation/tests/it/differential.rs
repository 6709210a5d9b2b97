//! A short differential run does enough of everything, whatever its seed: else the whole check fails by chance.

use simulation::differential::{Subject, minimum, run};

const OPERATIONS: u64 = 2_000;

#[tokio::test]
async fn a_short_run_does_enough_whatever_its_seed() {
    for seed in 0..50 {
        let counts =
            run(seed, OPERATIONS, vec![Subject::memory()]).await.expect("one data source agrees with itself");
        let missing = counts.missing(&minimum(OPERATIONS));
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    }
}
