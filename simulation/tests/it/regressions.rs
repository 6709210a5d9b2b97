//! Histories that once ended wrong, as small as they were found. By name, because the seeds of a property test stop
//! meaning the same when its generators change.

use simulation::convergence::{Call, Case, ClockSetup, Edit, How, Mutation, Setup, Step, run_case};
use simulation::model::Rule;
use simulation::storage::{OnDisk, StorageKind};

const SHELF: u8 = 0;
const ITEM: u8 = 1;
/// Places among the ids.
const A: u8 = 0;
const B: u8 = 1;
const C: u8 = 2;
const D: u8 = 3;
const E: u8 = 4;
/// Places among the ids that are removed.
const REMOVED_C: u8 = 0;
const REMOVED_D: u8 = 1;
const REMOVED_E: u8 = 2;

fn setup(rule: Rule, clients: usize, page_records: u32) -> Setup {
    let clocks = vec![ClockSetup { offset: 0, drift: 0 }; clients + 1];
    Setup {
        seed: 0,
        rule,
        atomic: false,
        server: None,
        clients: None,
        session_records: 4,
        page_records,
        tiny_pages: false,
        clocks,
    }
}

fn check(rule: Rule, clients: usize, page_records: u32, steps: &[Step]) {
    let setup = setup(rule, clients, page_records);
    for store in [None].into_iter().chain(OnDisk::ALL.map(Some)) {
        let setup = Setup { server: store.map(StorageKind::Disk), clients: store, ..setup.clone() };
        if let Err(problem) = run_case(&Case { setup, steps: steps.to_vec() }, None) {
            panic!("on {}: {problem}", store.map_or("memory", OnDisk::name));
        }
    }
}

fn put(client: u8, kind: u8, id: u8) -> Step {
    Step::Edit { client, edit: Edit::Put { kind, id, zone: 0 } }
}

fn remove(kind: u8, id: u8) -> Edit {
    Edit::Remove { kind, id, zone: 0 }
}

fn sync(client: u8, how: How, calls: Vec<Call>) -> Step {
    Step::Sync { client, how, calls }
}

fn meanwhile(edit: Edit) -> Call {
    Call::Meanwhile { edit, after: false, yields: 0 }
}

#[test]
fn discarding_a_refused_edit_does_not_bring_back_what_the_server_had_then() {
    check(
        Rule::LastWriter,
        3,
        1,
        &[put(2, ITEM, D), Step::Edit { client: 0, edit: Edit::Refused { id: D } }, put(0, SHELF, A)],
    );
}

#[test]
fn discarding_a_refused_edit_of_an_object_that_was_purged_leaves_nothing() {
    check(
        Rule::LastWriter,
        5,
        1,
        &[
            put(0, ITEM, D),
            put(0, SHELF, A),
            sync(0, How::Sync, vec![]),
            put(0, SHELF, A),
            put(0, SHELF, A),
            Step::Edit { client: 4, edit: Edit::Refused { id: D } },
            sync(4, How::Sync, vec![]),
            sync(0, How::Sync, vec![meanwhile(remove(ITEM, REMOVED_D))]),
            Step::Purge { zone: 0, keep: 0 },
        ],
    );
}

#[test]
fn a_reset_that_discards_edits_discards_those_of_objects_that_the_server_has() {
    for rule in [Rule::LastWriter, Rule::Union, Rule::Timestamps] {
        let steps = [
            put(0, ITEM, A),
            sync(0, How::Sync, vec![]),
            put(0, ITEM, A),
            Step::HardReset { client: 0, types: 0, edits: 1, calls: vec![] },
        ];
        check(rule, 3, 8, &steps);
    }
}

#[test]
fn a_first_pull_of_several_pages_passes_the_horizon() {
    check(
        Rule::LastWriter,
        3,
        1,
        &[
            put(0, SHELF, A),
            sync(0, How::Push, vec![]),
            put(0, SHELF, B),
            sync(0, How::Push, vec![]),
            Step::Purge { zone: 0, keep: 0 },
        ],
    );
}

#[test]
fn an_object_made_anew_during_the_push_of_its_earlier_life_is_not_lost() {
    check(
        Rule::Union,
        4,
        4,
        &[
            put(0, SHELF, D),
            sync(0, How::Sync, vec![Call::LoseRequest]),
            put(3, SHELF, D),
            Step::Edit { client: 0, edit: remove(SHELF, REMOVED_D) },
            sync(0, How::Pull, vec![meanwhile(Edit::Put { kind: SHELF, id: D, zone: 0 })]),
            sync(3, How::Push, vec![]),
        ],
    );
}

