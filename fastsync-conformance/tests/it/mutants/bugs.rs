//! Every bug, with the cases that catch it.

/// Makes the enum and the list of its values together, so that none is left out.
macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident: [$($case:literal),+ $(,)?];)+) => {
        /// What is wrong with a data source.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Bug {
            /// Nothing.
            None,
            $($(#[$doc])* $bug,)+
        }

        /// Each bug, and the cases that catch it.
        pub(crate) const BUGS: &[(Bug, &[&str])] = &[$((Bug::$bug, &[$($case),+])),+];
    };
}

bugs! {
    // prepare
    PrepareClears: ["prepare::same_types_again_change_nothing"];
    NewTypesAreIgnored: ["prepare::a_new_type_is_added"];
    NewFieldsAreNull: ["prepare::new_fields_are_null_or_zero"];
    DefaultsAreIgnored: ["prepare::new_fields_have_their_default", "prepare::nulls_become_the_default"];
    /// A default that changes is that of the records that are there, too.
    DefaultsChangeRecords: ["prepare::new_fields_have_their_default"];
    /// Text is empty, a UUID is all zeros.
    DefaultsAreMadeUp: [
        "prepare::new_fields_without_a_zero_need_a_default",
        "prepare::nulls_need_a_default",
    ];
    FieldsThatAreGoneAreForgotten: ["prepare::a_field_that_comes_back_is_as_it_was"];
    NullabilityCannotChange: ["prepare::a_field_may_become_nullable", "prepare::nulls_become_the_default"];
    RenamesAreIgnored: ["prepare::a_field_may_have_another_name"];
    NullsStay: ["prepare::nulls_become_the_default"];
    KindsCannotChange: ["kinds::a_whole_number_may_become_wider"];
    /// Every whole number has 64 bits.
    WidthsAreIgnored: [
        "kinds::a_whole_number_cannot_become_narrower",
        "kinds::whole_numbers_keep_to_their_width",
    ];
    IdsAreAnyText: ["kinds::ids_may_become_text", "kinds::ids_are_of_their_kind"];
    /// Decimal numbers are kept as they come, and ordered as text.
    DecimalsAreText: [
        "query::decimals_are_ordered_by_size",
        "kinds::decimals_have_one_form",
        "kinds::what_is_no_decimal_is_refused",
    ];
    /// Dates, times and UUIDs are kept as they come.
    DatesAreText: [
        "query::dates_and_times_are_ordered_by_time",
        "kinds::dates_and_times_have_one_form",
        "kinds::what_is_no_date_or_time_is_refused",
    ];
    /// A body is in the order of the fields as they were prepared first.
    FieldsKeepTheirFirstOrder: ["prepare::fields_in_another_order_keep_their_values"];
    PrepareForgetsOtherTypes: ["prepare::types_not_named_keep_their_records"];
    ContradictionsAreTaken: [
        "prepare::contradictions_are_refused_and_named",
        "prepare::types_that_differ_in_case_are_refused",
    ];
    TheLastOfTwoSchemasCounts: ["prepare::a_type_given_twice_is_refused"];
    OneContradictionIsNamed: ["prepare::contradictions_are_refused_and_named"];
    UnknownTypesAreEmpty: ["prepare::unknown_types_are_refused_everywhere"];

    // plan
    PlansForgetTypes: ["plan::a_plan_names_new_types"];
    PlansForgetFields: ["plan::a_plan_names_what_becomes_of_fields"];
    /// Another one may have prepared the types meanwhile.
    PlansAreOfTheirHandle: ["plan::a_plan_is_empty_once_types_are_prepared"];
    PlansGoByFieldsAlone: ["plan::another_version_or_default_is_planned"];
    PlansAreCarriedOut: ["plan::a_plan_changes_nothing"];
    PlansRefuseNothing: ["plan::a_plan_refuses_what_prepare_refuses"];

    // get and identity
    GetSortsById: ["get::records_come_in_the_order_of_ids"];
    AbsentIdsEndTheList: ["get::absent_ids_are_left_out"];
    OtherZonesAreFound: ["get::only_this_zone_and_type_are_found"];
    GetTakesAThousandIds: ["get::thousands_of_ids_are_found"];
    TheFirstZoneIsEnough: ["get::zones_are_those_with_records_of_the_type"];
    TombstonesAreForgotten: [
        "get::tombstones_are_included",
        "changes::tombstones_take_the_place_of_their_object",
        "pending::local_deletions_wait_too",
    ];
    IdsFoldCase: ["identity::object_ids_are_bytes", "identity::expectations_are_of_exactly_this_id"];
    ZonesFoldCase: ["identity::zones_are_bytes"];
    /// A deletion takes every object of that id with it.
    DeletionsGoByIdAlone: [
        "identity::one_id_in_two_zones_is_two_records",
        "identity::one_id_in_two_types_is_two_records",
    ];

    // find and count
    LessIncludesEqual: ["query::comparisons_select"];
    TextIsOrderedWithoutCase: ["query::text_compares_by_bytes"];
    /// As in SQL: a condition on null is neither true nor false.
    NegationsNeedAValue: ["query::null_equals_nothing"];
    EmptyTextIsNullInQueries: ["query::is_null_selects_only_null"];
    InTakesOneValue: ["query::in_selects_any_of_the_values"];
    SearchesArePatterns: ["query::text_searches_are_literal"];
    OrMeansAnd: ["query::conditions_combine"];
    TiesComeInAnyOrder: ["query::order_breaks_ties_by_id"];
    OffsetsAreIgnored: ["query::offset_and_limit_cut"];
    TotalsAreOfThePage: ["query::a_total_is_of_the_filter_alone", "pending::a_total_counts_all_that_wait"];
    IdSearchesFoldCase: ["query::the_id_can_be_queried"];
    /// Ids that are whole numbers are ordered by size.
    IdsAreNumbers: ["ordering::ids_of_every_kind_are_ordered_by_bytes"];
    /// As in a column that takes numbers.
    TextBecomesANumber: ["ordering::text_is_never_a_number"];
    RealsAreTheirOwnOrder: ["query::every_kind_can_be_compared"];
    QueriesReachOtherZones: ["query::only_live_records_of_the_zone_are_found"];
    BadQueriesFindNothing: ["query::queries_that_do_not_fit_are_refused"];

    // what a commit stores
    CountersOfTimesAreLost: ["commit::records_are_stored_as_they_are"];
    BroughtChangesArePending: ["commit::a_plain_write_is_not_pending"];
    /// A null leaves the value that is there.
    PutsMerge: ["commit::put_replaces_the_whole_record"];
    TombstonesNeedAnObject: ["commit::tombstones_leave_queries_and_stay_in_the_history"];
    DeadIdsStayDead: ["commit::a_deleted_id_can_live_again"];
    ClearsComeLast: [
        "commit::clears_writes_and_state_come_together",
        "clears::a_set_is_swapped_in_one_commit",
    ];
    ClearsComeFirst: ["expectations::expectations_see_the_state_before_the_clears"];
    LastWriteOfAKeyWins: ["commit::a_key_written_twice_is_refused"];
    OverridesMayRepeat: ["staging::a_key_twice_in_overrides_is_refused"];
    RefusalsAreSwallowed: [
        "commit::bodies_that_do_not_fit_are_refused",
        "identity::records_in_a_zone_of_the_other_kind_are_refused",
        "state::keys_have_a_length_limit",
        "staging::staged_bodies_that_do_not_fit_are_refused",
        "staging::staged_bodies_are_held_against_the_type_of_the_commit",
    ];
    PositionsComeInAnyOrder: ["commit::positions_count_up_in_each_zone_written"];
    EveryCommitIsPositioned: [
        "commit::commits_without_position_take_none",
        "changes::an_untouched_zone_is_empty",
        "changes::a_write_without_position_does_not_move_a_record",
    ];
    LargeCommitsAreCut: ["commit::a_large_commit_is_stored_whole"];

    // expectations
    ExpectationsAreIgnored: [
        "expectations::each_expectation_holds_where_it_says",
        "expectations::one_revision_is_replaced_once",
        "pending::an_expected_change_notices_a_newer_edit",
    ];
    AbsentHoldsOfTombstones: ["expectations::each_expectation_holds_where_it_says"];
    RevisionsHoldDespiteEdits: ["expectations::each_expectation_holds_where_it_says"];
    /// A commit is as many commits as it has writes.
    OneWriteAtATime: [
        "expectations::a_failed_write_changes_nothing",
        "cancellation::an_abandoned_commit_is_whole_or_absent",
        "concurrency::no_page_holds_part_of_a_session",
    ];
    /// State entries are written after the records, in a commit of their own.
    StateApartFromRecords: [
        "expectations::a_failed_state_expectation_changes_nothing",
        "cancellation::an_abandoned_commit_is_whole_or_absent",
        "concurrency::a_contended_state_entry_changes_hands_once",
    ];
    ConflictsLackTheCurrent: ["expectations::one_revision_is_replaced_once"];
    EveryConflictIsNamed: [
        "expectations::conflicts_are_named_up_to_the_limit",
        "expectations::state_conflicts_are_named_up_to_the_limit",
    ];
    SkipsAreSilent: ["expectations::skipped_writes_are_left_out_and_named"];
    AbortsAreSkips: ["expectations::an_abort_outweighs_skips"];

    // duplicates
    /// A session that was committed before is committed again under another id.
    DuplicatesAreApplied: [
        "duplicates::the_same_session_gives_the_first_receipt",
        "duplicates::a_duplicate_changes_nothing",
        "concurrency::a_session_committed_at_once_is_applied_once",
        "durability::a_session_is_a_duplicate_after_a_restart",
    ];
    DuplicatesAreChecked: ["duplicates::a_duplicate_is_told_whatever_it_brings"];
    DuplicatesLoseTheirReceipt: [
        "duplicates::the_same_session_gives_the_first_receipt",
        "duplicates::a_local_edit_is_a_duplicate_too",
    ];
    ConflictsUseUpTheSession: ["duplicates::a_conflict_does_not_use_up_the_session"];

    // state
    EmptyValuesAreAbsent: ["state::entries_are_set_replaced_and_removed"];
    StateExpectationsAreIgnored: [
        "state::entries_can_be_expected",
        "turn::a_commit_in_turn_does_not_trust_the_one_before",
    ];
    PrefixesAreIgnored: ["state::entries_are_listed_by_prefix"];
    StateKeysFoldCase: ["state::keys_are_bytes"];
    StateValuesAreCut: ["state::values_may_be_large"];
    /// A commit in turn is committed at once.
    TurnsAreNotWaitedFor: ["turn::a_state_entry_is_compared_when_the_turn_comes"];

    // the history of a zone
    PagesGoById: [
        "changes::each_record_appears_once_at_its_last_position",
        "changes::records_come_by_position_type_and_id",
    ];
    TypesGoByTheirLatestPriority: ["changes::the_order_of_types_never_changes"];
    ZonesShareTheirHistory: ["changes::zones_have_histories_of_their_own"];
    TypesOfARequestAreIgnored: [
        "changes::other_types_are_passed_over",
        "load::a_load_passes_other_types_over",
    ];
    HeadsLagBehind: ["changes::the_head_is_the_newest_session"];
    TagsLoseABit: ["changes::tags_keep_all_their_bits"];
    /// The next page begins at the next position, even if this one ended inside a session.
    PagesSkipTies: [
        "paging::every_cut_gives_the_same_records",
        "paging::every_cut_of_some_types_gives_the_same_records",
    ];
    /// The next page begins with the last session of this one.
    PagesRepeat: ["paging::every_cut_gives_the_same_records"];
    /// A reader has caught up when a page has fewer records than it may.
    ShortPageIsTheLast: ["paging::every_cut_gives_the_same_records"];
    /// A reader has not caught up when a page has as many records as it may.
    FullPageIsNeverTheLast: ["paging::a_full_last_page_is_caught_up"];
    ByteLimitsAreIgnored: ["paging::a_record_larger_than_the_limit_comes_alone"];
    /// What a reader has been given of a record is never given again.
    RecordsAreGivenOnce: ["paging::a_record_written_meanwhile_turns_up_again"];
    RemainingIsAGuess: ["paging::the_rest_is_counted_if_asked_for"];
    OwnPushesByDeviceOnly: ["skip_own::own_pushes_up_to_the_number_are_passed_over"];
    /// Own is what was ever written by that device.
    OwnIsForEver: ["skip_own::own_records_that_others_rewrote_are_delivered"];
    /// Own records are taken off the page after it is cut.
    OwnRecordsCount: ["skip_own::only_own_records_left_is_caught_up"];
    LoadsLackAType: ["load::a_load_gives_everything_once_however_pages_are_cut"];
    /// A reader that is through with loading goes on at the head, and not where it began.
    LoadsEndAtTheHead: ["load::what_is_committed_during_a_load_follows"];
    LoadsGiveWhatHasNoPosition: ["load::a_load_leaves_out_records_without_a_position"];
    LoadsOfNothingNeverEnd: ["load::a_load_of_an_untouched_zone_is_empty"];
    HorizonIsIgnored: [
        "reset::a_point_before_the_horizon_must_reset",
        "reset::a_point_inside_the_session_at_the_horizon_must_reset",
        "reset::a_reader_with_own_records_begins_before_the_horizon",
        "reset::a_reading_from_the_beginning_goes_on_below_the_horizon",
        "reset::the_horizon_moves_up_to_the_head_only",
        "load::a_load_starts_over_when_what_it_gave_was_purged",
        "durability::the_horizon_stays_after_a_restart",
    ];
    TheBeginningIsBeforeTheHorizon: ["reset::the_beginning_is_never_before_the_horizon"];
    TagsAreNotCompared: [
        "reset::a_point_of_another_history_must_reset",
        "reset::a_point_beyond_the_head_must_reset",
        "load::a_load_of_another_history_must_reset",
    ];
    PositionsLagBehind: ["reset::a_reader_goes_on_by_its_position"];
    PurgeTakesEverything: ["reset::purging_removes_old_tombstones_only"];
    PurgeTakesWaitingDeletions: ["reset::a_deletion_that_waits_is_not_purged"];
    PurgeDoesNothing: ["reset::a_purged_id_is_absent"];

    // local edits
    EditsShareANumber: [
        "pending::edits_are_numbered_upwards",
        "concurrency::edits_at_once_get_numbers_of_their_own",
    ];
    KeptChangesAreRenumbered: ["pending::an_edit_can_keep_its_change"];
    PendingGoesById: ["pending::edits_come_in_the_order_of_their_commits"];
    PendingIsGivenWhole: ["pending::edits_are_read_in_pages"];
    AcknowledgementsKeepTheRevision: [
        "pending::an_acknowledged_edit_is_done",
        "pending::an_edit_since_stays_pending_on_the_new_base",
    ];
    AcknowledgeClearsNewerEdits: ["pending::an_edit_since_stays_pending_on_the_new_base"];
    EveryLifeIsAcknowledged: [
        "pending::another_life_keeps_its_own_base",
        "pending::many_are_acknowledged_as_exactly_as_one",
    ];
    /// Many acknowledgements are carried out as one.
    ManyShareARevision: ["pending::many_are_acknowledged_as_exactly_as_one"];
    AcknowledgementsCreate: ["pending::acknowledging_what_is_not_there_does_nothing"];
    AcknowledgementsAreWrites: [
        "commit::acknowledgements_take_no_position",
        "sessions::only_written_records_are_counted",
    ];
    AcknowledgementsAreCounted: ["sessions::only_written_records_are_counted"];
    PlainWritesStayPending: ["pending::a_plain_write_ends_an_edit"];

    // staging
    StagedWritesAreVisible: ["staging::staged_writes_are_not_seen"];
    LaterBatchesAreLost: ["staging::staged_batches_are_committed_as_one"];
    /// A batch that is staged again is kept beside the first.
    LaterStagingWins: ["staging::a_batch_staged_again_stays_the_first"];
    BatchesGoByArrival: ["staging::the_later_batch_wins"];
    BatchesGoBackwards: ["staging::only_the_last_staged_write_of_a_key_counts"];
    OverridesAreIgnored: ["staging::overrides_replace_staged_writes"];
    ConflictsDropTheBatches: ["staging::batches_stay_until_they_are_applied"];
    AppliedBatchesStay: ["staging::batches_go_when_they_are_applied"];
    UnstageDropsEverything: ["staging::staged_batches_can_be_dropped"];
    StagedEditsAreNotPending: ["staging::every_write_can_be_staged"];

    // clears
    ClearsLeaveTombstones: ["clears::cleared_records_leave_nothing"];
    ClearsReachOtherZones: ["clears::other_types_and_zones_stay"];
    ClearsTakeEveryEdit: ["clears::newer_edits_stay"];
    ClearedEditsStayCounted: ["clears::cleared_edits_wait_no_more"];

    // sessions
    SessionsLoseTheirCounts: ["sessions::a_session_says_who_when_what_and_how_much"];
    LocalSessionsAreNotKept: ["sessions::every_commit_is_a_session"];
    SessionsGoById: ["sessions::a_zones_sessions_come_in_commit_order"];
    TheTrailIsPurged: ["sessions::the_trail_outlives_the_records"];
    AuthorsAreAscii: ["sessions::authors_are_kept_as_they_are"];

    // values
    /// Whole numbers go through a floating point column.
    NumbersBecomeReals: ["values::whole_numbers_are_exact"];
    RealsAreSingle: ["values::reals_are_exact", "values::staged_values_are_exact"];
    ZerosAreNegative: ["values::reals_are_brought_into_their_stored_form"];
    /// Text loses spaces at its end.
    TextIsTrimmed: ["values::text_stays_text"];
    LongTextIsCut: ["values::large_values_fit"];
    BytesEndAtZero: ["values::bytes_are_exact"];
    JsonNumbersAreShortened: ["values::json_keeps_its_text"];
    MomentsAreMilliseconds: ["values::other_kinds_are_exact"];
    EmptyTextBecomesNull: ["values::null_is_not_empty"];

    // the user's own constraints
    /// What is in the way of a unique value is removed.
    ClashesOverwrite: ["constraints::a_refused_write_is_a_conflict"];
    WritesGoAsGiven: ["constraints::parents_are_written_first_and_deleted_last"];
    /// A row that is in the way of another is not tried again.
    ExchangesAreClashes: ["exchanges::rows_may_exchange_unique_values"];
    /// Where one row cannot have its value, those that exchange theirs cannot either.
    OneClashStopsEveryExchange: ["exchanges::a_clash_beside_an_exchange_is_named_alone"];
    /// Rows lose their unique values in a commit of their own.
    ExchangesTakeTwoSteps: ["exchanges::an_exchange_is_seen_whole_or_not_at_all"];

    // handles, tasks and threads
    HandlesShareNothing: [
        "durability::everything_is_there_after_a_restart",
        "durability::the_history_goes_on_after_a_restart",
        "durability::staged_batches_are_there_after_a_restart",
        "durability::changes_go_on_after_a_restart",
        "durability::a_second_handle_sees_what_the_first_wrote",
    ];
    AbandonedCallsKeepTheStorageBusy: ["cancellation::abandoned_calls_leave_a_working_storage"];
    CommitsBlockTheThread: ["blocking::a_timer_ticks_during_a_large_commit"];
    /// Expectations are checked, and then the write is done without them.
    LostUpdate: [
        "concurrency::no_update_of_a_contended_record_is_lost",
        "concurrency::an_absent_record_is_created_once",
    ];
    /// A session has its position, and readers pass it, before its records can be read.
    PositionBeforeVisibility: ["concurrency::readers_miss_nothing_while_others_commit"];
    /// The new revision and position are visible before the new body is.
    StampedBeforeWritten: ["concurrency::readers_miss_nothing_while_others_commit"];
}
