//! Creating and verifying the storage of types.

use super::prelude::*;

pub(super) fn suppliers() -> fastsync_core::TypeSchemaBuilder {
    TypeSchema::builder("suppliers", "id").restricted().field("name", FieldKind::Text)
}

pub(super) fn built(builder: fastsync_core::TypeSchemaBuilder) -> TypeSchema {
    builder.build().expect("a schema of the suite is well formed")
}

pub(super) fn supplier(f: &Fixture, id: &str, body: Vec<Value>) -> Record {
    f.record(key(&acme(), "suppliers", id), body)
}

pub(crate) async fn same_types_again_change_nothing(f: Fixture) {
    let records = [f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 2)];
    f.put_all(&records).await;
    for _ in 0..2 {
        f.source().prepare(&schemas(), Preparation::Apply).await.expect("prepare succeeds again");
    }
    for record in &records {
        assert_eq!(f.get(&record.key).await.as_ref(), Some(record));
    }
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, records);
}

pub(crate) async fn a_new_type_is_added(f: Fixture) {
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    assert_eq!(f.get(&record.key).await, Some(record));
}

pub(crate) async fn new_fields_are_null_or_zero(f: Fixture) {
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let grown = suppliers()
        .nullable_field("city", FieldKind::Text)
        .field("active", FieldKind::Boolean)
        .field("rating", FieldKind::Integer)
        .field("discount", FieldKind::Real)
        .field("contact", FieldKind::Text)
        .field("logo", FieldKind::Bytes)
        .field("price", FieldKind::Decimal)
        .version(2);
    f.source().prepare(&[built(grown)], Preparation::Apply).await.expect("prepare takes new fields");
    record.body = Some(vec![
        "Nordic Paper".into(),
        Value::Null,
        false.into(),
        0_i64.into(),
        0.0.into(),
        "".into(),
        Vec::<u8>::new().into(),
        Decimal::default().into(),
    ]);
    let found = f.get(&record.key).await.expect("the record is there");
    assert!(found.body == record.body, "new fields are null or zero");
    assert_eq!(found.metadata, record.metadata);

    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::And(vec![
        Filter::equal("rating", 0_i64).expect("a field"),
        Filter::equal("contact", "").expect("a field"),
        Filter::equal("price", 0_i64).expect("a field"),
        Filter::IsNull(FieldName::new("city").expect("a field")),
    ]);
    assert_eq!(f.find_ids(&query).await, ["s-1"], "queries see the new fields as reads do");

    let next = supplier(
        &f,
        "s-1",
        vec![
            "Nordic Paper".into(),
            "Oslo".into(),
            true.into(),
            4_i64.into(),
            0.5.into(),
            "Ida".into(),
            vec![1_u8].into(),
            Decimal::from(7_i64).into(),
        ],
    );
    f.put_all(std::slice::from_ref(&next)).await;
    assert!(f.get(&next.key).await == Some(next), "a new field can be written");
}