/// A push is refused on the way when it is sent again, and taken back; the answer to that is lost, and its first copy arrives
/// late. Fails if a server that forgets the withdrawal passes.
#[test]
fn a_late_copy_of_a_withdrawn_push_changes_nothing() {
    let steps = [
        put(0, SHELF, A),
        put(0, ITEM, B),
        sync(0, How::Push, vec![Call::LoseRequest]),
        sync(0, How::Push, vec![Call::RefuseLarge { records: 1 }, Call::LoseAnswer]),
        Step::Replay { client: 0, which: 0 },
        sync(0, How::Sync, vec![]),
        Step::Replay { client: 0, which: 0 },
        put(0, SHELF, A),
        sync(0, How::Sync, vec![]),
        Step::Replay { client: 0, which: 0 },
    ];
    check(Rule::Union, 2, 4, &steps);
    let case = Case { setup: setup(Rule::Union, 2, 4), steps: steps.to_vec() };
    let problem = run_case(&case, Some(Mutation::ForgetVoided)).unwrap_err();
    assert!(problem.contains("was committed twice"), "{problem}");
}

#[test]
fn a_record_that_moves_while_it_is_pulled_arrives_in_its_last_state() {
    check(
        Rule::Union,
        5,
        1,
        &[
            sync(2, How::Pull, vec![meanwhile(Edit::Many { objects: vec![(ITEM, C, 0), (SHELF, A, 0)] })]),
            put(1, ITEM, C),
            put(0, SHELF, A),
            sync(1, How::Sync, vec![]),
            Step::Edit { client: 2, edit: remove(ITEM, REMOVED_C) },
            put(0, ITEM, C),
            Step::ServerEdit { edit: Edit::Put { kind: SHELF, id: A, zone: 0 } },
            sync(2, How::Pull, vec![Call::Fine, Call::PushMeanwhile { client: 0 }]),
        ],
    );
}

#[test]
fn a_client_that_pushed_before_its_first_pull_learns_of_purged_deletions() {
    check(
        Rule::LastWriter,
        3,
        1,
        &[
            put(0, SHELF, E),
            sync(0, How::Push, vec![]),
            Step::ServerEdit { edit: remove(SHELF, REMOVED_E) },
            Step::ServerEdit { edit: Edit::Put { kind: SHELF, id: A, zone: 0 } },
            Step::Purge { zone: 0, keep: 0 },
        ],
    );
}

#[test]
fn a_client_that_pulled_when_there_was_nothing_learns_of_purged_deletions() {
    check(
        Rule::LastWriter,
        3,
        3,
        &[
            sync(2, How::Pull, vec![]),
            put(2, ITEM, D),
            sync(2, How::Push, vec![]),
            Step::ServerEdit { edit: remove(ITEM, REMOVED_D) },
            Step::ServerEdit { edit: Edit::Put { kind: SHELF, id: A, zone: 0 } },
            Step::Purge { zone: 0, keep: 0 },
        ],
    );
}

#[test]
fn discarding_a_refused_update_of_an_object_that_was_purged_leaves_nothing() {
    check(
        Rule::LastWriter,
        3,
        8,
        &[
            put(0, ITEM, D),
            sync(0, How::Sync, vec![]),
            sync(2, How::Sync, vec![]),
            Step::Edit { client: 2, edit: Edit::Refused { id: D } },
            sync(2, How::Push, vec![]),
            Step::ServerEdit { edit: remove(ITEM, REMOVED_D) },
            Step::Purge { zone: 0, keep: 0 },
        ],
    );
}

#[test]
fn a_type_that_is_fetched_anew_by_a_pull_does_not_show_half_a_session() {
    check(
        Rule::LastWriter,
        4,
        8,
        &[
            Step::Edit { client: 0, edit: Edit::Pair { pair: 0 } },
            put(3, ITEM, D),
            sync(3, How::Sync, vec![]),
            Step::Edit { client: 2, edit: Edit::Refused { id: D } },
            put(0, SHELF, A),
            put(1, SHELF, A),
            sync(2, How::Sync, vec![]),
            put(3, ITEM, D),
            sync(3, How::Sync, vec![]),
            sync(2, How::Sync, vec![]),
            Step::Refused { client: 2, discard: true },
            sync(0, How::Sync, vec![]),
            sync(2, How::Pull, vec![Call::Fine, meanwhile(Edit::Pair { pair: 0 })]),
        ],
    );
}
