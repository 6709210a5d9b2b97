use std::collections::BTreeSet;

use fastsync_core::source::{Action, Commit, CommitOutcome, Conflict, ConflictReason, Receipt, Writes};
use fastsync_core::{ErrorKind, FieldKind, ObjectId, Tag, Timestamp, TypeSchema, Value, Zone};

use crate::sql::{Adoption, RowZones};

fn notes(is_restricted: bool) -> TypeSchema {
    let notes = TypeSchema::builder("notes", "id").field("text", FieldKind::Text);
    if is_restricted { notes.restricted() } else { notes }.build().unwrap()
}

fn rows(ids: &[&str]) -> Vec<(ObjectId, Vec<Value>)> {
    ids.iter().map(|id| (ObjectId::new(id).unwrap(), vec!["x".into()])).collect()
}

fn made(adoption: &mut Adoption, ids: &[&str]) -> Commit {
    adoption.commit(rows(ids), Timestamp::from_millis(1_000), Tag(7))
}

fn receipt() -> Receipt {
    Receipt { positions: Vec::new(), change: 0, skipped: Vec::new() }
}

/// Sessions are known by their ids: whoever changes how they are made adopts everything twice.
#[test]
fn ids_of_sessions_are_pinned() {
    let mut adoption = Adoption::new(notes(false), Zone::Global);
    assert_eq!(adoption.session().to_string(), "2592b341-488a-5629-b1f5-fd094f98405e");
    adoption.pass();
    assert_eq!(adoption.session().to_string(), "82c16d41-76a0-5ca7-919f-3566889a7446");
    let zone = RowZones::stored(&notes(true), "k").unwrap();
    assert_eq!(
        Adoption::new(notes(true), zone).session().to_string(),
        "20898e68-8bdd-57dc-9aa9-f38ebd6db544"
    );
}

#[test]
fn batches_go_on_where_a_session_is_there_and_stay_where_rows_moved() {
    let mut adoption = Adoption::new(notes(false), Zone::Global);
    let first = made(&mut adoption, &["a", "b"]);
    assert_eq!((first.session, first.author.user.as_deref()), (adoption.session(), Some("adoption")));
    assert!(first.positioned);
    adoption.take(CommitOutcome::Duplicate(receipt())).unwrap();
    let second = made(&mut adoption, &["c", "d", "e"]);
    assert_ne!(second.session, first.session);
    // An ordinary commit was faster with a row.
    let Writes::Inline(writes) = &second.writes else { panic!("{second:?}") };
    let conflict = |reason| {
        let conflict = Conflict { write: writes[0].clone(), current: None, reason };
        CommitOutcome::Conflicts { writes: vec![conflict], state: Vec::new() }
    };
    adoption.take(conflict(ConflictReason::Mismatch)).unwrap();
    assert_eq!(adoption.session(), second.session);
    adoption.take(CommitOutcome::Applied(receipt())).unwrap();
    assert_eq!((adoption.adopted().rows, adoption.adopted().sessions), (3, 1));
    let refused = adoption.take(conflict(ConflictReason::Constraint("no".to_owned()))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Constraint);
    assert!(refused.to_string().contains("id: c"), "{refused}");
}

#[test]
fn records_have_lives_of_their_own_in_each_history() {
    let mut adoption = Adoption::new(notes(false), Zone::Global);
    let mut tokens = BTreeSet::new();
    for tag in [7, 8] {
        let commit = adoption.commit(rows(&["a", "b"]), Timestamp::from_millis(1_000), Tag(tag));
        let Writes::Inline(writes) = commit.writes else { panic!("staged") };
        for write in writes {
            let Action::Put { record, pending: false } = write.action else { panic!("no put") };
            assert_eq!(record.metadata.modified_by, commit.author.device);
            tokens.extend([record.metadata.revision.to_bits(), record.metadata.incarnation.to_bits()]);
        }
    }
    assert_eq!(tokens.len(), 8);
}

#[test]
fn rows_that_cannot_be_objects_are_named() {
    let schema = TypeSchema::builder("notes", "id").field("day", FieldKind::Date).build().unwrap();
    let adoption = Adoption::new(schema, Zone::Global);
    let day = |text: &str| adoption.body(&ObjectId::new("n").unwrap(), vec![text.into()]);
    assert_eq!(day("2026-02-03").unwrap(), [Value::from("2026-02-03")]);
    for error in
        [day("yesterday").unwrap_err(), adoption.id("").unwrap_err(), adoption.id("a\nb").unwrap_err()]
    {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, "adopt_rows"));
        assert!(error.message().contains("a row of table notes cannot be adopted"), "{error}");
    }
    let error = RowZones::stored(&notes(true), "").unwrap_err();
    assert!(error.message().contains("a row of table notes cannot be adopted"), "{error}");
}

#[test]
fn zones_have_to_fit_the_type() {
    let of = |rows: &RowZones, is_restricted| rows.zone(&notes(is_restricted)).map(Option::<&Zone>::cloned);
    let key = Zone::restricted("k").unwrap();
    assert_eq!(of(&RowZones::In(Zone::Global), false).unwrap(), Some(Zone::Global));
    assert_eq!(of(&RowZones::In(key.clone()), true).unwrap(), Some(key.clone()));
    assert_eq!(of(&RowZones::Stored, true).unwrap(), None);
    for (rows, is_restricted) in
        [(RowZones::In(key), false), (RowZones::In(Zone::Global), true), (RowZones::Stored, false)]
    {
        assert_eq!(of(&rows, is_restricted).unwrap_err().kind(), ErrorKind::InvalidInput, "{rows:?}");
    }
}