/// Fields of every kind that has no zero, and some that have one, each with a default, and the defaults.
fn with_defaults() -> (fastsync_core::TypeSchemaBuilder, Vec<Value>) {
    let defaults: Vec<Value> = vec![
        "Nordic Paper".into(),
        "6f2c1d6e-5c0b-4a7e-9a0f-2f8f4c1b7e11".into(),
        "2026-01-31T12:00:00.000000000Z".into(),
        Value::Json(r#"["it's","\\"]"#.into()),
        "it's \\ \"new\" ✓".into(),
        0.1.into(),
        (-7_i64).into(),
        true.into(),
        vec![0_u8, 39, 255].into(),
        Value::Decimal(Decimal::new(-1_234_567_890_123_456_789_012, 3).expect("a number of the suite")),
        "none".into(),
    ];
    let grown = suppliers()
        .field("owner", FieldKind::Uuid)
        .field("since", FieldKind::Instant)
        .field("tags", FieldKind::Json)
        .field("state", FieldKind::Text)
        .field("discount", FieldKind::Real)
        .field("rating", FieldKind::Integer)
        .field("active", FieldKind::Boolean)
        .field("logo", FieldKind::Bytes)
        .field("price", FieldKind::Decimal)
        .nullable_field("city", FieldKind::Text)
        .version(2);
    let names = ["owner", "since", "tags", "state", "discount", "rating", "active", "logo", "price", "city"];
    let named = names.iter().zip(defaults.iter().skip(1));
    let grown = named.fold(grown, |grown, (name, default)| grown.default_value(*name, default.clone()));
    (grown, defaults)
}

pub(crate) async fn new_fields_have_their_default(f: Fixture) {
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let (grown, defaults) = with_defaults();
    f.source()
        .prepare(&[built(grown.clone())], Preparation::Apply)
        .await
        .expect("prepare takes new fields with a default");
    record.body = Some(defaults);
    assert!(f.get(&record.key).await.as_ref() == Some(&record), "new fields have their default");

    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::And(vec![
        Filter::equal("rating", -7_i64).expect("a field"),
        Filter::equal("discount", 0.1).expect("a field"),
        Filter::equal("city", "none").expect("a field"),
        Filter::equal("price", "-1234567890123456789.012").expect("a field"),
    ]);
    assert_eq!(f.find_ids(&query).await, ["s-1"], "queries see the defaults as reads do");

    let other = grown.default_value("rating", 1_i64).default_value("city", Value::Null).version(3);
    f.source().prepare(&[built(other)], Preparation::Apply).await.expect("prepare takes another default");
    assert!(
        f.get(&record.key).await.as_ref() == Some(&record),
        "a default that changes later changes no record"
    );
    let f = f.reopen().await;
    assert!(f.get(&record.key).await == Some(record), "nor does it after a restart");
}

pub(crate) async fn new_fields_without_a_zero_need_a_default(f: Fixture) {
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let grown = suppliers()
        .field("owner", FieldKind::Uuid)
        .field("since", FieldKind::Instant)
        .field("tags", FieldKind::Json)
        .field("state", FieldKind::Text)
        .field("rating", FieldKind::Integer)
        .zeroless("state")
        .version(2);
    let error = f
        .source()
        .prepare(&[built(grown)], Preparation::Apply)
        .await
        .expect_err("they have no value for the record");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for part in ["suppliers.owner", "suppliers.since", "suppliers.tags", "suppliers.state", "needs a default"]
    {
        assert!(text.contains(part), "{part} is missing in {text:?}");
    }
    assert!(!text.contains("rating"), "a number has a zero: {text:?}");
    assert!(f.get(&record.key).await == Some(record), "nothing is changed");
}

pub(crate) async fn a_field_that_comes_back_is_as_it_was(f: Fixture) {
    let full = || {
        suppliers()
            .field("owner", FieldKind::Uuid)
            .field("tags", FieldKind::Json)
            .nullable_field("city", FieldKind::Text)
            .nullable_field("since", FieldKind::Date)
            .default_value("owner", "6f2c1d6e-5c0b-4a7e-9a0f-2f8f4c1b7e11")
            .default_value("tags", Value::Json("[]".into()))
    };
    let body = |owner: &str, tags: &str, city: Value| {
        let since = if city == Value::Null { Value::Null } else { "2026-01-31".into() };
        vec!["Nordic Paper".into(), owner.into(), Value::Json(tags.into()), city, since]
    };
    // The date is required at first: it comes back as one that may be null.
    let first = suppliers()
        .field("owner", FieldKind::Uuid)
        .field("tags", FieldKind::Json)
        .nullable_field("city", FieldKind::Text)
        .field("since", FieldKind::Date);
    f.source().prepare(&[built(first)], Preparation::Apply).await.expect("prepare takes a new type");
    let owner = "0b54f5a4-9e0d-4c4f-8f5e-0d8f6f0a1c22";
    let record = supplier(&f, "s-1", body(owner, r#"["old"]"#, "Oslo".into()));
    f.put_all(std::slice::from_ref(&record)).await;
    f.source()
        .prepare(&[built(suppliers().version(2))], Preparation::Apply)
        .await
        .expect("prepare leaves fields out");
    let mut meanwhile = supplier(&f, "s-2", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&meanwhile)).await;
    f.source()
        .prepare(&[built(full().version(3))], Preparation::Apply)
        .await
        .expect("prepare takes fields back");
    assert!(f.get(&record.key).await == Some(record), "a record that was not written meanwhile is as it was");
    meanwhile.body = Some(body("6f2c1d6e-5c0b-4a7e-9a0f-2f8f4c1b7e11", "[]", Value::Null));
    assert!(
        f.get(&meanwhile.key).await == Some(meanwhile),
        "one that was written meanwhile has the defaults"
    );
}

pub(crate) async fn a_field_may_have_another_name(f: Fixture) {
    let first = || suppliers().field("owner", FieldKind::Uuid).nullable_field("city", FieldKind::Text);
    let second = || {
        TypeSchema::builder("suppliers", "id")
            .restricted()
            .nullable_field("town", FieldKind::Text)
            .field("holder", FieldKind::Uuid)
            .field("name", FieldKind::Text)
            .was("town", "city")
            .was("holder", "owner")
            .version(2)
    };
    let owner: Value = "0b54f5a4-9e0d-4c4f-8f5e-0d8f6f0a1c22".into();
    f.source().prepare(&[built(first())], Preparation::Apply).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into(), owner.clone(), "Oslo".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    for _ in 0..2 {
        f.source().prepare(&[built(second())], Preparation::Apply).await.expect("prepare takes other names");
    }
    record.body = Some(vec!["Oslo".into(), owner.clone(), "Nordic Paper".into()]);
    assert!(f.get(&record.key).await.as_ref() == Some(&record), "a field keeps its values");
    let other = supplier(&f, "s-2", vec![Value::Null, owner.clone(), "Sub".into()]);
    f.put_all(std::slice::from_ref(&other)).await;
    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::equal("town", "Oslo").expect("a field");
    assert_eq!(f.find_ids(&query).await, ["s-1"], "queries see the values under the new name");

    // Another name again, and a field of the first name that is new.
    let third = TypeSchema::builder("suppliers", "id")
        .restricted()
        .nullable_field("place", FieldKind::Text)
        .field("holder", FieldKind::Uuid)
        .field("name", FieldKind::Text)
        .nullable_field("owner", FieldKind::Text)
        .was("place", "city")
        .was("place", "town")
        .version(3);
    f.source().prepare(&[built(third)], Preparation::Apply).await.expect("prepare takes another name again");
    record.body = Some(vec!["Oslo".into(), owner, "Nordic Paper".into(), Value::Null]);
    let f = f.reopen().await;
    assert!(f.get(&record.key).await == Some(record), "a field keeps its values under a third name");
}

pub(crate) async fn a_field_may_become_nullable(f: Fixture) {
    let strict = suppliers().field("owner", FieldKind::Uuid).field("rating", FieldKind::Integer);
    f.source().prepare(&[built(strict)], Preparation::Apply).await.expect("prepare takes a new type");
    let owner: Value = "0b54f5a4-9e0d-4c4f-8f5e-0d8f6f0a1c22".into();
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into(), owner, 4_i64.into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let loose = suppliers()
        .nullable_field("owner", FieldKind::Uuid)
        .nullable_field("rating", FieldKind::Integer)
        .version(2);
    f.source()
        .prepare(&[built(loose)], Preparation::Apply)
        .await
        .expect("prepare takes fields that may be null now");
    assert!(f.get(&record.key).await == Some(record), "it keeps its values");
    let without = supplier(&f, "s-2", vec!["Nordic Paper".into(), Value::Null, Value::Null]);
    f.put_all(std::slice::from_ref(&without)).await;
    assert!(f.get(&without.key).await.as_ref() == Some(&without), "null can be written now");
    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::IsNull(FieldName::new("owner").expect("a field"));
    assert_eq!(f.find_ids(&query).await, ["s-2"]);
    let f = f.reopen().await;
    assert!(f.get(&without.key).await == Some(without));
}

pub(crate) async fn nulls_become_the_default(f: Fixture) {
    let loose =
        || suppliers().nullable_field("owner", FieldKind::Uuid).nullable_field("rating", FieldKind::Integer);
    let owner = "0b54f5a4-9e0d-4c4f-8f5e-0d8f6f0a1c22";
    let strict = suppliers()
        .field("owner", FieldKind::Uuid)
        .field("rating", FieldKind::Integer)
        .default_value("owner", owner)
        .default_value("rating", 3_i64)
        .version(2);
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    let mut oldest = supplier(&f, "s-0", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&oldest)).await;
    f.source().prepare(&[built(loose())], Preparation::Apply).await.expect("prepare takes new fields");
    let mut empty = supplier(&f, "s-1", vec!["Nordic Paper".into(), Value::Null, Value::Null]);
    let full = supplier(
        &f,
        "s-2",
        vec!["Nordic Paper".into(), "6f2c1d6e-5c0b-4a7e-9a0f-2f8f4c1b7e11".into(), 5_i64.into()],
    );
    f.put_all(&[empty.clone(), full.clone()]).await;
    f.source()
        .prepare(&[built(strict)], Preparation::Apply)
        .await
        .expect("prepare takes fields with a default that are not null now");
    let body: Vec<Value> = vec!["Nordic Paper".into(), owner.into(), 3_i64.into()];
    (oldest.body, empty.body) = (Some(body.clone()), Some(body));
    let all = [oldest, empty, full];
    for record in &all {
        assert!(f.get(&record.key).await.as_ref() == Some(record), "nulls are the default, values stay");
    }
    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::equal("rating", 3_i64).expect("a field");
    assert_eq!(f.find_ids(&query).await, ["s-0", "s-1"], "queries see the default as reads do");
    f.source()
        .prepare(&[built(loose().version(3))], Preparation::Apply)
        .await
        .expect("prepare takes fields that may be null again");
    for record in &all {
        assert!(f.get(&record.key).await.as_ref() == Some(record), "what was null stays the default");
    }
}

pub(crate) async fn nulls_need_a_default(f: Fixture) {
    let loose = suppliers().nullable_field("city", FieldKind::Text);
    f.source().prepare(&[built(loose)], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into(), Value::Null]);
    f.put_all(std::slice::from_ref(&record)).await;
    let strict = suppliers().field("city", FieldKind::Text).version(2);
    let error = f
        .source()
        .prepare(&[built(strict)], Preparation::Apply)
        .await
        .expect_err("the record has null there");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for part in ["suppliers.city", "needs a default"] {
        assert!(text.contains(part), "{part} is missing in {text:?}");
    }
    assert!(f.get(&record.key).await == Some(record), "nothing is changed");
}

