//! Upgrades on data sources that do not carry what is stored to the new type.

use fastsync_conformance::Outcome;
use fastsync_conformance::evolution::{Evolution, cases, pairs};
use fastsync_core::SyncableObject;

use super::{BrokenHarness, Bug};

/// The cases that find the bug.
fn found<Old: SyncableObject, New: SyncableObject>(bug: Bug) -> Vec<&'static str> {
    let fails = |name: &str| {
        let outcome = Evolution::<Old, New>::new(move || BrokenHarness::new(bug)).run(name);
        matches!(outcome, Outcome::Failed(_))
    };
    cases().iter().map(|case| case.name()).filter(|name| fails(name)).collect()
}

const READS: &str = "the_new_release_reads_what_the_old_one_stored";

#[test]
fn a_data_source_that_does_not_carry_values_over_is_found() {
    use pairs::*;
    for (bug, cases) in [
        (Bug::RenamesAreIgnored, found::<renamed::Old, renamed::New>(Bug::RenamesAreIgnored)),
        (Bug::DefaultsAreIgnored, found::<defaulted::Old, defaulted::New>(Bug::DefaultsAreIgnored)),
        (Bug::NullsStay, found::<required::Old, required::New>(Bug::NullsStay)),
        (Bug::KindsCannotChange, found::<widened::Old, widened::New>(Bug::KindsCannotChange)),
        (Bug::NullabilityCannotChange, found::<optional::Old, optional::New>(Bug::NullabilityCannotChange)),
        (Bug::PrepareClears, found::<everything::Old, everything::New>(Bug::PrepareClears)),
    ] {
        assert!(cases.contains(&READS), "{bug:?} is found by {cases:?} only");
    }
}

#[test]
fn the_main_cases_find_a_renamed_field_without_its_values() {
    let found = found::<pairs::renamed::Old, pairs::renamed::New>(Bug::RenamesAreIgnored);
    for case in [
        READS,
        "at_an_old_server_devices_of_both_releases_share_what_both_have",
        "a_device_that_is_upgraded_first_loses_no_edit",
        "a_server_that_is_upgraded_first_loses_no_edit",
        "a_push_without_an_answer_is_settled_after_both_are_upgraded",
    ] {
        assert!(found.contains(&case), "{case} does not find it, but {found:?}");
    }
}

#[test]
fn a_report_says_what_was_expected_and_what_was_found() {
    let evolution = Evolution::<pairs::renamed::Old, pairs::renamed::New>::new(|| {
        BrokenHarness::new(Bug::RenamesAreIgnored)
    });
    let Outcome::Failed(report) = evolution.run(READS) else { panic!("the bug is not found") };
    for part in
        ["with the old type -> done", "fields:   id (text, title)", "expected: [", "label 0", "found:    ["]
    {
        assert!(report.contains(part), "{part:?} is not in {report}");
    }
}

fn skipped<Old: SyncableObject, New: SyncableObject>() -> Vec<&'static str> {
    let is_skipped = |name: &str| match Evolution::<Old, New>::new(|| BrokenHarness::new(Bug::None)).run(name)
    {
        Outcome::Passed => false,
        Outcome::Skipped(_) => true,
        Outcome::Failed(report) => panic!("{report}"),
    };
    cases().iter().map(|case| case.name()).filter(|name| is_skipped(name)).collect()
}

#[test]
fn no_case_is_skipped_for_what_the_pairs_change() {
    use pairs::*;
    assert_eq!(skipped::<removed::Old, removed::New>(), [""; 0]);
    assert_eq!(skipped::<everything::Old, everything::New>(), [""; 0]);
    assert_eq!(skipped::<required::Old, required::New>(), [""; 0]);
    assert_eq!(skipped::<optional::Old, optional::New>(), [""; 0]);
    assert_eq!(skipped::<widened::Old, widened::New>(), [""; 0]);
}

#[test]
fn samples_of_the_user_are_used() {
    use pairs::widened::{New, Old};
    let old = |n| Old { id: format!("mine-{n}"), title: "t".into(), stars: 1, score: 1 };
    // The old type holds none of these.
    let new = |n| New { id: format!("mine-{n}"), title: "t".into(), stars: 1000, score: 1 };
    let evolution = || Evolution::new(|| BrokenHarness::new(Bug::None)).samples(old, new);
    assert_eq!(evolution().run(READS), Outcome::Passed);
    let outcome = evolution().run("a_server_that_is_upgraded_first_loses_no_edit");
    assert_eq!(outcome, Outcome::Skipped("the other release can hold 0 of 100 new samples".into()));
}
