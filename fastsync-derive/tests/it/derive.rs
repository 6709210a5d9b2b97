//! What the macro writes: every kind of field, there and back.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use fastsync_core::{
    Decimal, Error, ErrorKind, FieldKind, FieldValue, IdKind, ObjectId, Result, SyncableObject, Timestamp,
    TypeSchema, Value,
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Size {
    width: f64,
    height: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Box { size: Size },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    InStock,
    SoldOut,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Label(String);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cents(i64);

impl FieldValue for Cents {
    const KIND: FieldKind = FieldKind::Integer;
    fn to_value(&self) -> Result<Value> {
        self.0.to_value()
    }
    fn from_value(value: Value) -> Result<Self> {
        i64::from_value(value).map(Self)
    }
}

type Note = Option<String>;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "everything", priority = -3)]
#[syncable(restricted, version = 7)]
struct Everything {
    flag: bool,
    tiny: i8,
    small: i16,
    medium: i32,
    large: i64,
    native: isize,
    byte: u8,
    word: u16,
    double: u32,
    quad: u64,
    size: usize,
    single: f32,
    real: f64,
    amount: Decimal,
    text: String,
    #[syncable(id)]
    key: Uuid,
    other: Uuid,
    bytes: Vec<u8>,
    at: Timestamp,
    utc: DateTime<Utc>,
    naive: NaiveDateTime,
    day: NaiveDate,
    hour: NaiveTime,
    fixed: DateTime<FixedOffset>,
    offset: OffsetDateTime,
    primitive: PrimitiveDateTime,
    date: time::Date,
    clock: time::Time,
    nested: Size,
    shape: Shape,
    #[syncable(text)]
    state: State,
    #[syncable(text)]
    label: Label,
    tags: Vec<String>,
    counts: BTreeMap<String, i64>,
    pair: (i64, String),
    array: [u8; 2],
    #[syncable(value)]
    price: Cents,
    #[syncable(value)]
    note: Note,
    #[syncable(json)]
    forced: i64,
    #[syncable(skip)]
    cached: Option<Box<str>>,
    #[syncable(rename = "title")]
    name: String,
    r#type: String,
    #[syncable(text)]
    parent: ObjectId,
}

fn everything() -> Everything {
    Everything {
        flag: true,
        tiny: i8::MIN,
        small: i16::MIN,
        medium: i32::MIN,
        large: i64::MIN,
        native: isize::MAX,
        byte: u8::MAX,
        word: u16::MAX,
        double: u32::MAX,
        quad: u64::MAX / 2,
        size: 0,
        single: f32::MIN_POSITIVE,
        real: 0.1 + 0.2,
        amount: "-12345678901234567890.12345678".parse().unwrap(),
        text: "quote \" and \u{1F600}\n".into(),
        key: Uuid::from_u128(1),
        other: Uuid::from_u128(u128::MAX),
        bytes: vec![0, 255],
        at: Timestamp::from_millis(1_700_000_000_123),
        utc: DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap(),
        naive: NaiveDate::from_ymd_opt(2024, 2, 29).unwrap().and_hms_milli_opt(23, 59, 59, 7).unwrap(),
        day: NaiveDate::from_ymd_opt(1, 1, 1).unwrap(),
        hour: NaiveTime::from_hms_opt(0, 0, 0).unwrap(),
        fixed: DateTime::parse_from_rfc3339("2024-12-31T23:59:59.000000001-11:00").unwrap(),
        offset: OffsetDateTime::from_unix_timestamp_nanos(-1)
            .unwrap()
            .to_offset(time::UtcOffset::from_hms(5, 30, 15).unwrap()),
        primitive: PrimitiveDateTime::new(
            time::Date::from_calendar_date(2024, time::Month::February, 29).unwrap(),
            time::Time::from_hms_nano(23, 59, 59, 999_999_999).unwrap(),
        ),
        date: time::Date::from_calendar_date(0, time::Month::January, 1).unwrap(),
        clock: time::Time::MIDNIGHT,
        nested: Size { width: 1.0, height: None },
        shape: Shape::Box { size: Size { width: 2.5, height: Some(3) } },
        state: State::SoldOut,
        label: Label("a \"b\"".into()),
        tags: vec![String::new(), "x".into()],
        counts: BTreeMap::from([("b".into(), 1), ("a".into(), i64::MAX)]),
        pair: (1, "one".into()),
        array: [1, 2],
        price: Cents(-1),
        note: None,
        forced: 5,
        cached: None,
        name: "bolt".into(),
        r#type: "part".into(),
        parent: ObjectId::new("p1").unwrap(),
    }
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "maybe")]
struct Maybe {
    #[syncable(id, rename = "code")]
    id: i64,
    flag: Option<bool>,
    whole: Option<i64>,
    unsigned: Option<u64>,
    real: Option<f64>,
    text: Option<String>,
    uuid: Option<Uuid>,
    bytes: Option<Vec<u8>>,
    at: Option<Timestamp>,
    utc: Option<DateTime<Utc>>,
    offset: Option<OffsetDateTime>,
    nested: Option<Size>,
    shape: Option<Shape>,
    #[syncable(text)]
    state: Option<State>,
    tags: Option<Vec<String>>,
    #[syncable(value)]
    price: Option<Cents>,
    #[syncable(json)]
    forced: Option<String>,
    any: Option<serde_json::Value>,
}

