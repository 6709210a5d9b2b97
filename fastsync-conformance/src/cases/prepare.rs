//! Creating and verifying the storage of types.

use super::prelude::*;

fn suppliers() -> fastsync_core::TypeSchemaBuilder {
    TypeSchema::builder("suppliers", "id").restricted().field("name", FieldKind::Text)
}

fn built(builder: fastsync_core::TypeSchemaBuilder) -> TypeSchema {
    builder.build().expect("a schema of the suite is well formed")
}

fn supplier(f: &Fixture, id: &str, body: Vec<Value>) -> Record {
    f.record(key(&acme(), "suppliers", id), body)
}

pub(crate) async fn same_types_again_change_nothing(f: Fixture) {
    let records = [f.customer("c-1", "Anna Berg"), f.order("o-1", "c-1", 2)];
    f.put_all(&records).await;
    for _ in 0..2 {
        f.source().prepare(&schemas()).await.expect("prepare succeeds again");
    }
    for record in &records {
        assert_eq!(f.get(&record.key).await.as_ref(), Some(record));
    }
    assert_eq!(Walk::new(all_changes(&acme())).rest(f.source()).await, records);
}

pub(crate) async fn a_new_type_is_added(f: Fixture) {
    f.source().prepare(&[built(suppliers())]).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    assert_eq!(f.get(&record.key).await, Some(record));
}

pub(crate) async fn new_fields_are_null_or_zero(f: Fixture) {
    f.source().prepare(&[built(suppliers())]).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let grown = suppliers()
        .nullable_field("city", FieldKind::Text)
        .field("active", FieldKind::Boolean)
        .field("rating", FieldKind::Integer)
        .field("discount", FieldKind::Real)
        .field("contact", FieldKind::Text)
        .field("logo", FieldKind::Bytes)
        .version(2);
    f.source().prepare(&[built(grown)]).await.expect("prepare takes new fields");
    record.body = Some(vec![
        "Nordic Paper".into(),
        Value::Null,
        false.into(),
        0_i64.into(),
        0.0.into(),
        "".into(),
        Vec::<u8>::new().into(),
    ]);
    let found = f.get(&record.key).await.expect("the record is there");
    assert!(found.body == record.body, "new fields are null or zero");
    assert_eq!(found.metadata, record.metadata);

    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::And(vec![
        Filter::equal("rating", 0_i64).expect("a field"),
        Filter::equal("contact", "").expect("a field"),
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
        ],
    );
    f.put_all(std::slice::from_ref(&next)).await;
    assert!(f.get(&next.key).await == Some(next), "a new field can be written");
}

pub(crate) async fn fields_in_another_order_keep_their_values(f: Fixture) {
    let forth = suppliers().field("city", FieldKind::Text);
    f.source().prepare(&[built(forth)]).await.expect("prepare takes a new type");
    let mut record = supplier(&f, "s-1", vec!["Nordic Paper".into(), "Oslo".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let back = TypeSchema::builder("suppliers", "id")
        .restricted()
        .field("city", FieldKind::Text)
        .field("name", FieldKind::Text);
    f.source().prepare(&[built(back)]).await.expect("prepare takes another order of fields");
    record.body = Some(vec!["Oslo".into(), "Nordic Paper".into()]);
    assert!(f.get(&record.key).await == Some(record), "a body is in the order of the schema's fields");
}

pub(crate) async fn types_not_named_keep_their_records(f: Fixture) {
    let customer = f.customer("c-1", "Anna Berg");
    f.put_all(std::slice::from_ref(&customer)).await;
    f.source().prepare(&[built(suppliers())]).await.expect("prepare takes a new type");
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
    let error = f.source().prepare(&contradicting).await.expect_err("contradictions are refused");
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
    let error = f.source().prepare(&[loud]).await.expect_err("the names collide");
    assert_eq!(error.kind(), ErrorKind::Config);
    let query = Query::all(name("CUSTOMERS"), acme());
    assert_eq!(f.source().find(&query).await.expect_err("no such type").kind(), ErrorKind::UnknownType);
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
        f.source().commit(f.push(vec![put(&record)])).await.map(drop),
        f.source().commit(f.push(vec![acknowledge(&record, 1, f.revision())])).await.map(drop),
        f.source().commit(f.clear("invoices", &acme(), 0)).await.map(drop),
    ];
    for (at, result) in errors.into_iter().enumerate() {
        let error = result.expect_err("an unknown type is refused");
        assert_eq!(error.kind(), ErrorKind::UnknownType, "call {at}");
    }
}
