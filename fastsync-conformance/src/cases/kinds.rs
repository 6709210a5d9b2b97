//! The kinds of fields and ids: which values they hold, in which form, and what they may become.

use super::prelude::*;
use super::prepare::{built, supplier, suppliers};

/// Stores a value and says as what it is read, or why it is refused.
async fn stored(f: &Fixture, field: &str, value: Value) -> Result<Value, String> {
    let record = f.sample("s-1", field, value);
    if let Err(error) = f.source().commit_alone(f.push(vec![put(&record)])).await {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{field}");
        return Err(error.to_string());
    }
    let found = f.get(&record.key).await.and_then(|record| record.body).unwrap_or_default();
    Ok(found.into_iter().find(|value| *value != Value::Null).unwrap_or(Value::Null))
}

pub(crate) async fn dates_and_times_have_one_form(f: Fixture) {
    for (field, given, form) in [
        ("moment", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000000Z"),
        ("moment", "2026-11-21t10:00:00.12z", "2026-11-21T10:00:00.120000000Z"),
        ("moment", "2026-12-31T23:30:00.5-01:00", "2027-01-01T00:30:00.500000000Z"),
        ("moment", "2024-03-01T01:29:59+05:30", "2024-02-29T19:59:59.000000000Z"),
        ("local", "2026-11-21 10:00:00.000001", "2026-11-21T10:00:00.000001000"),
        ("clock", "23:59:59", "23:59:59.000000000"),
        ("clock", "00:00:00.123456789", "00:00:00.123456789"),
    ] {
        assert!(stored(&f, field, given.into()).await == Ok(form.into()), "{field}: {given} is not {form}");
        assert!(stored(&f, field, form.into()).await == Ok(form.into()), "{field}: {form} does not stay");
    }
}

pub(crate) async fn what_is_no_date_or_time_is_refused(f: Fixture) {
    for (field, given) in [
        ("moment", ""),
        ("moment", "2026-11-21"),
        ("moment", "2026-11-21T10:00:00"),
        ("moment", "2026-13-01T10:00:00Z"),
        ("moment", "2026-02-30T10:00:00Z"),
        ("moment", "2026-11-21T24:00:00Z"),
        ("moment", "2016-12-31T23:59:60Z"),
        ("moment", "2026-11-21T10:00:00.0123456789Z"),
        ("moment", "+10000-01-01T00:00:00Z"),
        ("moment", "9999-12-31T23:59:59-00:01"),
        ("moment", "0"),
        ("local", "2026-11-21T10:00:00Z"),
        ("local", "2026-11-21"),
        ("day", "2026-11-21T10:00:00Z"),
        ("day", "2026-2-3"),
        ("day", "2023-02-29"),
        ("clock", "10:00"),
        ("clock", "10:00:00Z"),
    ] {
        let Err(problem) = stored(&f, field, given.into()).await else { panic!("{field} takes {given:?}") };
        assert!(problem.contains(field), "{problem} does not name {field}");
    }
    for field in ["moment", "local", "day", "clock"] {
        assert!(stored(&f, field, Value::Integer(0)).await.is_err(), "{field} takes a number");
    }
}

pub(crate) async fn decimals_have_one_form(f: Fixture) {
    for (given, form) in [
        (Value::from("1.50"), "1.5"),
        ("007".into(), "7"),
        ("-0.00".into(), "0"),
        ("10.0".into(), "10"),
        ("0.10000000000000000000000000000000000000".into(), "0.1"),
        (Value::Integer(i64::MIN), "-9223372036854775808"),
    ] {
        let form = Value::Decimal(form.parse().expect("a number of the suite is well formed"));
        assert!(stored(&f, "decimal", given).await == Ok(form.clone()), "it is brought into its form");
        assert!(stored(&f, "decimal", form.clone()).await == Ok(form), "its form stays");
    }
}

pub(crate) async fn what_is_no_decimal_is_refused(f: Fixture) {
    let long = [
        "12345678901234567890123456789",
        "1234567890.1234567890123456789",
        "0.00000000000000000000000000001",
    ];
    for given in ["", "1e3", "+1", ".5", "5.", "1,5", "NaN", "one"].into_iter().chain(long) {
        let Err(problem) = stored(&f, "decimal", given.into()).await else { panic!("{given:?} is taken") };
        assert!(problem.contains("samples.decimal"), "{problem} does not name the field");
    }
    for other in [Value::Real(1.0), Value::Bool(true), vec![1_u8].into()] {
        assert!(stored(&f, "decimal", other).await.is_err());
    }
}

pub(crate) async fn whole_numbers_keep_to_their_width(f: Fixture) {
    for (field, least, greatest) in [
        ("i8", -128, 127),
        ("i16", -32_768, 32_767),
        ("i32", -2_147_483_648, 2_147_483_647),
        ("u8", 0, 255),
        ("u16", 0, 65_535),
        ("u32", 0, 4_294_967_295_i64),
    ] {
        for whole in [least, greatest, 1] {
            let found = stored(&f, field, whole.into()).await;
            assert!(found == Ok(whole.into()), "{field} does not keep {whole}");
        }
        for beyond in [least - 1, greatest + 1, i64::MIN, i64::MAX] {
            let Err(problem) = stored(&f, field, beyond.into()).await else {
                panic!("{field} takes {beyond}")
            };
            assert!(problem.contains(&greatest.to_string()), "{problem} does not say what {field} holds");
        }
    }
}

pub(crate) async fn ids_are_of_their_kind(f: Fixture) {
    let uuid = "018f3a52-7f00-7000-8000-0000000000aa";
    let table: [(&str, IdKind, &[&str], &[&str]); 2] = [
        ("machines", IdKind::Uuid, &[uuid], &["018F3A52-7F00-7000-8000-0000000000AA", "7", "m-1"]),
        ("shifts", IdKind::Integer, &["7", "-7", "0"], &["07", "+7", "7.0", "9223372036854775808", uuid]),
    ];
    for (type_name, kind, good, bad) in table {
        let schema =
            TypeSchema::builder(type_name, "id").restricted().id_kind(kind).field("name", FieldKind::Text);
        let schema = schema.build().expect("a schema of the suite is well formed");
        f.source().prepare(&[schema], Preparation::Apply).await.expect("prepare takes a new type");
        let record = |id: &str| f.record(key(&acme(), type_name, id), vec!["any".into()]);
        f.put_all(&good.iter().map(|id| record(id)).collect::<Vec<_>>()).await;
        for id in bad {
            let error = f.refused(f.push(vec![put(&record(id))])).await;
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id} is not an id of kind {kind:?}");
        }
        let mut expected = good.to_vec();
        expected.sort_unstable();
        assert_eq!(
            f.live_ids(type_name, &acme()).await,
            expected,
            "ids are text, in the order of their bytes"
        );
    }
}