const NOTHING: Maybe = Maybe {
    id: i64::MIN,
    flag: None,
    whole: None,
    unsigned: None,
    real: None,
    text: None,
    uuid: None,
    bytes: None,
    at: None,
    utc: None,
    offset: None,
    nested: None,
    shape: None,
    state: None,
    tags: None,
    price: None,
    forced: None,
    any: None,
};

fn something() -> Maybe {
    Maybe {
        id: i64::MAX,
        flag: Some(false),
        whole: Some(i64::MAX),
        unsigned: Some(0),
        real: Some(f64::MAX),
        text: Some(String::new()),
        uuid: Some(Uuid::nil()),
        bytes: Some(Vec::new()),
        at: Some(Timestamp::from_millis(0)),
        utc: Some(DateTime::UNIX_EPOCH),
        offset: Some(OffsetDateTime::UNIX_EPOCH),
        nested: Some(Size { width: -1.0, height: Some(0) }),
        shape: Some(Shape::Point),
        state: Some(State::InStock),
        tags: Some(Vec::new()),
        price: Some(Cents(0)),
        forced: Some("null".into()),
        any: Some(serde_json::json!({"b": 1, "a": [null]})),
    }
}

/// There and back, directly and over the wire.
#[track_caller]
fn round_trip<T: SyncableObject + PartialEq + Debug>(object: &T) {
    let id = object.id().unwrap();
    let body = object.to_body().unwrap();
    let mut admitted = body.clone();
    T::schema().unwrap().admit(&mut admitted).unwrap();
    assert_eq!(admitted, body, "`to_body` gives the stored form");
    let mut wire: Vec<Value> = serde_json::from_str(&serde_json::to_string(&body).unwrap()).unwrap();
    T::schema().unwrap().admit(&mut wire).unwrap();
    assert_eq!(wire, body);
    assert_eq!(T::from_body(&id, body).unwrap(), *object);
}

#[test]
fn every_kind_round_trips() {
    round_trip(&everything());
    round_trip(&NOTHING);
    round_trip(&something());
    for shape in [Shape::Point, Shape::Circle(1e-300)] {
        round_trip(&Everything { shape, note: Some("x".into()), state: State::InStock, ..everything() });
    }
}

