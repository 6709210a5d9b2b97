//! Values come back exactly as they were stored.

use super::prelude::*;

/// Stores one value per sample and reads each back by id, by query and from the history.
async fn round_trip(f: &Fixture, field: &str, values: Vec<Value>) {
    let records: Vec<_> =
        (0..).zip(values).map(|(n, value)| f.sample(&format!("s-{n:03}"), field, value)).collect();
    f.put_all(&records).await;
    for record in &records {
        let found = f.get(&record.key).await.expect("the sample is there");
        assert!(same(&found, record), "{field} of {} came back otherwise", record.key.id);
    }
    let found = f.source().find(&Query::all(name("samples"), acme())).await.expect("find succeeds").records;
    assert!(found.len() == records.len() && found.iter().zip(&records).all(|(a, b)| same(a, b)), "by query");
    let found = Walk::new(all_changes(&acme())).rest(f.source()).await;
    assert!(
        found.len() == records.len() && found.iter().zip(&records).all(|(a, b)| same(a, b)),
        "in changes"
    );
}

/// Equality that tells the two zeros apart.
fn same(a: &Record, b: &Record) -> bool {
    let reals = |record: &Record| -> Vec<u64> {
        let values = record.body.iter().flatten();
        values
            .filter_map(|value| if let Value::Real(real) = value { Some(real.to_bits()) } else { None })
            .collect()
    };
    a == b && reals(a) == reals(b)
}

pub(crate) async fn whole_numbers_are_exact(f: Fixture) {
    let values = [i64::MIN, i64::MIN + 1, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, i64::MAX - 1, i64::MAX];
    round_trip(&f, "whole", values.map(Value::Integer).into()).await;
}

pub(crate) async fn reals_are_exact(f: Fixture) {
    let values = [
        0.1,
        0.1 + 0.2,
        1.0,
        -1.5,
        1e15,
        1e300,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
        9_007_199_254_740_993.0,
        2.225_073_858_507_201e-308,
        0.0,
    ];
    round_trip(&f, "real", values.map(Value::Real).into()).await;
}

pub(crate) async fn reals_are_brought_into_their_stored_form(f: Fixture) {
    let zero = f.sample("s-1", "real", Value::Real(-0.0));
    let whole = f.sample("s-2", "real", Value::Integer(3));
    f.put_all(&[zero.clone(), whole.clone()]).await;
    for (stored, expected) in [(zero, 0.0), (whole, 3.0)] {
        let expected = f.sample("x", "real", Value::Real(expected));
        let mut found = f.get(&stored.key).await.expect("the sample is there");
        (found.key, found.metadata) = (expected.key.clone(), expected.metadata);
        assert!(same(&found, &expected));
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let record = f.sample("s-3", "real", Value::Real(bad));
        assert_eq!(f.refused(f.push(vec![put(&record)])).await.kind(), ErrorKind::InvalidInput);
    }
}

pub(crate) async fn text_stays_text(f: Fixture) {
    let texts = [
        "",
        " ",
        "007",
        "1e5",
        "1.0",
        "-0",
        "null",
        "NULL",
        "true",
        "2026-01-01",
        "é",
        "e\u{301}",
        "💡👩‍👩‍👧",
        "ﷺ",
        "trailing ",
        "\ttab\r\nline\n",
        "it's \"quoted\" `so` \\n",
        "%_*?[]",
        "'; DROP TABLE samples; --",
        "$set",
        "{\"a\":1}",
        "\u{feff}bom",
        "\u{200b}",
        "\u{10ffff}",
        "\u{1}\u{7f}",
        "x'00'",
        "0x10",
    ];
    round_trip(&f, "text", texts.map(Value::from).into()).await;
}

pub(crate) async fn large_values_fit(f: Fixture) {
    let half_a_megabyte = "0123456789abcdef".repeat(32_000);
    let nearly_the_limit = "å".repeat(fastsync_core::MAX_RECORD_BYTES / 2 - 100);
    round_trip(&f, "text", vec![half_a_megabyte.into(), nearly_the_limit.into()]).await;
}

pub(crate) async fn bytes_are_exact(f: Fixture) {
    let all: Vec<_> = (0..=255).collect();
    let values = [vec![], vec![0], vec![0, 0, 0], vec![255, 254], b"text".to_vec(), all.repeat(1_000)];
    round_trip(&f, "bytes", values.map(Value::Bytes).into()).await;
}

