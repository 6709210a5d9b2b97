//! The property test is a test only if it can fail: each deliberate bug is found within a few cases.

use simulation::convergence::{Mutation, find, run_cases};
use simulation::model::Rule;
use simulation::pace::{Budget, Pace};

/// In so many cases every mutant is found.
const CASES: u64 = 300;

#[test]
fn every_mutant_is_found() {
    for mutation in Mutation::ALL {
        let found = find(1, CASES, mutation, None);
        let Some(case) = found else { panic!("{mutation:?} is not found in {CASES} cases") };
        println!("{mutation:?}: found by case {case}");
    }
}

/// Under a rule that drops edits too, one that vanishes without a word to its device is found.
#[test]
fn a_lost_edit_is_found_under_every_rule() {
    for rule in Rule::ALL {
        for mutation in [Mutation::OverwritePending, Mutation::LoseUpdates] {
            let found = find(1, CASES, mutation, Some(rule));
            let Some(case) = found else {
                panic!("{mutation:?} is not found under {rule:?} in {CASES} cases")
            };
            println!("{mutation:?} under {rule:?}: found by case {case}");
        }
    }
}

#[test]
fn a_sound_system_is_not_suspected() {
    let pace = Pace::begin(Budget::Count(CASES), Vec::new());
    assert_eq!(run_cases(1, &pace, 0).map(|_| ()), Ok(()));
}
