//! What a push amounts to, for telling a retry from another push with its number.
//!
//! It is over what the push says and not over how it was written, so that a device may send a push again in another form
//! of the messages, after an update, or with members that this server ignores. In this order, with a length of 8 bytes
//! before all that varies in length, whole numbers little-endian:
//!
//! 1. the session, the number, the session that it follows (0, or 1 and its id), the mode (0 atomic, 1 per object);
//! 2. the number of rows, and for each row, in the order of zone, type and id:
//!    - zone, type, id,
//!    - base, incarnation, time of modification,
//!    - the modifying device's id, not its place in the table (0 if the table has no such place, or 1 and the id),
//!    - 0 for a deletion; else 1, the number of values, and the values in the order of their fields' names, each after its
//!      field's name. Values that the sender does not name follow in the order of the row, each after an empty name.
//!
//! A value is a byte for its kind (0 null, 1 boolean, 2 whole number, 3 real, 4 text, 5 JSON) and its content. Bytes and
//! decimal numbers count as the text that they are in messages.
//!
//! Left out on purpose: the protocol version, the versions of types, and the required features, which an update of the
//! device may change between two tries; the order of groups, rows and fields, which says nothing; the server's types, so
//! that a retry is known whatever they are by now. The user and the device are in the key of the receipt.

use base64::Engine as _;

use crate::model::{DeviceId, FieldName, SessionId, Value};
use crate::protocol::{PushMode, PushRequest, Row};