pub(crate) async fn json_keeps_its_text(f: Fixture) {
    let deep = format!(
        "{}1{}",
        "[".repeat(fastsync_core::MAX_JSON_DEPTH),
        "]".repeat(fastsync_core::MAX_JSON_DEPTH)
    );
    let texts = [
        "{\"z\":1,\"a\":2,\"m\":{\"y\":1,\"b\":2}}",
        "[]",
        "{}",
        "null",
        "\"text\"",
        "\"007\"",
        "12345678901234567",
        "[1,1.0,0.1,-1.5,true,false,null,[],{}]",
        "{\"$set\":{\"a.b\":1},\"__proto__\":null,\"\":\"\"}",
        "[\"é\",\"e\u{301}\",\"💡\",\"\\n\\\"\\\\\"]",
        &deep,
    ];
    round_trip(&f, "json", texts.map(|text| Value::Json(text.to_owned())).into()).await;
}

/// Numbers that no column of fewer digits holds, and no floating point number.
const DECIMALS: [&str; 9] = [
    "0",
    "0.1",
    "-1.5",
    "9007199254740993",
    "1234567890.000000000000000012",
    "9999999999999999999999999999",
    "-9999999999999999999999999999",
    "0.0000000000000000000000000001",
    "-0.9999999999999999999999999999",
];

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().expect("a number of the suite is well formed"))
}

pub(crate) async fn other_kinds_are_exact(f: Fixture) {
    let table: [(&str, Vec<Value>); 6] = [
        ("flag", vec![true.into(), false.into()]),
        (
            "uuid",
            vec![
                "00000000-0000-0000-0000-000000000000".into(),
                "018f3a52-7f00-7000-8000-0000000000aa".into(),
            ],
        ),
        (
            "moment",
            vec![
                "2026-11-21T10:00:00.123456789Z".into(),
                "2040-02-29T23:59:59.000000000Z".into(),
                "9999-12-31T23:59:59.999999999Z".into(),
                "0000-01-01T00:00:00.000000000Z".into(),
            ],
        ),
        ("decimal", DECIMALS.map(decimal).into()),
        ("local", vec!["2026-11-21T10:00:00.123456789".into(), "0000-01-01T00:00:00.000000000".into()]),
        ("day", vec!["2024-02-29".into(), "0000-01-01".into(), "9999-12-31".into()]),
    ];
    for (field, values) in table {
        round_trip(&f, field, values).await;
        f.apply(f.clear("samples", &acme(), 0)).await;
    }
}

pub(crate) async fn null_is_not_empty(f: Fixture) {
    let empty: [(&str, Value); 9] = [
        ("decimal", decimal("0")),
        ("flag", false.into()),
        ("whole", 0_i64.into()),
        ("real", 0.0.into()),
        ("text", "".into()),
        ("bytes", Vec::<u8>::new().into()),
        ("json", Value::Json("null".into())),
        ("uuid", "00000000-0000-0000-0000-000000000000".into()),
        ("moment", "0000-01-01T00:00:00.000000000Z".into()),
    ];
    for (field, value) in empty {
        round_trip(&f, field, vec![Value::Null, value, Value::Null]).await;
        f.apply(f.clear("samples", &acme(), 0)).await;
    }
}

pub(crate) async fn staged_values_are_exact(f: Fixture) {
    let records = [
        f.sample("s-0", "real", Value::Real(0.1)),
        f.sample("s-1", "bytes", vec![0_u8, 255].into()),
        f.sample("s-2", "json", Value::Json("{\"z\":1,\"a\":[0.1]}".into())),
        f.sample("s-3", "text", "007".into()),
        f.sample("s-4", "whole", Value::Integer(i64::MAX)),
        f.sample("s-5", "text", "{}".into()),
        f.sample("s-6", "decimal", decimal("-1234567890.000000000000000012")),
    ];
    let commit = Commit { writes: Writes::Staged { overrides: vec![] }, ..f.push(vec![]) };
    f.stage(commit.session, 0, records.iter().map(put).collect()).await;
    f.apply(commit).await;
    for record in records {
        assert!(f.get(&record.key).await == Some(record));
    }
}
