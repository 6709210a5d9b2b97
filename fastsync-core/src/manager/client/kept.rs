//! The stored form of a session that waits for its receipt. It is not that of the messages: those may have more members
//! in a later release, and what is stored here has none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::queue::InFlight;
use crate::error::Result;
use crate::model::{
    DeviceId, FieldName, Hlc, Incarnation, ObjectId, Revision, SessionId, TypeName, Value, Zone,
};
use crate::protocol::{
    FeatureName, PushMode, PushRequest, RecordGroup, Row, SyncOperationMetadata, SyncPayload, TypeVersion,
};
use crate::schema::IdKind;
use crate::source::entry;

/// Written with what is lent (`I` and `B` are references), read with what is owned: the bytes are the same. Fields are
/// told by their place.
#[derive(Serialize, Deserialize)]
struct Kept<I, B> {
    protocol: u16,
    device: DeviceId,
    requires: Vec<FeatureName>,
    types: Vec<(TypeName, u32, IdKind, Vec<FieldName>, u32)>,
    session: SessionId,
    number: u64,
    follows: Option<SessionId>,
    mode: KeptMode,
    devices: Vec<DeviceId>,
    groups: Vec<KeptGroup<I, B>>,
    changes: Vec<u64>,
}

type KeptGroup<I, B> = (Zone, TypeName, Vec<KeptRow<I, B>>);

/// As in a [`Row`].
type KeptRow<I, B> = (I, Revision, Incarnation, Hlc, u32, Option<B>);

#[derive(Serialize, Deserialize)]
enum KeptMode {
    Atomic,
    PerObject,
}

pub(super) fn encode(session: &InFlight) -> Result<Vec<u8>> {
    // Whoever adds a member to a message decides here whether a push in flight keeps it.
    let InFlight { request, changes } = session;
    // What is withdrawn is not kept as such: it is what waits.
    let PushRequest { metadata, session, number, follows, mode, withdraw: _, payload } = request.request();
    let SyncOperationMetadata { protocol, device, requires, types } = metadata;
    let SyncPayload { devices, groups } = payload;
    let described = types.iter().map(|(name, TypeVersion { version, id, fields, min_version })| {
        (name.clone(), *version, *id, fields.clone(), *min_version)
    });
    let groups = groups.iter().map(|RecordGroup { zone, type_name, rows }| {
        let rows = rows.iter().map(|Row(id, revision, incarnation, modified_at, device, body)| {
            (id, *revision, *incarnation, *modified_at, *device, body.as_deref())
        });
        (zone.clone(), type_name.clone(), rows.collect())
    });
    entry::encode(&Kept::<&ObjectId, &[Value]> {
        protocol: *protocol,
        device: *device,
        requires: requires.iter().cloned().collect(),
        types: described.collect(),
        session: *session,
        number: *number,
        follows: *follows,
        mode: match mode {
            PushMode::Atomic => KeptMode::Atomic,
            PushMode::PerObject => KeptMode::PerObject,
        },
        devices: devices.clone(),
        groups: groups.collect(),
        changes: changes.clone(),
    })
}

pub(super) fn decode(stored: &[u8]) -> Result<InFlight> {
    let kept: Kept<ObjectId, Vec<Value>> = entry::decode(stored)?;
    let types: BTreeMap<_, _> = kept
        .types
        .into_iter()
        .map(|(name, version, id, fields, min_version)| {
            (name, TypeVersion { version, id, fields, min_version })
        })
        .collect();
    let groups = kept.groups.into_iter().map(|(zone, type_name, rows)| {
        let rows = rows.into_iter().map(|(id, revision, incarnation, modified_at, device, body)| {
            Row(id, revision, incarnation, modified_at, device, body)
        });
        RecordGroup { zone, type_name, rows: rows.collect() }
    });
    let request = PushRequest {
        metadata: SyncOperationMetadata {
            protocol: kept.protocol,
            device: kept.device,
            requires: kept.requires.into_iter().collect(),
            types,
        },
        session: kept.session,
        number: kept.number,
        follows: kept.follows,
        mode: match kept.mode {
            KeptMode::Atomic => PushMode::Atomic,
            KeptMode::PerObject => PushMode::PerObject,
        },
        withdraw: Vec::new(),
        payload: SyncPayload { devices: kept.devices, groups: groups.collect() },
    };
    Ok(InFlight { request: request.into(), changes: kept.changes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    /// A session in which no part is empty.
    fn session() -> InFlight {
        let id = |n| uuid::Uuid::from_u128(n);
        let device = DeviceId::from_uuid(id(7));
        let row = |name: &str, body| {
            let time = Hlc::new(Timestamp::from_millis(1_795_294_580_370), 2);
            Row(
                ObjectId::new(name).unwrap(),
                Revision::from_bits(5),
                Incarnation::from_bits(6),
                time,
                0,
                body,
            )
        };
        let values = vec![
            Value::Null,
            Value::Bool(true),
            Value::Integer(-3),
            Value::Real(0.5),
            Value::Text("a".into()),
            Value::Bytes(vec![0, 0xff]),
            Value::Json("[1]".into()),
        ];
        let fields = ["a", "b", "c", "d", "e", "f", "g"].map(|name| FieldName::new(name).unwrap()).to_vec();
        let items = TypeName::new("items").unwrap();
        let group = |zone, rows| RecordGroup { zone, type_name: items.clone(), rows };
        let request = PushRequest {
            metadata: SyncOperationMetadata {
                protocol: 1,
                device,
                types: [(
                    items.clone(),
                    TypeVersion { version: 3, id: IdKind::Uuid, fields, min_version: 2 },
                )]
                .into(),
                requires: [FeatureName::new("fly").unwrap()].into(),
            },
            session: SessionId::from_uuid(id(1)),
            number: 300,
            follows: Some(SessionId::from_uuid(id(2))),
            mode: PushMode::PerObject,
            withdraw: Vec::new(),
            payload: SyncPayload {
                devices: vec![device],
                groups: vec![
                    group(Zone::Global, vec![row("1", Some(values)), row("2", None)]),
                    group(Zone::restricted("z").unwrap(), vec![row("3", Some(Vec::new()))]),
                ],
            },
        };
        InFlight { request: request.into(), changes: vec![1, 2, 3] }
    }

    /// Fails if a part of a push is forgotten while it waits, or the form changes: form 1 stays as it is.
    #[test]
    fn a_session_is_kept_whole_and_as_in_its_file() {
        let mut session = session();
        let stored = encode(&session).unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../tests/golden/stored/session-1.hex").trim_end());
        assert_eq!(decode(&stored).unwrap(), session);
        session.request.request_mut().mode = PushMode::Atomic;
        assert_eq!(decode(&encode(&session).unwrap()).unwrap(), session);
    }
}