pub(crate) async fn fields_in_another_order_keep_their_values(f: Fixture) {
    let forth = suppliers().field("city", FieldKind::Text);
    f.source().prepare(&[built(forth)], Preparation::Apply).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into(), "Oslo".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let back = TypeSchema::builder("suppliers", "id")
        .restricted()
        .field("city", FieldKind::Text)
        .field("name", FieldKind::Text);
    f.source()
        .prepare(&[built(back)], Preparation::Apply)
        .await
        .expect("prepare takes another order of fields");
    record.body = Some(vec!["Oslo".into(), "Nordic Paper".into()]);
    assert!(f.get(&record.key).await == Some(record), "a body is in the order of the schema's fields");
}

pub(crate) async fn types_not_named_keep_their_records(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    f.source().prepare(&[built(suppliers())], Preparation::Apply).await.expect("prepare takes a new type");
    assert_eq!(f.get(&customer.key).await, Some(customer.clone()));
    let f = f.reopen().await;
    assert_eq!(f.get(&customer.key).await, Some(customer));
}

pub(crate) async fn contradictions_are_refused_and_named(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    let contradicting = [
        built(TypeSchema::builder("customers", "id").restricted().field("name", FieldKind::Integer)),
        built(
            TypeSchema::builder("orders", "number")
                .restricted()
                .field("customer", FieldKind::Text)
                .field("quantity", FieldKind::Real)
                .nullable_field("note", FieldKind::Text),
        ),
        built(
            TypeSchema::builder("articles", "id")
                .restricted()
                .field("title", FieldKind::Text)
                .field("price", FieldKind::Real),
        ),
        built(suppliers()),
    ];
    let error =
        f.source().prepare(&contradicting, Preparation::Apply).await.expect_err("contradictions are refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for part in ["customers", "name", "orders", "number", "quantity", "articles"] {
        assert!(text.contains(part), "{part} is missing in {text:?}");
    }
    assert_eq!(f.get(&customer.key).await, Some(customer));
    let query = Query::all(name("suppliers"), acme());
    let error = f.source().find(&query).await.expect_err("no type of a refused call is added");
    assert_eq!(error.kind(), ErrorKind::UnknownType);
}

