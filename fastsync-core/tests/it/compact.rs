//! The binary form says what JSON says, and no input makes its reader panic.

use fastsync_core::protocol::*;
use fastsync_core::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn write<T>(message: &T) -> Vec<u8>
where
    for<'a> Compact<&'a T>: Serialize,
{
    let mut bytes = Vec::new();
    Compact(message).serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).unwrap();
    bytes
}

fn read<'de, T>(bytes: &'de [u8]) -> Result<T, rmp_serde::decode::Error>
where
    Compact<T>: Deserialize<'de>,
{
    rmp_serde::from_slice::<Compact<T>>(bytes).map(|Compact(message)| message)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        real().prop_map(Into::into),
        "[^\0]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec(("[a-z\"é]{0,6}", inner), 0..5)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn real() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |real| real.is_finite()),
        prop::sample::select(vec![
            0.0,
            -0.0,
            1.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::EPSILON
        ]),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        prop::sample::select(vec![i64::MIN, -129, -128, -33, -1, 0, 127, 255, 65_536, i64::MAX])
            .prop_map(Value::Integer),
        real().prop_map(Value::Real),
        ".{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        json().prop_map(|json| Value::json(&json).unwrap()),
    ]
}

fn id() -> impl Strategy<Value = ObjectId> {
    prop_oneof![
        any::<u128>().prop_map(|bits| ObjectId::from(uuid::Uuid::from_u128(bits))),
        any::<u128>().prop_map(|bits| {
            ObjectId::new(uuid::Uuid::from_u128(bits).to_string().to_uppercase()).unwrap()
        }),
        any::<i64>().prop_map(ObjectId::from),
        "[^\\p{Cc}]{1,20}".prop_map(|text| ObjectId::new(text).unwrap()),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let body = prop::option::of(prop::collection::vec(value(), 0..6));
    (id(), any::<u64>(), any::<u64>(), 0..=Hlc::MAX.to_bits(), any::<u32>(), body).prop_map(
        |(id, revision, incarnation, time, device, body)| {
            let time = Hlc::from_bits(time).unwrap();
            Row::new(
                id,
                Revision::from_bits(revision),
                Incarnation::from_bits(incarnation),
                time,
                device,
                body,
            )
        },
    )
}

fn payload() -> impl Strategy<Value = SyncPayload> {
    let zone = prop_oneof![Just(Zone::Global), Just(Zone::restricted("user:42").unwrap())];
    let group = (zone, prop::collection::vec(row(), 0..4))
        .prop_map(|(zone, rows)| RecordGroup::new(zone, TypeName::new("items").unwrap(), rows));
    let device = any::<u128>().prop_map(|bits| DeviceId::from_uuid(uuid::Uuid::from_u128(bits)));
    (prop::collection::vec(device, 0..3), prop::collection::vec(group, 0..3))
        .prop_map(|(devices, groups)| SyncPayload::new(devices, groups))
}

fn push(payload: SyncPayload) -> PushRequest {
    let types = [(
        TypeName::new("items").unwrap(),
        TypeVersion::new(3, IdKind::Text, vec![FieldName::new("name").unwrap()]),
    )];
    let device = DeviceId::from_uuid(uuid::Uuid::from_u128(7));
    let mut metadata = SyncOperationMetadata::new(device, std::iter::empty());
    metadata.types = types.into();
    PushRequest::new(metadata, SessionId::from_uuid(uuid::Uuid::from_u128(9)), 1, payload)
}

fn page(payload: SyncPayload, remaining: Option<u64>) -> PullReply {
    let mut page = PullPage::new(Cursor::from("sealed".to_owned()), Timestamp::from_millis(7), payload);
    (page.caught_up, page.remaining) = (false, remaining);
    page.outdated_types = vec![TypeName::new("prices").unwrap()];
    PullReply::Page(page)
}

proptest! {
    #[test]
    fn what_is_read_equals_what_json_gives(payload in payload(), remaining in any::<Option<u64>>()) {
        let request = push(payload.clone());
        let through_json: PushRequest = serde_json::from_slice(&serde_json::to_vec(&request).unwrap()).unwrap();
        prop_assert_eq!(&read::<PushRequest>(&write(&request)).unwrap(), &through_json);
        // A store that was told so once may send it again in the other form.
        prop_assert_eq!(&read::<PushRequest>(&write(&through_json)).unwrap(), &through_json);

        let reply = page(payload.clone(), remaining);
        let through_json: PullReply = serde_json::from_slice(&serde_json::to_vec(&reply).unwrap()).unwrap();
        prop_assert_eq!(read::<PullReply>(&write(&reply)).unwrap(), through_json);

        let mut receipt = PushReceipt::new(request.session, Revision::from_bits(3));
        receipt.current = payload;
        let receipt = PushReply::Processed(receipt);
        let through_json: PushReply = serde_json::from_slice(&serde_json::to_vec(&receipt).unwrap()).unwrap();
        prop_assert_eq!(read::<PushReply>(&write(&receipt)).unwrap(), through_json);
    }

    #[test]
    fn damaged_messages_are_errors_or_other_messages(
        payload in payload(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = write(&push(payload));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read::<PushRequest>(&bytes);
    }

    #[test]
    fn noise_is_no_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read::<PushRequest>(&bytes).is_err());
        prop_assert!(read::<PullReply>(&bytes).is_err());
    }
}

#[test]
fn no_part_of_a_message_is_a_message() {
    let row = Row::new(
        ObjectId::from(7),
        Revision::NONE,
        Incarnation::default(),
        Hlc::MAX,
        0,
        Some(vec![Value::Bytes(vec![1; 3]), Value::Json("[1]".into()), Value::Real(0.5), Value::Null]),
    );
    let group = RecordGroup::new(Zone::Global, TypeName::new("items").unwrap(), vec![row]);
    let payload = SyncPayload::new(vec![DeviceId::from_uuid(uuid::Uuid::nil())], vec![group]);
    for bytes in [write(&push(payload.clone())), write(&page(payload, None))] {
        for end in 0..bytes.len() {
            assert!(read::<PushRequest>(&bytes[..end]).is_err() && read::<PullReply>(&bytes[..end]).is_err());
        }
    }
}

#[test]
fn replies_have_the_members_of_their_result_in_any_order() {
    let read = |text: &str| serde_json::from_str::<PushReply>(text);
    assert_eq!(read(r#"{"last":4,"result":"gap"}"#).unwrap(), PushReply::Gap { last: 4 });
    for text in [
        r#"{"result":"gap"}"#,
        r#"{"result":"gap","last":null}"#,
        r#"{"result":"gap","last":4,"last":5}"#,
        r#"{"result":"gap","last":4,"session":null}"#,
        r#"{"result":"client_forked","last":4}"#,
        r#"{"result":"processed","last":4}"#,
        r#"{"last":4}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    let page = serde_json::to_string(&page(SyncPayload::default(), None)).unwrap();
    assert!(serde_json::from_str::<PullReply>(&page).is_ok());
    assert!(serde_json::from_str::<PullReply>(&page.replace("\"remaining\":null,", "")).is_ok());
    for (from, to) in [
        ("\"result\":\"page\"", "\"result\":\"reset_required\""),
        ("\"caught_up\":false,", ""),
        ("\"remaining\":null", "\"reason\":\"horizon\""),
        ("\"remaining\":null", "\"reason\":null"),
        ("\"remaining\":null", "\"remaining\":null,\"remaining\":null"),
    ] {
        assert!(page.contains(from), "{from}");
        assert!(serde_json::from_str::<PullReply>(&page.replace(from, to)).is_err(), "{to}");
    }
}
