//! Dry runs of `prepare`.

use super::prelude::*;
use super::prepare::{built, supplier, suppliers};

async fn planned(f: &Fixture, types: &[TypeSchema]) -> Vec<PlannedChange> {
    f.source().plan(types).await.expect("plan succeeds")
}

fn field(text: &str) -> FieldName {
    FieldName::new(text).expect("a field name of the suite is well formed")
}

/// Prepares what was planned; nothing is left to do then.
async fn carry_out(f: &Fixture, types: &[TypeSchema]) {
    f.source().prepare(types, Preparation::Apply).await.expect("prepare takes what can be planned");
    assert_eq!(planned(f, types).await, [], "nothing is left to do");
}

pub(crate) async fn a_plan_names_new_types(f: Fixture) {
    let mut types = schemas();
    types.extend([built(suppliers()), built(TypeSchema::builder("regions", "id"))]);
    let changes = planned(&f, &types).await;
    for type_name in ["suppliers", "regions"].map(name) {
        let add = PlannedChange::AddType { type_name };
        assert!(changes.contains(&add), "{add:?} is missing in {changes:?}");
        assert!(!add.to_string().is_empty());
    }
    let known = schemas();
    let is_known =
        |change: &&PlannedChange| known.iter().any(|schema| change.type_name() == Some(schema.name()));
    assert_eq!(changes.iter().find(is_known), None, "a type that stays as it is is not in the plan");
    carry_out(&f, &types).await;
}

pub(crate) async fn a_plan_names_what_becomes_of_fields(f: Fixture) {
    let first = suppliers()
        .nullable_field("city", FieldKind::Text)
        .field("rating", FieldKind::Integer)
        .nullable_field("phone", FieldKind::Text)
        .field("logo", FieldKind::Bytes);
    f.source().prepare(&[built(first)], Preparation::Apply).await.expect("prepare takes a new type");
    let full: Vec<Value> =
        vec!["Nordic Paper".into(), "Oslo".into(), 4_i64.into(), Value::Null, vec![7_u8].into()];
    let mut record = supplier(&f, "s-1", full);
    f.put_all(std::slice::from_ref(&record)).await;

    let second = suppliers()
        .nullable_field("town", FieldKind::Text)
        .was("town", "city")
        .nullable_field("rating", FieldKind::Integer)
        .field("phone", FieldKind::Text)
        .default_value("phone", "-")
        .field("active", FieldKind::Boolean)
        .version(2);
    let second = [built(second)];
    let changes = planned(&f, &second).await;
    let type_name = || name("suppliers");
    for change in [
        PlannedChange::RenameField { type_name: type_name(), from: field("city"), to: field("town") },
        PlannedChange::AllowNull { type_name: type_name(), field: field("rating") },
        PlannedChange::FillField { type_name: type_name(), field: field("phone") },
        PlannedChange::AddField { type_name: type_name(), field: field("active") },
        PlannedChange::LeaveField { type_name: type_name(), field: field("logo") },
        PlannedChange::NoteSchema { type_name: type_name(), from: 1, to: 2 },
    ] {
        assert!(changes.contains(&change), "{change:?} is missing in {changes:?}");
    }
    let is_named_once = |change| changes.iter().filter(|other| *other == change).count() == 1;
    assert!(changes.iter().all(is_named_once), "a change is named twice in {changes:?}");
    carry_out(&f, &second).await;
    record.body = Some(vec!["Nordic Paper".into(), "Oslo".into(), 4_i64.into(), "-".into(), false.into()]);
    assert!(f.get(&record.key).await == Some(record), "what was planned is what is done");

    let third = [built(suppliers().field("logo", FieldKind::Bytes).version(3))];
    let changes = planned(&f, &third).await;
    let back = PlannedChange::AddField { type_name: type_name(), field: field("logo") };
    assert!(changes.contains(&back), "a field that comes back is missing in {changes:?}");
    carry_out(&f, &third).await;
}

pub(crate) async fn a_plan_is_empty_once_types_are_prepared(f: Fixture) {
    f.put_all(&[f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 2)]).await;
    assert_eq!(planned(&f, &schemas()).await, []);
    assert_eq!(planned(&f, &[]).await, [], "of types that are not named nothing is said");
    let other = f.second_handle().await;
    let types = [built(suppliers())];
    other.source().prepare(&types, Preparation::Apply).await.expect("prepare takes a new type");
    assert_eq!(planned(&f, &types).await, [], "another handle has prepared the type");
    let grown = [built(suppliers().field("rating", FieldKind::Integer).version(2))];
    other.source().prepare(&grown, Preparation::Apply).await.expect("prepare takes a new field");
    assert_eq!(planned(&f, &grown).await, [], "another handle has added the field");
    drop(other);
    let f = f.reopen().await;
    assert_eq!(planned(&f, &grown).await, [], "after a restart, too");
}

pub(crate) async fn another_version_or_default_is_planned(f: Fixture) {
    let rated = || suppliers().field("rating", FieldKind::Integer).default_value("rating", 3_i64);
    f.source().prepare(&[built(rated())], Preparation::Apply).await.expect("prepare takes a new type");
    for (next, to) in [(rated().version(2), 2), (rated().default_value("rating", 4_i64).version(2), 2)] {
        let next = [built(next)];
        let changes = planned(&f, &next).await;
        let noted = |change: &PlannedChange| {
            matches!(change, PlannedChange::NoteSchema { type_name, to: version, .. }
                if *type_name == name("suppliers") && *version == to)
        };
        assert!(changes.iter().any(noted), "the schema is noted: {changes:?}");
        carry_out(&f, &next).await;
    }
}

pub(crate) async fn a_plan_changes_nothing(f: Fixture) {
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let regions = built(TypeSchema::builder("regions", "id"));
    let grown = suppliers().field("rating", FieldKind::Integer).nullable_field("city", FieldKind::Text);
    let types = [built(grown.version(2)), regions];
    let once = planned(&f, &types).await;
    assert_eq!(planned(&f, &types).await, once, "the second plan finds what the first one found");
    assert!(f.get(&record.key).await.as_ref() == Some(&record), "the record is as it was");
    let query = Query::all(name("regions"), Zone::Global);
    let error = f.source().find(&query).await.expect_err("a type is not known by a plan");
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    f.put_all(&[supplier(&f, "s-2", vec!["Sub".into()])]).await;
    let f = f.reopen().await;
    assert_eq!(f.live_ids("suppliers", &acme()).await, ["s-1", "s-2"]);
    assert_eq!(planned(&f, &types).await, once);
    carry_out(&f, &types).await;
}

pub(crate) async fn a_plan_refuses_what_prepare_refuses(f: Fixture) {
    f.put_all(&[f.customer("c-1", "Anna Berg")]).await;
    let other_kind = TypeSchema::builder("customers", "id").restricted().field("name", FieldKind::Integer);
    let other_id = TypeSchema::builder("articles", "number").field("title", FieldKind::Text);
    let no_default = TypeSchema::builder("orders", "id").restricted().field("owner", FieldKind::Uuid);
    let other_case = TypeSchema::builder("CUSTOMERS", "id").restricted();
    for types in [vec![built(other_kind), built(other_id), built(no_default)], vec![built(other_case)]] {
        let error = f.source().plan(&types).await.expect_err("a contradiction is refused");
        let of_prepare =
            f.source().prepare(&types, Preparation::Apply).await.expect_err("a contradiction is refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.message(), of_prepare.message(), "it is refused with the same error");
    }
}