#[test]
fn the_schema_is_exact() {
    use FieldKind::{
        Boolean, Bytes, Date, Decimal, I8, I16, I32, Instant, Integer, Json, LocalDateTime, Real, Text, Time,
        U8, U16, U32, Uuid,
    };
    let fields = [
        ("flag", Boolean),
        ("tiny", I8),
        ("small", I16),
        ("medium", I32),
        ("large", Integer),
        ("native", Integer),
        ("byte", U8),
        ("word", U16),
        ("double", U32),
        ("quad", Integer),
        ("size", Integer),
        ("single", Real),
        ("real", Real),
        ("amount", Decimal),
        ("text", Text),
        ("other", Uuid),
        ("bytes", Bytes),
        ("at", Integer),
        ("utc", Instant),
        ("naive", LocalDateTime),
        ("day", Date),
        ("hour", Time),
        ("fixed", Instant),
        ("offset", Instant),
        ("primitive", LocalDateTime),
        ("date", Date),
        ("clock", Time),
        ("nested", Json),
        ("shape", Json),
        ("state", Text),
        ("label", Text),
        ("tags", Json),
        ("counts", Json),
        ("pair", Json),
        ("array", Json),
        ("price", Integer),
        ("note", Text),
        ("forced", Json),
        ("title", Text),
        ("type", Text),
        ("parent", Text),
    ];
    let expected = fields.into_iter().fold(
        TypeSchema::builder("everything", "key").id_kind(IdKind::Uuid).version(7).priority(-3).restricted(),
        |schema, (name, kind)| match name {
            "note" => schema.nullable_field(name, kind),
            "state" | "label" | "parent" => schema.field(name, kind).zeroless(name),
            name => schema.field(name, kind),
        },
    );
    assert_eq!(Everything::schema().unwrap(), expected.build().unwrap());

    let nullable = [
        ("flag", Boolean),
        ("whole", Integer),
        ("unsigned", Integer),
        ("real", Real),
        ("text", Text),
        ("uuid", Uuid),
        ("bytes", Bytes),
        ("at", Integer),
        ("utc", Instant),
        ("offset", Instant),
        ("nested", Json),
        ("shape", Json),
        ("state", Text),
        ("tags", Json),
        ("price", Integer),
        ("forced", Json),
        ("any", Json),
    ];
    let expected = nullable
        .into_iter()
        .fold(TypeSchema::builder("maybe", "code").id_kind(IdKind::Integer), |schema, (name, kind)| {
            schema.nullable_field(name, kind)
        });
    assert_eq!(Maybe::schema().unwrap(), expected.build().unwrap());
}