pub(crate) async fn a_whole_number_may_become_wider(f: Fixture) {
    let narrow = || {
        suppliers()
            .field("rating", FieldKind::I8)
            .field("level", FieldKind::U16)
            .nullable_field("size", FieldKind::I32)
    };
    let wide = || {
        suppliers()
            .field("rating", FieldKind::I16)
            .field("level", FieldKind::U32)
            .nullable_field("size", FieldKind::Integer)
            .version(2)
    };
    let body = |rating: i64, level: i64, size: i64| -> Vec<Value> {
        vec!["Nordic Paper".into(), rating.into(), level.into(), size.into()]
    };
    f.source().prepare(&[built(narrow())], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", body(-128, 65_535, 1));
    f.put_all(std::slice::from_ref(&record)).await;
    let beyond = supplier(&f, "s-2", body(128, 65_536, 1 << 40));
    assert_eq!(f.refused(f.push(vec![put(&beyond)])).await.kind(), ErrorKind::InvalidInput);
    for _ in 0..2 {
        f.source().prepare(&[built(wide())], Preparation::Apply).await.expect("prepare takes wider kinds");
    }
    assert!(f.get(&record.key).await.as_ref() == Some(&record), "a record keeps its values");
    f.put_all(std::slice::from_ref(&beyond)).await;
    let f = f.reopen().await;
    assert!(f.get(&beyond.key).await.as_ref() == Some(&beyond), "wider values can be written");
    let mut query = Query::all(name("suppliers"), acme());
    query.filter = Filter::compare("rating", Comparison::Greater, -1_i64).expect("a field");
    assert_eq!(f.find_ids(&query).await, ["s-2"]);

    // Left out, and back: what is there is of the wider kinds.
    f.source()
        .prepare(&[built(suppliers().version(3))], Preparation::Apply)
        .await
        .expect("prepare leaves fields out");
    let error = f
        .source()
        .prepare(&[built(narrow())], Preparation::Apply)
        .await
        .expect_err("a record has more than they hold");
    assert_eq!(error.kind(), ErrorKind::Config);
    f.source().prepare(&[built(wide())], Preparation::Apply).await.expect("prepare takes fields back");
    assert!(f.get(&beyond.key).await == Some(beyond));
}

pub(crate) async fn a_whole_number_cannot_become_narrower(f: Fixture) {
    let of = |rating, size| suppliers().field("rating", rating).field("size", size);
    let wide = of(FieldKind::I32, FieldKind::Integer);
    f.source().prepare(&[built(wide)], Preparation::Apply).await.expect("prepare takes a new type");
    let record = supplier(&f, "s-1", vec!["Nordic Paper".into(), 1_i64.into(), 1_i64.into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    for (rating, size, named) in [
        (FieldKind::I16, FieldKind::Integer, "suppliers.rating"),
        (FieldKind::U32, FieldKind::Integer, "suppliers.rating"),
        (FieldKind::Integer, FieldKind::I32, "suppliers.size"),
        (FieldKind::Integer, FieldKind::Real, "suppliers.size"),
    ] {
        let error = f.source().prepare(&[built(of(rating, size).version(2))], Preparation::Apply).await;
        let error = error.expect_err("a record may have more than the kind holds");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{named} is missing in {error}");
    }
    assert!(f.get(&record.key).await == Some(record), "nothing is changed");
}

pub(crate) async fn ids_may_become_text(f: Fixture) {
    let of = |kind| suppliers().id_kind(kind);
    f.source()
        .prepare(&[built(of(IdKind::Integer))], Preparation::Apply)
        .await
        .expect("prepare takes a new type");
    let record = supplier(&f, "7", vec!["Nordic Paper".into()]);
    f.put_all(std::slice::from_ref(&record)).await;
    let error = f
        .source()
        .prepare(&[built(of(IdKind::Uuid))], Preparation::Apply)
        .await
        .expect_err("7 is not a UUID");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("suppliers"), "{error}");
    f.source().prepare(&[built(of(IdKind::Text))], Preparation::Apply).await.expect("every id is text");
    let other = supplier(&f, "seven", vec!["Southern Paper".into()]);
    f.put_all(std::slice::from_ref(&other)).await;
    let error = f
        .source()
        .prepare(&[built(of(IdKind::Integer))], Preparation::Apply)
        .await
        .expect_err("seven is not a number");
    assert_eq!(error.kind(), ErrorKind::Config);
    for record in [record, other] {
        assert!(f.get(&record.key).await == Some(record));
    }
}
