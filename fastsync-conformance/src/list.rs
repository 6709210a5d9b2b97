//! The one list of cases: what each is called, and the sentence of the contract that it checks.

/// Calls a macro with every case: `runner group { case: "sentence", ... }`. The table that is run and the tests of
/// [`conformance_tests`](crate::conformance_tests) are made from it.
///
/// A sentence is quoted from the contract, in inner quotes where more is said than it says; it is printed when its case
/// fails.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ([$($callback:tt)*] [$($argument:tt)*]) => {
        $($callback)* ! {
            [$($argument)*]
            run_single prepare {
                same_types_again_change_nothing: "Calling it again with the same types changes nothing.",
                a_new_type_is_added: "A type [...] that is new is added.",
                new_fields_are_null_or_zero: "[...] a field that is new is added; existing records keep \
                    their values and a new field of theirs is [...] null, or the kind's zero (`false`, \
                    `0`, `0.0`, empty) if the field is not nullable.",
                new_fields_have_their_default: "A new field of theirs is its default [...]. A default that \
                    changes later does not change them.",
                new_fields_without_a_zero_need_a_default: "A new field without null, zero and default is \
                    refused with `Config` that says that it needs a default, and nothing is changed.",
                a_field_that_comes_back_is_as_it_was: "A field that is gone and comes back is as it was in \
                    records that were not written meanwhile.",
                a_field_may_have_another_name: "A field that has another name now, and says which it had, \
                    keeps its values.",
                a_field_may_become_nullable: "A field that becomes nullable keeps its values.",
                nulls_become_the_default: "A field that is no longer nullable needs a default, which its \
                    nulls become.",
                nulls_need_a_default: "'A field that is no longer nullable needs a default [...]; else it \
                    is refused as a contradiction.'",
                fields_in_another_order_keep_their_values: "'[...] existing records keep their values', also \
                    when the schema names its fields in another order.",
                types_not_named_keep_their_records: "Types prepared earlier and not named now keep their \
                    records.",
                contradictions_are_refused_and_named: "A type that contradicts what is stored (a kind, the \
                    id field, the restriction) is refused with `Config` that names every contradiction, and \
                    nothing is changed.",
                types_that_differ_in_case_are_refused: "`TypeName`: 'Two names that differ only in case \
                    cannot be registered together.'",
                a_type_given_twice_is_refused: "A type that is given twice, with different schemas, is \
                    refused with `Config`, and nothing is changed.",
                unknown_types_are_refused_everywhere: "A type that was not prepared is `UnknownType`; so it \
                    is in every method that takes one.",
            }
            run_single plan {
                a_plan_names_new_types: "A plan names every type that is new.",
                a_plan_names_what_becomes_of_fields: "A plan names [...] every field of a known one that is \
                    added, renamed, left out, or may be null now or must not be any more.",
                a_plan_is_empty_once_types_are_prepared: "A plan is empty exactly if `prepare` would change \
                    nothing, whoever prepared the types before.",
                another_version_or_default_is_planned: "'A plan is empty exactly if `prepare` would change \
                    nothing': what is stored of a type changes with its version and its defaults.",
                a_plan_changes_nothing: "A plan changes nothing: no type is known by it, and no record is \
                    another.",
                a_plan_refuses_what_prepare_refuses: "What `prepare` would refuse, a plan refuses with the \
                    same error.",
            }
            run_single get {
                records_come_in_the_order_of_ids: "Records come in the order of `ids`; an id named twice may \
                    come once or twice.",
                absent_ids_are_left_out: "Ids that are not there are left out.",
                only_this_zone_and_type_are_found: "Only records of exactly this zone and type are found.",
                tombstones_are_included: "The records with these ids, tombstones included.",
                thousands_of_ids_are_found: "'The records with these ids': however many, beyond what a \
                    database takes as parameters of one statement.",
                zones_are_those_with_records_of_the_type: "'The zones that have records of a type', tombstones \
                    included.",
            }
            run_single identity {
                object_ids_are_bytes: "Ids [...] are compared byte by byte.",
                expectations_are_of_exactly_this_id: "'Ids [...] are compared byte by byte', in writes too: \
                    none of these is an edit of another.",
                zones_are_bytes: "Zones [...] are compared byte by byte.",
                one_id_in_two_zones_is_two_records: "`Zone`: 'the same id in two zones is two records.'",
                one_id_in_two_types_is_two_records: "'Types [...] are compared byte by byte': the same id in \
                    two types is two records.",
                records_in_a_zone_of_the_other_kind_are_refused: "A record of a global type lives in the \
                    global zone and one of a restricted type in a restricted zone (`ZoneRestriction`); any \
                    other is refused with `InvalidInput`.",
            }
            run_single query {
                comparisons_select: "'Filter [...] (is) as `Query` says': the six comparisons.",
                text_compares_by_bytes: "Text compares by bytes.",
                null_equals_nothing: "`Comparison`: 'null equals nothing'; `Comparison::NotEqual`: 'present \
                    and not equal'; `Filter::Not`: 'a comparison with a null field does not hold, so its \
                    negation does.'",
                is_null_selects_only_null: "`Filter::IsNull`: 'the field is null'; empty text is not.",
                in_selects_any_of_the_values: "`Filter::In`: 'the field equals one of the values.'",
                text_searches_are_literal: "`Filter::StartsWith`, `Filter::Contains`: '[...] this text, byte \
                    for byte'; nothing in it is a pattern.",
                conditions_combine: "`Filter::And`: 'true if there is none'; `Filter::Or`: 'false if there \
                    is none.'",
                order_breaks_ties_by_id: "'Order [...] (is) as `Query` says': 'ties, and everything if this \
                    is empty, by the bytes of the id ascending'; `Order`: 'nulls come first in ascending \
                    order.'",
                offset_and_limit_cut: "Offset and limit (are) as `Query` says.",
                a_total_is_of_the_filter_alone: "The total is of the filter alone, whatever offset and limit \
                    are.",
                the_id_can_be_queried: "The id is a field as any other: it can be compared, searched and \
                    ordered by.",
                every_kind_can_be_compared: "'Filter [...] (is) as `Query` says', for fields of every kind.",
                dates_and_times_are_ordered_by_time: "`FieldKind`: 'dates and times are text whose order by bytes is \
                    their order in time', however they were written; so they are in filters.",
                decimals_are_ordered_by_size: "`FieldKind::Decimal`: 'ordered by size', in filters too.",
                only_live_records_of_the_zone_are_found: "'The live records that a query selects': \
                    tombstones are absent, and so are other zones and types.",
                queries_that_do_not_fit_are_refused: "A query that does not fit the type is `InvalidInput` \
                    (see `Query::admit`).",
            }
            run_single ordering {
                ids_of_every_kind_are_ordered_by_bytes: "'An id is text in every case, compared by its bytes': also \
                    an id that is a whole number or a UUID, in an order, in a filter and between equals.",
                text_is_never_a_number: "'Text is compared by its bytes': text that reads as a number, a date or \
                    a variant of an enum is compared like any other.",
            }
            run_single commit {
                records_are_stored_as_they_are: "'Records are stored with the revision that they bring' (and \
                    everything else).",
                a_plain_write_is_not_pending: "'Put without `pending` their change is 0', whatever they \
                    bring.",
                put_replaces_the_whole_record: "`Action::Put`: 'stores a record or a tombstone in place of \
                    what is there.'",
                tombstones_leave_queries_and_stay_in_the_history: "Put of a tombstone removes the object \
                    from queries and keeps the tombstone for `get` and `changes`.",
                a_deleted_id_can_live_again: "`Incarnation`: an id lives again after its tombstone, with the \
                    life that the record brings.",
                clears_writes_and_state_come_together: "All or nothing: clears, writes and state entries \
                    take effect together.",
                a_key_written_twice_is_refused: "A key written twice in one inline commit is refused with \
                    `InvalidInput`.",
                bodies_that_do_not_fit_are_refused: "A record whose body does not fit its type is refused \
                    with `InvalidInput` or `TooLarge`.",
                positions_count_up_in_each_zone_written: "With `positioned`, the session gets the next \
                    position of every zone that it wrote a record to [...] A zone without a written record \
                    gets none.",
                commits_without_position_take_none: "`Receipt::positions`: 'empty if the commit was not \
                    positioned.'",
                acknowledgements_take_no_position: "An acknowledgement or a clear writes no record: it gives \
                    no position, moves nothing in the history [...].",
                a_large_commit_is_stored_whole: "'All or nothing', with some thousand records of two types.",
            }
            run_single expectations {
                each_expectation_holds_where_it_says: "'Every expectation is checked against the state \
                    before this commit', as `Expect` says: every expectation on every state that a record \
                    can be in.",
                one_revision_is_replaced_once: "Of two commits that expect the same revision of a record \
                    exactly one is applied.",
                a_failed_write_changes_nothing: "If any write with `OnMismatch::Abort` or any state \
                    expectation fails, nothing is changed.",
                a_failed_state_expectation_changes_nothing: "If [...] any state expectation fails, nothing \
                    is changed and `CommitOutcome::Conflicts` names them.",
                conflicts_are_named_up_to_the_limit: "`CommitOutcome::Conflicts` names them with what is \
                    there instead: at least one, at most `Conflict::MAX_PER_OUTCOME` writes.",
                state_conflicts_are_named_up_to_the_limit: "`CommitOutcome::Conflicts` names them with what \
                    is there instead: at least one, at most `Conflict::MAX_PER_OUTCOME` writes and at most \
                    as many state entries.",
                skipped_writes_are_left_out_and_named: "A failed write with `OnMismatch::Skip` is left out \
                    and named in `Receipt::skipped`.",
                an_abort_outweighs_skips: "'If any write with `OnMismatch::Abort` [...] fails, nothing is \
                    changed', whatever else is skipped.",
                expectations_see_the_state_before_the_clears: "'Every expectation is checked against the \
                    state before this commit': what the same commit clears is there.",
            }
            run_single duplicates {
                the_same_session_gives_the_first_receipt: "'The same session id again gives \
                    `CommitOutcome::Duplicate` with the first receipt and changes nothing.' \
                    `Receipt::skipped`: 'Empty in the receipt of a duplicate.'",
                a_duplicate_changes_nothing: "'The same session id again [...] changes nothing', whatever it \
                    brings and whatever happened since.",
                a_duplicate_is_told_whatever_it_brings: "'The same session id again gives \
                    `CommitOutcome::Duplicate` [...], whatever it brings': what would be refused otherwise too.",
                a_local_edit_is_a_duplicate_too: "'The same session id again gives [...] the first receipt', \
                    of local edits too: the change is the first.",
                a_conflict_does_not_use_up_the_session: "A commit that was not applied leaves no trace: the \
                    same session id may be committed later.",
            }
            run_single state {
                entries_are_set_replaced_and_removed: "'A small durable value, written by commits': set, \
                    replaced, removed; empty is a value.",
                entries_can_be_expected: "`ExpectState`: 'whatever', 'no entry', 'an entry with exactly this \
                    value'; a failure names the current value.",
                entries_are_listed_by_prefix: "'[...] all whose key begins with a prefix, by the \
                    bytes of the key.'",
                keys_are_bytes: "State keys are compared byte by byte.",
                keys_have_a_length_limit: "`StateWrite::key`: '1 to `MAX_STATE_KEY_BYTES` bytes.'",
                values_may_be_large: "'A small durable value': a quarantined record fits too.",
            }
            run_single turn {
                a_state_entry_is_compared_when_the_turn_comes: "'A state entry is compared after the commit's \
                    predecessor in its `Turn` is over': three commits begin in the wrong order, and each \
                    finds what it expects.",
                a_commit_in_turn_does_not_trust_the_one_before: "'A state entry is compared after the \
                    commit's predecessor in its `Turn` is over', where that one was never made: nothing is \
                    changed.",
            }
            run_single changes {
                an_untouched_zone_is_empty: "A zone that nothing was written to has head 0 and no records.",
                each_record_appears_once_at_its_last_position: "Each record appears once, at the position of \
                    the last positioned commit that wrote it, in its latest state.",
                a_write_without_position_does_not_move_a_record: "'[...] at the position of the last \
                    positioned commit that wrote it, in its latest state': a write without position shows, \
                    and does not move the record.",
                tombstones_take_the_place_of_their_object: "Tombstones are included.",
                records_come_by_position_type_and_id: "Records come by position; within a position grouped \
                    by type [...]; within a type by the bytes of the id.",
                the_order_of_types_never_changes: "'[...] in an order of types that never changes': not by a \
                    new type, nor by another priority.",
                zones_have_histories_of_their_own: "'The records of a zone': no other zone's.",
                other_types_are_passed_over: "'With `types`, records of other types are passed over'; \
                    '`caught_up` is true exactly if no further record follows in this snapshot; then `next` \
                    is the head.'",
                the_head_is_the_newest_session: "`Head`: 'the newest session of a zone', with the tag of its \
                    commit.",
                tags_keep_all_their_bits: "`Tag`: 'random 64 bits': the whole range comes back as it was.",
            }
            run_single paging {
                every_cut_gives_the_same_records: "Continuing after `ChangesPage::next` neither repeats nor \
                    skips a record, however pages are cut.",
                every_cut_of_some_types_gives_the_same_records: "'[...] neither repeats nor skips a record', \
                    also when only some types are read.",
                a_full_last_page_is_caught_up: "'`caught_up` is true exactly if no further record follows in \
                    this snapshot': a full last page is the last.",
                a_record_larger_than_the_limit_comes_alone: "'A page holds at most `limits.records` records \
                    and, unless it is one record alone, about `limits.bytes` bytes.' (That every page does \
                    is checked by every `Walk`.)",
                a_record_written_meanwhile_turns_up_again: "A record that is written meanwhile turns up \
                    again further along.",
                the_rest_is_counted_if_asked_for: "`ChangesPage::remaining`: 'about how many records follow \
                    after this page, if it was asked for.'",
            }
            run_single skip_own {
                own_pushes_up_to_the_number_are_passed_over: "With `skip_own`, records last written by that \
                    device's pushes up to that number are passed over.",
                own_records_that_others_rewrote_are_delivered: "'Records *last* written by that device's \
                    pushes': what another device wrote over an own record comes.",
                only_own_records_left_is_caught_up: "'`caught_up` is true exactly if no further record \
                    follows', and own records do not follow.",
            }
            run_single load {
                a_load_gives_everything_once_however_pages_are_cut: "'Each record comes at least once, and \
                    last in its latest state'; where nothing is written meanwhile, once.",
                what_is_committed_during_a_load_follows: "'[...] and then what was committed since the load \
                    began': whatever is done between two pages, the reader has everything in its latest \
                    state in the end.",
                a_load_passes_other_types_over: "'With `types`, records of other types are passed over', by \
                    a load too; '`caught_up` is true exactly if no further record follows'.",
                a_load_leaves_out_records_without_a_position: "Records without a position are left out (of a \
                    load), as they are by position.",
                a_load_of_an_untouched_zone_is_empty: "A load of nothing is caught up at once; what follows, \
                    comes by position.",
                a_load_starts_over_when_what_it_gave_was_purged: "'A reading that began at the very \
                    beginning goes on below the horizon as long as the horizon has not moved since': a \
                    reader that loads may have been given what was deleted and purged since.",
                a_load_of_another_history_must_reset: "'A start point [...] whose tag is not that of its \
                    position gives `Changes::ResetRequired`', in a load too.",
            }
            run_single reset {
                a_point_beyond_the_head_must_reset: "A start point [...] beyond the head [...] gives \
                    `Changes::ResetRequired`.",
                a_point_of_another_history_must_reset: "A start point [...] whose tag is not that of its \
                    position gives `Changes::ResetRequired`.",
                a_point_before_the_horizon_must_reset: "A start point before the horizon [...] gives \
                    `Changes::ResetRequired`.",
                a_point_inside_the_session_at_the_horizon_must_reset: "'A start point before the horizon': a \
                    reader in the middle of the session at the horizon has not seen all of what was purged.",
                the_beginning_is_never_before_the_horizon: "'The very beginning is before the horizon only \
                    with `skip_own`': a new reader gets all that lives.",
                a_reader_with_own_records_begins_before_the_horizon: "[...] that reader has records already, \
                    and whether they were deleted since it could not learn.",
                a_reading_from_the_beginning_goes_on_below_the_horizon: "A reading that began at the very \
                    beginning goes on below the horizon as long as the horizon has not moved since.",
                purging_removes_old_tombstones_only: "'Live records and younger tombstones stay.' \
                    'Returns the number of tombstones removed.'",
                a_deletion_that_waits_is_not_purged: "A tombstone that waits to be pushed stays, however old \
                    it is.",
                a_purged_id_is_absent: "After its tombstone was purged, an id is as if it had never been.",
                the_horizon_moves_up_to_the_head_only: "The horizon never moves back and never beyond the \
                    head.",
                a_reader_goes_on_by_its_position: "With `After::Position`, a reader that kept a position \
                    without its tag continues after the whole session there. The position may be before the \
                    horizon. A position that no session has gives `ResetReason::History`.",
            }
            run_single pending {
                edits_are_numbered_upwards: "Put with `pending` (their change) is [...] the number of this \
                    commit, which is greater than every number given before.",
                an_edit_can_keep_its_change: "'Put with it, (their change) is the change that they bring': a \
                    merge keeps the place of the edit it came from.",
                edits_come_in_the_order_of_their_commits: "Records with local edits that wait to be pushed, \
                    by the number of the local commit that edited them last (then in a fixed order).",
                edits_are_read_in_pages: "'[...] after number `after`, at most `limit`'; 'how many records \
                    `pending` would give without a limit.'",
                a_total_counts_all_that_wait: "The total counts from the beginning, wherever the page begins and \
                    ends.",
                local_deletions_wait_too: "Tombstones of objects deleted locally are included.",
                an_acknowledged_edit_is_done: "'A record leaves this list exactly when a commit acknowledges \
                    its latest change.' `Acknowledge`: 'the record takes the revision, and stops being \
                    pending if it was not edited since.'",
                an_edit_since_stays_pending_on_the_new_base: "'[...] stops being pending if it was not \
                    edited since': a newer edit stays, on the new base.",
                another_life_keeps_its_own_base: "'An acknowledgement gives its revision to a record of its \
                    incarnation only': an object that was made anew since keeps the base that it has.",
                many_are_acknowledged_as_exactly_as_one: "'An acknowledgement gives its revision to a record \
                    of its incarnation only, and ends the edit that it names and no other': so of many at \
                    once, where some were edited since, some made anew, and some are not named.",
                acknowledging_what_is_not_there_does_nothing: "A record that is not there stays so.",
                a_plain_write_ends_an_edit: "A record leaves this list exactly when a commit [...] writes it \
                    without `pending`.",
                an_expected_change_notices_a_newer_edit: "An edit that was overtaken by another is noticed: \
                    `Expect::Change` is how a pull leaves newer edits alone.",
            }
            run_single staging {
                staged_writes_are_not_seen: "Staged writes [...] change nothing that any other method reads.",
                staged_batches_are_committed_as_one: "`Writes::Staged`: 'the batches staged under the \
                    commit's session id', all of them, in one session.",
                a_batch_staged_again_stays_the_first: "Staging the same `(session, sequence)` again keeps \
                    the first batch.",
                the_later_batch_wins: "'Batches are committed in the order of `sequence`, whatever the order \
                    of staging'; 'in staged batches the later write of a key wins.'",
                only_the_last_staged_write_of_a_key_counts: "In staged batches only the last write of a key \
                    counts, in what it does and in what it expects.",
                overrides_replace_staged_writes: "A key in `overrides` replaces every staged write of it.",
                batches_stay_until_they_are_applied: "After any other outcome (than being applied the \
                    batches of a staged commit) are still there.",
                batches_go_when_they_are_applied: "After a staged commit is applied its batches are gone.",
                a_key_twice_in_overrides_is_refused: "A key twice in `overrides` is refused with \
                    `InvalidInput`.",
                staged_batches_can_be_dropped: "Drops what was staged: of one session, or of every session. \
                    Dropping what is not there is fine.",
                every_write_can_be_staged: "'The one way to write': local edits, deletions and skips can be \
                    staged as they can be inline.",
                staged_bodies_that_do_not_fit_are_refused: "'A record whose body does not fit its type is \
                    refused', when it is staged or when it is committed.",
                staged_bodies_are_held_against_the_type_of_the_commit: "What was staged is held against the \
                    type as it is at the commit.",
            }
            run_single clears {
                cleared_records_leave_nothing: "`Clear`: 'removes records without leaving tombstones: every \
                    record of the type in the zone.'",
                other_types_and_zones_stay: "`Clear`: 'every record of the type in the zone', and no other.",
                newer_edits_stay: "`Clear`: 'whose pending change is at most `through_change` (0: those with \
                    nothing pending).'",
                cleared_edits_wait_no_more: "`Clear`: 'what is removed waits to be pushed no more': it is \
                    neither listed nor counted.",
                a_set_is_swapped_in_one_commit: "`Commit::clears`: 'what to remove before anything is \
                    written': a whole set is swapped in one commit.",
            }
            run_single sessions {
                a_session_says_who_when_what_and_how_much: "'The audit entry of a committed session': 'who, \
                    when, from which device, what and how much.'",
                only_written_records_are_counted: "An acknowledgement or a clear writes no record: it [...] \
                    is not counted in the audit entry.",
                every_commit_is_a_session: "'The audit entry of a committed session', of one that took no \
                    position and of one that wrote nothing, too.",
                a_zones_sessions_come_in_commit_order: "Audit entries of a zone's sessions in commit order \
                    after a position, at most `limit`.",
                the_trail_outlives_the_records: "The audit trail outlives what it tells of: overwritten and \
                    purged records leave it as it was.",
                authors_are_kept_as_they_are: "`Author::user`: '`None` where there is none'; names keep \
                    their bytes.",
            }
            run_single values {
                whole_numbers_are_exact: "`FieldKind::Integer`: 'a signed 64-bit whole number.'",
                reals_are_exact: "`FieldKind::Real`: 'a finite 64-bit floating point number', bit for bit.",
                reals_are_brought_into_their_stored_form: "`Value`: reals 'have no negative zero'; a whole \
                    number in a real field becomes a real.",
                text_stays_text: "`FieldKind::Text`: 'text without NUL', byte for byte: it is never a \
                    number, a date, a pattern or a name.",
                large_values_fit: "`MAX_RECORD_BYTES`: large values fit up to the limit.",
                bytes_are_exact: "`FieldKind::Bytes`: 'bytes', any and none.",
                json_keeps_its_text: "`Value::Json`: 'compact JSON text'; `Value`: 'JSON is text [...] whose \
                    member order is kept.'",
                other_kinds_are_exact: "Booleans, UUIDs and moments come back as they were.",
                null_is_not_empty: "`Value::Null`: 'no value', which is not the empty or zero value of any \
                    kind.",
                staged_values_are_exact: "Values survive being staged as they survive being stored.",
            }
            run_single kinds {
                dates_and_times_have_one_form: "`FieldKind::Instant`: 'RFC 3339 text with any offset becomes that, \
                    in UTC and with nine digits'; so do the other kinds of time.",
                what_is_no_date_or_time_is_refused: "`FieldKind`: 'years are 0000 to 9999. A leap second [...] is \
                    refused'; so is what is not in the calendar, and an offset too few or too many.",
                decimals_have_one_form: "`Decimal`: 'each number has one text.'",
                what_is_no_decimal_is_refused: "`FieldKind::Decimal`: 'at most 28 digits [...]'; 'text with an \
                    exponent is refused'; so is what is no number.",
                whole_numbers_keep_to_their_width: "`FieldKind::I8` to `U32`: 'a whole number from [...] to [...]'.",
                ids_are_of_their_kind: "`IdKind`: 'the kind says which texts are ids'; any other is refused.",
                a_whole_number_may_become_wider: "A field whose kind takes every value that its kind took before \
                    keeps its values.",
                a_whole_number_cannot_become_narrower: "'A kind' that contradicts what is stored is refused.",
                ids_may_become_text: "Ids of any kind may become text; any other change is a contradiction.",
            }
            run_single constraints {
                a_refused_write_is_a_conflict: "A write that a constraint of the user's own table refuses is \
                    a conflict with `ConflictReason::Constraint`; another row is never overwritten.",
                parents_are_written_first_and_deleted_last: "Parents (lower priority) are written before \
                    children and deleted after them, over the whole commit.",
            }
            run_single exchanges {
                rows_may_exchange_unique_values: "Rows of one commit may exchange the values of unique columns: they \
                    swap them, pass them round or on, inline and staged; what is deleted gives its value free.",
                a_clash_beside_an_exchange_is_named_alone: "A unique value that a row outside the commit has is a \
                    conflict of the write that wants it, and of no other; what is left out keeps its value.",
                an_exchange_is_seen_whole_or_not_at_all: "'A commit is seen whole or not at all': no reader sees what \
                    rows have while they exchange unique values.",
            }
            run_single durability {
                everything_is_there_after_a_restart: "Records, tombstones, state, local edits and the audit \
                    trail are there after a restart.",
                the_history_goes_on_after_a_restart: "A reader's point is good after a restart, and \
                    positions go on where they were.",
                a_session_is_a_duplicate_after_a_restart: "'The same session id again gives \
                    `CommitOutcome::Duplicate` with the first receipt', after a restart too.",
                staged_batches_are_there_after_a_restart: "'Staged writes are durable', and the first batch \
                    is kept across a restart.",
                changes_go_on_after_a_restart: "The number of a commit 'is greater than every number given \
                    before', also of those acknowledged before a restart.",
                the_horizon_stays_after_a_restart: "'The horizon never moves back', not by a restart either.",
                a_second_handle_sees_what_the_first_wrote: "A commit is seen whole [...] by every handle \
                    [...] on the same storage.",
            }
            run_single cancellation {
                an_abandoned_commit_is_whole_or_absent: "An abandoned commit is whole or absent for every \
                    reader, and can be committed again.",
                abandoned_calls_leave_a_working_storage: "An abandoned `stage` or `purge` leaves a storage \
                    that works.",
            }
            run_single blocking {
                a_timer_ticks_during_a_large_commit: "On a runtime of one thread, a timer keeps ticking \
                    during a large commit: no pause lasts most of the commit.",
            }
            run_parallel concurrency {
                no_update_of_a_contended_record_is_lost: "'Of two commits that expect the same revision of a \
                    record exactly one is applied': all tasks count up one record, and no count is lost.",
                an_absent_record_is_created_once: "'Every expectation is checked [...] in the same isolation \
                    as the write': an object is created once.",
                a_session_committed_at_once_is_applied_once: "'Of two at once exactly one is `Applied`', and \
                    the others get its receipt.",
                readers_miss_nothing_while_others_commit: "'A reader that sees position n sees every session \
                    at or below n'; 'a commit is seen whole or not at all': while sessions of two types are \
                    committed, readers page along. None misses a record, sees one go back, or has part of a \
                    session when it caught up.",
                no_page_holds_part_of_a_session: "'A commit is seen whole or not at all': one page that \
                    holds all of a zone never holds part of a session.",
                edits_at_once_get_numbers_of_their_own: "'Greater than every number given before': local \
                    edits made at once get numbers of their own.",
                a_contended_state_entry_changes_hands_once: "'Every method may be called from many tasks at \
                    once': a compare-and-set of a state entry is one.",
            }
        }
    };
}