#[test]
fn the_body_is_plain() {
    assert!(NOTHING.to_body().unwrap().iter().all(|value| *value == Value::Null));
    assert_eq!(NOTHING.id().unwrap().as_str(), i64::MIN.to_string());
    let body = everything().to_body().unwrap();
    let value = |name: &str| {
        let schema = Everything::schema().unwrap();
        let at = schema.fields().iter().position(|field| field.name.as_str() == name).unwrap();
        body[at].clone()
    };
    assert_eq!(value("state"), Value::Text("sold_out".into()));
    assert_eq!(value("label"), Value::Text("a \"b\"".into()));
    assert_eq!(value("parent"), Value::Text("p1".into()));
    assert_eq!(value("nested"), Value::Json(r#"{"width":1.0,"height":null}"#.into()));
    assert_eq!(value("forced"), Value::Json("5".into()));
    assert_eq!(value("utc"), Value::Text("2023-11-14T22:13:20.123456789Z".into()));
    assert_eq!(value("fixed"), Value::Text("2025-01-01T10:59:59.000000001Z".into()));
    assert_eq!(value("offset"), Value::Text("1969-12-31T23:59:59.999999999Z".into()));
    assert_eq!(value("naive"), Value::Text("2024-02-29T23:59:59.007000000".into()));
    assert_eq!(value("day"), Value::Text("0001-01-01".into()));
    assert_eq!(value("clock"), Value::Text("00:00:00.000000000".into()));
}

#[test]
fn a_skipped_field_is_read_as_its_default() {
    let object = Everything { cached: Some("x".into()), ..everything() };
    let read = Everything::from_body(&object.id().unwrap(), object.to_body().unwrap()).unwrap();
    assert_eq!(read, everything());
}

#[track_caller]
fn refused<T>(result: Result<T>, part: &str) -> Error {
    let Err(error) = result else { panic!("accepted, without {part}") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(part), "{part} is missing in {error}");
    error
}

#[test]
fn errors_name_the_field() {
    refused(Everything { quad: u64::MAX, ..everything() }.to_body(), "[field: everything.quad]");
    let leap = NaiveTime::from_hms_nano_opt(23, 59, 59, 1_000_000_000).unwrap();
    refused(Everything { hour: leap, ..everything() }.to_body(), "[field: everything.hour]");
    refused(
        Everything { utc: DateTime::<Utc>::MAX_UTC, ..everything() }.to_body(),
        "[field: everything.utc]",
    );
    let before = time::Date::from_calendar_date(-1, time::Month::January, 1).unwrap();
    refused(Everything { date: before, ..everything() }.to_body(), "[field: everything.date]");
    refused(Everything { real: f64::NAN, ..everything() }.to_body(), "[field: everything.real]");
    refused(Maybe { any: Some(serde_json::Value::Null), ..NOTHING }.to_body(), "[field: maybe.any]");

    let id = something().id().unwrap();
    let body = something().to_body().unwrap();
    refused(Maybe::from_body(&ObjectId::new("x").unwrap(), body.clone()), "[field: maybe.code]");
    refused(Maybe::from_body(&id, body[1..].to_vec()), "type maybe has 17 fields, the body has 16");
    for (at, wrong, field) in [
        (1, Value::Text("1".into()), "whole"),
        (10, Value::Json("[]".into()), "nested"),
        (10, Value::Text("{}".into()), "nested"),
        (12, Value::Text("gone".into()), "state"),
        (12, Value::Json("\"in_stock\"".into()), "state"),
        (14, Value::Real(1.0), "price"),
    ] {
        let mut body = body.clone();
        body[at] = wrong;
        refused(Maybe::from_body(&id, body), &format!("[field: maybe.{field}]"));
    }
    let mut body = everything().to_body().unwrap();
    body[0] = Value::Null;
    refused(Everything::from_body(&id, body.clone()), "[field: everything.key]");
    refused(Everything::from_body(&everything().id().unwrap(), body), "[field: everything.flag]");
}

#[derive(Debug, PartialEq, SyncableObject)]
struct Loose {
    #[syncable(id)]
    id: String,
    any: serde_json::Value,
    #[syncable(text)]
    text: serde_json::Value,
}

#[test]
fn what_serde_makes_is_checked() {
    use serde_json::json;
    let loose = |any, text| Loose { id: "a".into(), any, text };
    round_trip(&loose(json!([null]), json!("x")));
    round_trip(&loose(json!("null"), json!("")));
    refused(loose(json!(null), json!("x")).to_body(), "[field: Loose.any]");
    for text in [json!(null), json!(1), json!(["x"]), json!("\0")] {
        refused(loose(json!(1), text).to_body(), "[field: Loose.text]");
    }
    refused(Loose { id: String::new(), any: json!(1), text: json!("") }.id(), "[field: Loose.id]");
}

#[test]
fn a_default_is_stored_as_a_value_of_its_field() {
    #[derive(Debug, SyncableObject)]
    #[syncable(name = "grown")]
    struct Grown {
        #[syncable(id)]
        id: Uuid,
        #[syncable(default = "open", was = "label", was = "name")]
        title: String,
        #[syncable(default = -3)]
        rating: i32,
        #[syncable(default = 1)]
        size: Option<u8>,
        #[syncable(default = "none")]
        note: Option<String>,
        #[syncable(default = Uuid::from_u128(7))]
        owner: Uuid,
        #[syncable(text, default = State::InStock)]
        state: State,
        #[syncable(default = vec!["new".to_owned()])]
        tags: Vec<String>,
        #[syncable(default = None)]
        shape: Option<Shape>,
        #[syncable(text)]
        last: State,
        plain: Option<i64>,
    }
    let schema = Grown::schema().unwrap();
    let initial: Vec<_> = schema.fields().iter().map(|field| field.initial()).collect();
    let expected: [Value; 10] = [
        "open".into(),
        (-3_i64).into(),
        1_i64.into(),
        "none".into(),
        Uuid::from_u128(7).to_string().into(),
        "in_stock".into(),
        Value::Json(r#"["new"]"#.into()),
        Value::Null,
        "".into(),
        Value::Null,
    ];
    assert!(initial == expected, "{initial:?}");
    let was: Vec<_> = schema.fields()[0].was.iter().map(|name| name.as_str()).collect();
    assert_eq!(was, ["label", "name"]);
    let without: Vec<_> = schema.fields().iter().filter(|field| !field.has_initial()).collect();
    assert_eq!(without.len(), 1, "empty text is no state: {without:?}");
}
