//! The property test is a test only if it can fail: each deliberate bug is found within a few cases.

use simulation::convergence::{Mutation, find, run_cases};
use simulation::pace::{Budget, Pace};

/// In so many cases every mutant is found.
const CASES: u64 = 300;

#[test]
fn every_mutant_is_found() {
    for mutation in Mutation::ALL {
        let found = find(1, CASES, mutation);
        let Some(case) = found else { panic!("{mutation:?} is not found in {CASES} cases") };
        println!("{mutation:?}: found by case {case}");
    }
}

#[test]
fn a_sound_system_is_not_suspected() {
    let pace = Pace::begin(Budget::Count(CASES), Vec::new());
    assert_eq!(run_cases(1, &pace, 0).map(|_| ()), Ok(()));
}