pub(crate) async fn types_that_differ_in_case_are_refused(f: Fixture) {
    let loud = built(TypeSchema::builder("CUSTOMERS", "id").restricted().field("name", FieldKind::Text));
    let error = f.source().prepare(&[loud], Preparation::Apply).await.expect_err("the names collide");
    assert_eq!(error.kind(), ErrorKind::Config);
    let query = Query::all(name("CUSTOMERS"), acme());
    assert_eq!(f.source().find(&query).await.expect_err("no such type").kind(), ErrorKind::UnknownType);
}

pub(crate) async fn a_type_given_twice_is_refused(f: Fixture) {
    let grown = suppliers().nullable_field("city", FieldKind::Text).version(2);
    let both = [built(suppliers()), built(grown)];
    for how in [Preparation::Apply, Preparation::Plan] {
        let error = f.source().prepare(&both, how).await.expect_err("there are two schemas of one type");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("suppliers"), "{error}");
    }
    let query = Query::all(name("suppliers"), acme());
    assert_eq!(f.source().find(&query).await.expect_err("no such type").kind(), ErrorKind::UnknownType);
    let same = [built(suppliers()), built(suppliers())];
    f.source().prepare(&same, Preparation::Apply).await.expect("the same type twice is that type");
}

pub(crate) async fn unknown_types_are_refused_everywhere(f: Fixture) {
    let unknown = name("invoices");
    let record = f.record(key(&acme(), "invoices", "i-1"), vec!["2026-001".into()]);
    let query = Query::all(unknown.clone(), acme());
    let types = ChangesRequest { types: Some(vec![unknown.clone()]), ..all_changes(&acme()) };
    let errors = [
        f.source().get(&unknown, &acme(), &ids(&["i-1"])).await.map(drop),
        f.source().find(&query).await.map(drop),
        f.source().count(&query).await.map(drop),
        f.source().changes(&types).await.map(drop),
        f.source().commit_alone(f.push(vec![put(&record)])).await.map(drop),
        f.source().commit_alone(f.push(vec![acknowledge(&record, 1, f.revision())])).await.map(drop),
        f.source().commit_alone(f.clear("invoices", &acme(), 0)).await.map(drop),
    ];
    for (at, result) in errors.into_iter().enumerate() {
        let error = result.expect_err("an unknown type is refused");
        assert_eq!(error.kind(), ErrorKind::UnknownType, "call {at}");
    }
}
