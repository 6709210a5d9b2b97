//! Proof that the cases can fail: data sources with one deliberate bug each, and the cases that catch it.

mod broken;

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::{Harness, run_all};
use fastsync_core::{MemoryDataSource, SyncableDataSource};

use broken::{Broken, Bug};

struct BrokenHarness {
    storage: MemoryDataSource,
    bug: Arc<Bug>,
}

#[async_trait]
impl Harness for BrokenHarness {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(Broken::new(self.storage.clone(), self.bug.clone()))
    }
}

/// Runs the suite on a bug; gives the names of the cases that failed.
fn caught_by(bug: fn() -> Bug) -> Vec<&'static str> {
    let make = || BrokenHarness { storage: MemoryDataSource::new(), bug: Arc::new(bug()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let results = runtime.block_on(run_all(make));
    results.into_iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name).collect()
}

#[track_caller]
fn assert_caught(bug: fn() -> Bug, expected: &[&str]) {
    let caught = caught_by(bug);
    for name in expected {
        assert!(caught.contains(name), "{name} does not catch {:?}; caught by {caught:?}", bug());
    }
    assert!(!caught.is_empty(), "nothing catches {:?}", bug());
}

#[test]
fn a_data_source_without_a_bug_passes() {
    assert_eq!(caught_by(|| Bug::None), Vec::<&str>::new());
}

macro_rules! mutants {
    ($($name:ident: $bug:expr => [$($case:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            assert_caught(|| $bug, &[$($case),*]);
        }
    )*};
}

mutants! {
    lost_update: Bug::LostUpdate => [
        "concurrency::no_update_of_a_contended_record_is_lost",
        "concurrency::an_absent_record_is_created_once",
    ];
    position_before_visibility: Bug::PositionBeforeVisibility(Default::default()) => [
        "concurrency::readers_miss_nothing_while_others_commit",
    ];
    one_write_at_a_time: Bug::OneWriteAtATime => [
        "expectations::a_failed_write_changes_nothing",
        "cancellation::an_abandoned_commit_is_whole_or_absent",
        "concurrency::no_page_holds_part_of_a_session",
    ];
    stamped_before_written: Bug::StampedBeforeWritten => [
        "concurrency::readers_miss_nothing_while_others_commit",
    ];
    ids_fold_case: Bug::IdsFoldCase => [
        "identity::object_ids_are_bytes",
        "identity::expectations_are_of_exactly_this_id",
    ];
    zones_fold_case: Bug::ZonesFoldCase => ["identity::zones_are_bytes"];
    duplicates_are_applied: Bug::DuplicatesAreApplied => [
        "duplicates::the_same_session_gives_the_first_receipt",
        "concurrency::a_session_committed_at_once_is_applied_once",
        "durability::a_session_is_a_duplicate_after_a_restart",
    ];
    duplicates_lose_their_receipt: Bug::DuplicatesLoseTheirReceipt => [
        "duplicates::the_same_session_gives_the_first_receipt",
    ];
    state_apart_from_records: Bug::StateApartFromRecords => [
        "expectations::a_failed_state_expectation_changes_nothing",
        "cancellation::an_abandoned_commit_is_whole_or_absent",
        "concurrency::a_contended_state_entry_changes_hands_once",
    ];
    turns_are_not_waited_for: Bug::TurnsAreNotWaitedFor => [
        "turn::a_state_entry_is_compared_when_the_turn_comes",
    ];
    pages_skip_ties: Bug::PagesSkipTies => ["paging::every_cut_gives_the_same_records"];
    loads_end_at_the_head: Bug::LoadsEndAtTheHead => ["load::what_is_committed_during_a_load_follows"];
    pages_repeat: Bug::PagesRepeat => ["paging::every_cut_gives_the_same_records"];
    short_page_is_the_last: Bug::ShortPageIsTheLast => ["paging::every_cut_gives_the_same_records"];
    full_page_is_never_the_last: Bug::FullPageIsNeverTheLast => ["paging::a_full_last_page_is_caught_up"];
    acknowledge_clears_newer_edits: Bug::AcknowledgeClearsNewerEdits => [
        "pending::an_edit_since_stays_pending_on_the_new_base",
    ];
    tombstones_are_forgotten: Bug::TombstonesAreForgotten => [
        "get::tombstones_are_included",
        "changes::tombstones_take_the_place_of_their_object",
        "pending::local_deletions_wait_too",
    ];
    horizon_is_ignored: Bug::HorizonIsIgnored => [
        "reset::a_point_before_the_horizon_must_reset",
        "durability::the_horizon_stays_after_a_restart",
    ];
    tags_are_not_compared: Bug::TagsAreNotCompared => ["reset::a_point_of_another_history_must_reset"];
    points_lag_behind: Bug::PointsLagBehind => ["reset::a_point_is_found_by_its_position"];
    later_staging_wins: Bug::LaterStagingWins => ["staging::a_batch_staged_again_stays_the_first"];
    skips_are_silent: Bug::SkipsAreSilent => ["expectations::skipped_writes_are_left_out_and_named"];
    own_pushes_by_device_only: Bug::OwnPushesByDeviceOnly => [
        "skip_own::own_pushes_up_to_the_number_are_passed_over",
    ];
    commits_block_the_thread: Bug::CommitsBlockTheThread => ["blocking::a_timer_ticks_during_a_large_commit"];
    numbers_become_reals: Bug::NumbersBecomeReals => ["values::whole_numbers_are_exact"];
    text_is_trimmed: Bug::TextIsTrimmed => ["values::text_stays_text"];
}
