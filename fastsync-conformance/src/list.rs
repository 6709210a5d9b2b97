//! The one list of cases.

/// Calls a macro with every case: `runner group { case, ... }`. The tests and [`run_all`](crate::run_all) are
/// made from it.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ([$($callback:tt)*] [$($argument:tt)*]) => {
        $($callback)* ! {
            [$($argument)*]
            run_single prepare {
                same_types_again_change_nothing,
                a_new_type_is_added,
                new_fields_are_null_or_zero,
                fields_in_another_order_keep_their_values,
                types_not_named_keep_their_records,
                contradictions_are_refused_and_named,
                types_that_differ_in_case_are_refused,
                unknown_types_are_refused_everywhere,
            }
            run_single get {
                records_come_in_the_order_of_ids,
                absent_ids_are_left_out,
                only_this_zone_and_type_are_found,
                tombstones_are_included,
                thousands_of_ids_are_found,
            }
            run_single identity {
                object_ids_are_bytes,
                expectations_are_of_exactly_this_id,
                zones_are_bytes,
                one_id_in_two_zones_is_two_records,
                one_id_in_two_types_is_two_records,
                records_in_a_zone_of_the_other_kind_are_refused,
            }
            run_single query {
                comparisons_select,
                text_compares_by_bytes,
                null_equals_nothing,
                is_null_selects_only_null,
                in_selects_any_of_the_values,
                text_searches_are_literal,
                conditions_combine,
                order_breaks_ties_by_id,
                offset_and_limit_cut,
                count_ignores_order_offset_and_limit,
                the_id_can_be_queried,
                every_kind_can_be_compared,
                only_live_records_of_the_zone_are_found,
                queries_that_do_not_fit_are_refused,
            }
            run_single commit {
                records_are_stored_as_they_are,
                a_plain_write_is_not_pending,
                put_replaces_the_whole_record,
                tombstones_leave_queries_and_stay_in_the_history,
                a_deleted_id_can_live_again,
                clears_writes_and_state_come_together,
                a_key_written_twice_is_refused,
                bodies_that_do_not_fit_are_refused,
                positions_count_up_in_each_zone_written,
                commits_without_position_take_none,
                a_large_commit_is_stored_whole,
            }
            run_single expectations {
                each_expectation_holds_where_it_says,
                one_revision_is_replaced_once,
                a_failed_write_changes_nothing,
                a_failed_state_expectation_changes_nothing,
                conflicts_are_named_up_to_the_limit,
                skipped_writes_are_left_out_and_named,
                an_abort_outweighs_skips,
                expectations_see_the_state_before_the_clears,
            }
            run_single duplicates {
                the_same_session_gives_the_first_receipt,
                a_duplicate_changes_nothing,
                a_local_edit_is_a_duplicate_too,
                a_conflict_does_not_use_up_the_session,
            }
            run_single state {
                entries_are_set_replaced_and_removed,
                entries_can_be_expected,
                entries_are_listed_by_prefix,
                keys_are_bytes,
                keys_have_a_length_limit,
                values_may_be_large,
            }
            run_single turn {
                a_state_entry_is_compared_when_the_turn_comes,
                a_commit_in_turn_does_not_trust_the_one_before,
            }
            run_single changes {
                an_untouched_zone_is_empty,
                each_record_appears_once_at_its_last_position,
                a_write_without_position_does_not_move_a_record,
                tombstones_take_the_place_of_their_object,
                records_come_by_position_type_and_id,
                the_order_of_types_never_changes,
                zones_have_histories_of_their_own,
                other_types_are_passed_over,
                the_head_is_the_newest_session,
                tags_keep_all_their_bits,
            }
            run_single paging {
                every_cut_gives_the_same_records,
                every_cut_of_some_types_gives_the_same_records,
                a_full_last_page_is_caught_up,
                a_record_larger_than_the_limit_comes_alone,
                a_record_written_meanwhile_turns_up_again,
                the_rest_is_counted_if_asked_for,
            }
            run_single skip_own {
                own_pushes_up_to_the_number_are_passed_over,
                own_records_that_others_rewrote_are_delivered,
                only_own_records_left_is_caught_up,
            }
            run_single load {
                a_load_gives_everything_once_however_pages_are_cut,
                what_is_committed_during_a_load_follows,
                a_load_passes_other_types_over,
                a_load_of_an_untouched_zone_is_empty,
                a_load_starts_over_when_what_it_gave_was_purged,
                a_load_of_another_history_must_reset,
            }
            run_single reset {
                a_point_beyond_the_head_must_reset,
                a_point_of_another_history_must_reset,
                a_point_before_the_horizon_must_reset,
                a_point_inside_the_session_at_the_horizon_must_reset,
                the_beginning_is_never_before_the_horizon,
                a_reader_with_own_records_begins_before_the_horizon,
                a_reading_from_the_beginning_goes_on_below_the_horizon,
                purging_removes_old_tombstones_only,
                a_purged_id_is_absent,
                the_horizon_moves_up_to_the_head_only,
                a_point_is_found_by_its_position,
            }
            run_single pending {
                edits_are_numbered_upwards,
                an_edit_can_keep_its_change,
                edits_come_in_the_order_of_their_commits,
                edits_are_read_in_pages,
                local_deletions_wait_too,
                an_acknowledged_edit_is_done,
                an_edit_since_stays_pending_on_the_new_base,
                another_life_keeps_its_own_base,
                many_are_acknowledged_as_exactly_as_one,
                acknowledging_what_is_not_there_does_nothing,
                a_plain_write_ends_an_edit,
                an_expected_change_notices_a_newer_edit,
            }
            run_single staging {
                staged_writes_are_not_seen,
                staged_batches_are_committed_as_one,
                a_batch_staged_again_stays_the_first,
                the_later_batch_wins,
                only_the_last_staged_write_of_a_key_counts,
                overrides_replace_staged_writes,
                batches_go_when_they_are_applied,
                staged_batches_can_be_dropped,
                every_write_can_be_staged,
                staged_bodies_that_do_not_fit_are_refused,
            }
            run_single clears {
                cleared_records_leave_nothing,
                other_types_and_zones_stay,
                newer_edits_stay,
                a_set_is_swapped_in_one_commit,
            }
            run_single sessions {
                a_session_says_who_when_what_and_how_much,
                every_commit_is_a_session,
                a_zones_sessions_come_in_commit_order,
                the_trail_outlives_the_records,
                authors_are_kept_as_they_are,
            }
            run_single values {
                whole_numbers_are_exact,
                reals_are_exact,
                reals_are_brought_into_their_stored_form,
                text_stays_text,
                large_values_fit,
                bytes_are_exact,
                json_keeps_its_text,
                other_kinds_are_exact,
                null_is_not_empty,
                staged_values_are_exact,
            }
            run_single constraints {
                a_refused_write_is_a_conflict,
                parents_are_written_first_and_deleted_last,
            }
            run_single durability {
                everything_is_there_after_a_restart,
                the_history_goes_on_after_a_restart,
                a_session_is_a_duplicate_after_a_restart,
                staged_batches_are_there_after_a_restart,
                changes_go_on_after_a_restart,
                the_horizon_stays_after_a_restart,
                a_second_handle_sees_what_the_first_wrote,
            }
            run_single cancellation {
                an_abandoned_commit_is_whole_or_absent,
                abandoned_calls_leave_a_working_storage,
            }
            run_single blocking {
                a_timer_ticks_during_a_large_commit,
            }
            run_parallel concurrency {
                no_update_of_a_contended_record_is_lost,
                an_absent_record_is_created_once,
                a_session_committed_at_once_is_applied_once,
                readers_miss_nothing_while_others_commit,
                no_page_holds_part_of_a_session,
                edits_at_once_get_numbers_of_their_own,
                a_contended_state_entry_changes_hands_once,
            }
        }
    };
}

/// Makes one `#[test]` per case, in a module `conformance` (or of the name given first). The expression makes
/// the harness and is evaluated once per test.
#[macro_export]
macro_rules! conformance_tests {
    ($module:ident, $make:expr $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::__for_each_case!([$crate::__tests][$make]);
        }
    };
    ($make:expr $(,)?) => {
        $crate::conformance_tests!(conformance, $make);
    };
}

/// The tests of [`conformance_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$make:expr] $($runner:ident $group:ident $cases:tt)*) => {
        $($crate::__test_group!([$make] $runner $group $cases);)*
    };
}

/// One group of [`__tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __test_group {
    ([$make:expr] $runner:ident $group:ident { $($case:ident),* $(,)? }) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::run_case(
                        concat!(stringify!($group), "::", stringify!($case)),
                        &mut || ::std::sync::Arc::new($make),
                    );
                }
            )*
        }
    };
}