/// The digest of a push.
pub(super) fn digest(request: &PushRequest) -> [u8; 32] {
    // A withdrawal is no push, and has no digest.
    let PushRequest { metadata, session, number, follows, mode, withdraw: _, payload } = request;
    let mut digest = Digest::new();
    digest.session(*session);
    digest.number(*number);
    digest.option(follows.as_ref(), |digest, session| digest.session(*session));
    digest.byte(match mode {
        PushMode::Atomic => 0,
        PushMode::PerObject => 1,
    });
    let groups: Vec<_> = payload
        .groups
        .iter()
        .map(|group| {
            let fields = metadata.types.get(&group.type_name).map_or(&[][..], |sender| &sender.fields);
            let order = by_name(fields);
            (Group { zone: group.zone.to_string(), type_name: group.type_name.as_str(), order }, &group.rows)
        })
        .collect();
    let mut rows: Vec<(&Group<'_>, &Row)> =
        groups.iter().flat_map(|(group, rows)| rows.iter().map(move |row| (group, row))).collect();
    rows.sort_by(|(a, one), (b, two)| {
        (&a.zone, a.type_name, one.0.as_str()).cmp(&(&b.zone, b.type_name, two.0.as_str()))
    });
    digest.length(rows.len());
    for (group, row) in rows {
        digest.row(group, row, &payload.devices);
    }
    digest.finish()
}

struct Group<'a> {
    zone: String,
    type_name: &'a str,
    /// The names of the fields with their places in rows, in the order of the names.
    order: Vec<(&'a str, usize)>,
}

fn by_name(fields: &[FieldName]) -> Vec<(&str, usize)> {
    let mut order: Vec<_> = fields.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    order.sort_unstable();
    order
}

/// Hashes in large pieces, which is several times as fast as in small ones.
struct Digest {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

const PIECE: usize = 16 << 10;

impl Digest {
    fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), buffer: Vec::with_capacity(PIECE) }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > PIECE {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
        if bytes.len() > PIECE {
            self.hasher.update(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn session(&mut self, session: SessionId) {
        self.bytes(session.as_uuid().as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                write(self, value);
            }
        }
    }

    fn row(&mut self, group: &Group<'_>, row: &Row, devices: &[DeviceId]) {
        let Row(id, base, incarnation, modified_at, device, body) = row;
        let Group { zone, type_name, order } = group;
        self.text(zone);
        self.text(type_name);
        self.text(id.as_str());
        self.number(base.to_bits());
        self.number(incarnation.to_bits());
        self.number(modified_at.to_bits());
        let device = usize::try_from(*device).ok().and_then(|place| devices.get(place));
        self.option(device, |digest, device| digest.bytes(device.as_uuid().as_bytes()));
        self.option(body.as_deref(), |digest, values| {
            digest.length(values.len());
            for (name, place) in order {
                if let Some(value) = values.get(*place) {
                    digest.text(name);
                    digest.value(value);
                }
            }
            for value in values.iter().skip(order.len()) {
                digest.text("");
                digest.value(value);
            }
        });
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(value) => self.bytes(&[1, u8::from(*value)]),
            Value::Integer(value) => {
                self.byte(2);
                self.bytes(&value.to_le_bytes());
            }
            Value::Real(value) => {
                self.byte(3);
                // Negative zero is zero.
                self.bytes(&(value + 0.0).to_bits().to_le_bytes());
            }
            Value::Text(text) => {
                self.byte(4);
                self.text(text);
            }
            Value::Bytes(bytes) => {
                self.byte(4);
                self.text(&base64::engine::general_purpose::STANDARD.encode(bytes));
            }
            Value::Json(text) => {
                self.byte(5);
                self.text(text);
            }
            Value::Decimal(number) => {
                self.byte(4);
                self.text(&number.to_string());
            }
        }
    }

    fn finish(mut self) -> [u8; 32] {
        self.hasher.update(&self.buffer);
        *self.hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hlc, Incarnation, ObjectId, Revision, Timestamp, TypeName, Zone};
    use crate::protocol::{
        FeatureName, PROTOCOL_VERSION, RecordGroup, SyncOperationMetadata, SyncPayload, TypeVersion,
    };
    use crate::schema::IdKind;

    fn uuid(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }

    fn request() -> PushRequest {
        let values = vec![
            Value::Text("Caf\u{e9}".into()),
            Value::Integer(-3),
            Value::Real(-0.0),
            Value::Bool(true),
            Value::Null,
            Value::Bytes(vec![0, 0xff, 0x80]),
            Value::Json("[1]".into()),
        ];
        let fields = ["name", "quantity", "weight", "done", "note", "photo", "extra"];
        let fields = fields.map(|name| FieldName::new(name).unwrap()).to_vec();
        let items = TypeName::new("items").unwrap();
        let time = Hlc::new(Timestamp::from_millis(1_795_294_580_370), 2);
        let row = |id: &str, body| {
            let id = ObjectId::new(id).unwrap();
            Row(id, Revision::from_bits(5), Incarnation::from_bits(6), time, 0, body)
        };
        let group = |zone, rows| RecordGroup { zone, type_name: items.clone(), rows };
        PushRequest {
            metadata: SyncOperationMetadata {
                protocol: PROTOCOL_VERSION,
                device: DeviceId::from_uuid(uuid(7)),
                types: [(items.clone(), TypeVersion::new(3, IdKind::Text, fields))].into(),
                requires: std::collections::BTreeSet::new(),
            },
            session: SessionId::from_uuid(uuid(0x0195_0000)),
            number: 12,
            follows: Some(SessionId::from_uuid(uuid(9))),
            mode: PushMode::Atomic,
            withdraw: Vec::new(),
            payload: SyncPayload {
                devices: vec![DeviceId::from_uuid(uuid(7))],
                groups: vec![
                    group(Zone::restricted("user:42").unwrap(), vec![row("b", None), row("a", Some(values))]),
                    group(Zone::Global, vec![row("c", None)]),
                ],
            },
        }
    }

    /// Fails if a server of another release would take a retry for another push.
    #[test]
    fn the_digest_is_pinned() {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(digest(&request())),
            "fb16800848ee6a3b87ccd30b026a035f2f838152fbb9f782694126ead4e2bbc1"
        );
    }

    /// Fails if something that may differ between two tries counts, or something that makes another push does not.
    #[test]
    fn what_counts_is_what_a_push_says() {
        type Change = fn(&mut PushRequest);
        let same: [(&str, Change); 8] = [
            ("protocol", |r| r.metadata.protocol = 2),
            ("features", |r| r.metadata.requires.extend([FeatureName::new("later").unwrap()])),
            ("versions of types", |r| r.metadata.types.values_mut().for_each(|t| t.version = 4)),
            ("order of groups", |r| r.payload.groups.reverse()),
            ("order of rows", |r| r.payload.groups[0].rows.reverse()),
            ("device table", |r| {
                r.payload.devices.insert(0, DeviceId::from_uuid(uuid(8)));
                r.payload.groups.iter_mut().flat_map(|g| &mut g.rows).for_each(|row| row.4 = 1);
            }),
            ("order of fields", |r| {
                r.metadata.types.values_mut().for_each(|t| t.fields.rotate_left(2));
                let values = r.payload.groups[0].rows[1].5.as_mut().unwrap();
                values.rotate_left(2);
            }),
            ("bytes and zero as in messages", |r| {
                let values = r.payload.groups[0].rows[1].5.as_mut().unwrap();
                values[5] = Value::Text("AP+A".into());
                values[2] = Value::Real(0.0);
            }),
        ];
        let other: [(&str, Change); 13] = [
            ("number", |r| r.number = 13),
            ("no predecessor", |r| r.follows = None),
            ("device", |r| r.payload.devices[0] = DeviceId::from_uuid(uuid(8))),
            ("no device", |r| r.payload.devices.clear()),
            ("name of a field", |r| {
                let (_, sender) = r.metadata.types.iter_mut().next().unwrap();
                sender.fields[1] = FieldName::new("amount").unwrap();
            }),
            ("a value less", |r| drop(r.payload.groups[0].rows[1].5.as_mut().unwrap().pop())),
            ("a value more", |r| r.payload.groups[0].rows[1].5.as_mut().unwrap().push(Value::Null)),
            ("no value", |r| r.payload.groups[0].rows[1].5 = Some(Vec::new())),
            ("kind", |r| r.payload.groups[0].rows[1].5.as_mut().unwrap()[1] = Value::Real(-3.0)),
            ("text and JSON", |r| {
                r.payload.groups[0].rows[1].5.as_mut().unwrap()[6] = Value::Text("[1]".into());
            }),
            ("boolean", |r| r.payload.groups[0].rows[1].5.as_mut().unwrap()[3] = Value::Bool(false)),
            ("id and type", |r| {
                r.payload.groups[1].type_name = TypeName::new("itemsc").unwrap();
            }),
            ("a row moves to another zone", |r| {
                let row = r.payload.groups[0].rows.remove(0);
                r.payload.groups[1].rows.push(row);
            }),
        ];
        let changed = |change: Change| {
            let mut request = request();
            change(&mut request);
            digest(&request)
        };
        for (what, change) in same {
            assert_eq!(changed(change), digest(&request()), "{what}");
        }
        let mut seen = vec![digest(&request())];
        for (what, change) in other {
            let found = changed(change);
            assert!(!seen.contains(&found), "{what}");
            seen.push(found);
        }
    }

    /// Fails if what is longer than a piece of the hasher's, or ends one, is hashed in part.
    #[test]
    fn nothing_is_left_out_at_the_ends_of_pieces() {
        let of_length = |length: usize, last: u8| {
            let mut bytes = vec![7; length];
            bytes.push(last);
            let mut digest = Digest::new();
            digest.byte(1);
            digest.bytes(&bytes);
            digest.byte(2);
            digest.finish()
        };
        for length in [0, PIECE - 3, PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let whole = [&[1][..], &vec![7; length], &[8, 2]].concat();
            assert_eq!(of_length(length, 8), *blake3::hash(&whole).as_bytes(), "{length}");
            assert_ne!(of_length(length, 8), of_length(length, 9), "{length}");
        }
    }
}
