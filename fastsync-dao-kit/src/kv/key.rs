//! Keys: everything is in one map, so that one batch of the engine's is one commit.
//!
//! A key is a tag byte and its parts. Numbers are big-endian; a part of any length that others follow is escaped and
//! ended, so that keys order exactly as their parts do and a prefix of whole parts selects exactly its keys.

use std::ops::Bound;

use fastsync_core::{ObjectId, Position, SessionId, Zone};

use crate::kv::fail::{Fail, Run};
use crate::kv::range::Range;

/// The number of a type, given at its first registration.
pub(crate) type KindNumber = u16;

// One byte per index. They are on disk.
const RECORD: u8 = b'r';
const FEED: u8 = b'f';
const TOMBSTONE: u8 = b'd';
const PENDING: u8 = b'p';
const HISTORY: u8 = b'h';
const ZONE: u8 = b'z';
const SESSION: u8 = b's';
const STAGED: u8 = b'g';
const OVERRIDES: u8 = b'o';
const STATE: u8 = b'e';
const TYPE: u8 = b't';

/// The one row that says which version wrote the store and how much was written.
pub(crate) const META: &[u8] = b"m";

/// The one row that holds a session which is committed and not yet carried out.
pub(crate) const DECISION: &[u8] = b"c";

struct Key(Vec<u8>);

impl Key {
    fn new(tag: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(tag);
        Self(bytes)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn kind(self, kind: KindNumber) -> Self {
        self.bytes(&kind.to_be_bytes())
    }

    fn zone(mut self, zone: &Zone) -> Self {
        match zone.key() {
            None => self.0.push(0),
            Some(key) => {
                self.0.push(1);
                escape(&mut self.0, key.as_bytes());
            }
        }
        self
    }
}

/// Zero is followed by 255, and the end is 0, 1: below every byte that could go on.
fn escape(out: &mut Vec<u8>, part: &[u8]) {
    for &byte in part {
        out.push(byte);
        if byte == 0 {
            out.push(255);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

/// The part that was escaped, and what follows it.
fn unescape(key: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut part = Vec::new();
    let mut rest = key;
    loop {
        rest = match rest {
            [0, 1, rest @ ..] => return Some((part, rest)),
            [0, 255, rest @ ..] => {
                part.push(0);
                rest
            }
            [0, ..] | [] => return None,
            [byte, rest @ ..] => {
                part.push(*byte);
                rest
            }
        };
    }
}

fn read_zone(key: &[u8]) -> Option<(Zone, &[u8])> {
    match key {
        [0, rest @ ..] => Some((Zone::Global, rest)),
        [1, rest @ ..] => {
            let (part, rest) = unescape(rest)?;
            Some((Zone::restricted(std::str::from_utf8(&part).ok()?).ok()?, rest))
        }
        _ => None,
    }
}

fn read_kind_and_id(rest: &[u8]) -> Option<(KindNumber, ObjectId)> {
    let (kind, id) = rest.split_first_chunk()?;
    Some((KindNumber::from_be_bytes(*kind), ObjectId::new(std::str::from_utf8(id).ok()?).ok()?))
}

fn broken() -> Fail {
    Fail::corrupt("a key is none of this library's")
}

/// The records of a type in a zone.
pub(crate) fn records(zone: &Zone, kind: KindNumber) -> Vec<u8> {
    Key::new(RECORD).zone(zone).kind(kind).0
}

pub(crate) fn record(zone: &Zone, kind: KindNumber, id: &ObjectId) -> Vec<u8> {
    Key::new(RECORD).zone(zone).kind(kind).bytes(id.as_str().as_bytes()).0
}

/// The records of every type in every zone.
pub(crate) fn all_records() -> Vec<u8> {
    vec![RECORD]
}

/// The records of every type in a zone.
pub(crate) fn records_of_zone(zone: &Zone) -> Vec<u8> {
    Key::new(RECORD).zone(zone).0
}

/// The zone in a key of [`all_records`].
pub(crate) fn zone_of(key: &[u8]) -> Run<Zone> {
    key.strip_prefix(&[RECORD]).and_then(read_zone).map(|(zone, _)| zone).ok_or_else(broken)
}

/// The type in a key of [`all_records`].
pub(crate) fn kind_of(key: &[u8]) -> Run<KindNumber> {
    let rest = key.strip_prefix(&[RECORD]).and_then(read_zone);
    rest.and_then(|(_, rest)| read_kind_and_id(rest)).map(|(kind, _)| kind).ok_or_else(broken)
}

/// The id in a key of [`records`].
pub(crate) fn id_of(prefix: &[u8], key: &[u8]) -> Run<ObjectId> {
    let id = key.strip_prefix(prefix).and_then(|id| std::str::from_utf8(id).ok());
    id.and_then(|id| ObjectId::new(id).ok()).ok_or_else(broken)
}

/// A record in a group of an index.
pub(crate) fn entry(group: &[u8], id: &ObjectId) -> Vec<u8> {
    [group, id.as_str().as_bytes()].concat()
}

/// A record's place in an index over a zone's positions: in the feed, or among its tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByPosition {
    Feed,
    Tombstones,
}

impl ByPosition {
    pub(crate) fn of_zone(self, zone: &Zone) -> Vec<u8> {
        let tag = match self {
            Self::Feed => FEED,
            Self::Tombstones => TOMBSTONE,
        };
        Key::new(tag).zone(zone).0
    }

    pub(crate) fn at(self, zone: &Zone, position: u64) -> Vec<u8> {
        Key(self.of_zone(zone)).number(position).0
    }

    /// The records of a type at a position.
    pub(crate) fn group(self, zone: &Zone, position: u64, kind: KindNumber) -> Vec<u8> {
        Key(self.at(zone, position)).kind(kind).0
    }

    pub(crate) fn read(of_zone: &[u8], key: &[u8]) -> Run<((Position, KindNumber), ObjectId)> {
        let read = || {
            let (position, rest) = key.strip_prefix(of_zone)?.split_first_chunk()?;
            let (kind, id) = read_kind_and_id(rest)?;
            Some(((Position(u64::from_be_bytes(*position)), kind), id))
        };
        read().ok_or_else(broken)
    }
}

/// Records that wait to be pushed: all of them, or those after a change.
pub(crate) fn pending_after(change: u64) -> Range {
    let all = Range::prefix(vec![PENDING]);
    match change.checked_add(1) {
        Some(next) => Range { from: Bound::Included(Key::new(PENDING).number(next).0), ..all },
        None => Range { from: Bound::Included(all.to.clone()), ..all },
    }
}

/// The records of a type in a zone that wait with a change.
pub(crate) fn pending(change: u64, zone: &Zone, kind: KindNumber) -> Vec<u8> {
    Key::new(PENDING).number(change).kind(kind).zone(zone).0
}

pub(crate) fn read_pending(key: &[u8]) -> Run<((KindNumber, Zone), ObjectId)> {
    let read = || {
        let (_tag_and_change, rest) = key.split_first_chunk::<9>()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (zone, id) = read_zone(rest)?;
        let id = ObjectId::new(std::str::from_utf8(id).ok()?).ok()?;
        Some(((KindNumber::from_be_bytes(*kind), zone), id))
    };
    read().ok_or_else(broken)
}

/// The sessions of a zone by position.
pub(crate) fn history(zone: &Zone) -> Vec<u8> {
    Key::new(HISTORY).zone(zone).0
}

pub(crate) fn positioned(zone: &Zone, position: Position) -> Vec<u8> {
    Key(history(zone)).number(position.0).0
}

pub(crate) fn zone(zone: &Zone) -> Vec<u8> {
    Key::new(ZONE).zone(zone).0
}

pub(crate) fn session(id: SessionId) -> Vec<u8> {
    Key::new(SESSION).bytes(id.as_uuid().as_bytes()).0
}

/// Everything that is staged: of one session, or of every session.
pub(crate) fn staged(session: Option<SessionId>) -> Vec<u8> {
    match session {
        Some(session) => Key::new(STAGED).bytes(session.as_uuid().as_bytes()).0,
        None => vec![STAGED],
    }
}

/// The parts of one staged batch.
pub(crate) fn batch(session: SessionId, sequence: u64) -> Vec<u8> {
    Key(staged(Some(session))).number(sequence).0
}

pub(crate) fn batch_part(session: SessionId, sequence: u64, part: u64) -> Vec<u8> {
    Key(batch(session, sequence)).number(part).0
}

/// What is written instead of a session's staged writes, while it is carried out.
pub(crate) fn overrides(session: SessionId) -> Vec<u8> {
    Key::new(OVERRIDES).bytes(session.as_uuid().as_bytes()).0
}

pub(crate) fn override_part(session: SessionId, part: u64) -> Vec<u8> {
    Key(overrides(session)).number(part).0
}

pub(crate) fn state(key: &str) -> Vec<u8> {
    Key::new(STATE).bytes(key.as_bytes()).0
}

pub(crate) fn read_state(key: &[u8]) -> Run<String> {
    let text = key.strip_prefix(&[STATE]).and_then(|key| std::str::from_utf8(key).ok());
    text.map(str::to_owned).ok_or_else(broken)
}

pub(crate) fn types() -> Vec<u8> {
    vec![TYPE]
}

pub(crate) fn kind(n: KindNumber) -> Vec<u8> {
    Key::new(TYPE).kind(n).0
}

pub(crate) fn read_kind(key: &[u8]) -> Run<KindNumber> {
    match key {
        [TYPE, high, low] => Ok(KindNumber::from_be_bytes([*high, *low])),
        _ => Err(broken()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zones() -> impl Strategy<Value = Zone> {
        // Few letters, so that one key is often the beginning of another.
        let key = prop_oneof!["[ab]{1,4}", "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}"];
        let restricted = key.prop_filter_map("a zone", |key| Zone::restricted(key).ok());
        prop_oneof![1 => Just(Zone::Global), 6 => restricted]
    }

    fn ids() -> impl Strategy<Value = ObjectId> {
        prop_oneof!["[ab]{1,4}", "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}"]
            .prop_filter_map("an id", |id| ObjectId::new(id).ok())
    }

    fn parts() -> impl Strategy<Value = (Zone, u64, KindNumber, ObjectId)> {
        let number = prop_oneof![0..3_u64, any::<u64>(), Just(255), Just(u64::MAX)];
        let kind = prop_oneof![0..3_u16, any::<u16>()];
        (zones(), number, kind, ids())
    }

    fn holds(range: &Range, key: &[u8]) -> bool {
        let from = match &range.from {
            Bound::Included(from) => from.as_slice() <= key,
            Bound::Excluded(from) => from.as_slice() < key,
            Bound::Unbounded => true,
        };
        from && key < range.to.as_slice()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn keys_order_as_their_parts_and_are_read_back(a in parts(), b in parts()) {
            let record = |(zone, _, kind, id): &(Zone, u64, KindNumber, ObjectId)| record(zone, *kind, id);
            let of = |(zone, _, kind, id): &(Zone, u64, KindNumber, ObjectId)| (zone.clone(), *kind, id.clone());
            prop_assert_eq!(record(&a).cmp(&record(&b)), of(&a).cmp(&of(&b)));
            prop_assert_eq!(&id_of(&records(&a.0, a.2), &record(&a)).unwrap(), &a.3);

            let feed = |(zone, at, kind, id): &(Zone, u64, KindNumber, ObjectId)| {
                entry(&ByPosition::Feed.group(zone, *at, *kind), id)
            };
            prop_assert_eq!(feed(&a).cmp(&feed(&b)), a.cmp(&b));
            let read = ByPosition::read(&ByPosition::Feed.of_zone(&a.0), &feed(&a)).unwrap();
            prop_assert_eq!(read, ((Position(a.1), a.2), a.3.clone()));

            let waiting = |(zone, change, kind, id): &(Zone, u64, KindNumber, ObjectId)| {
                entry(&pending(*change, zone, *kind), id)
            };
            let of = |(zone, change, kind, id): &(Zone, u64, KindNumber, ObjectId)| {
                (*change, *kind, zone.clone(), id.clone())
            };
            prop_assert_eq!(waiting(&a).cmp(&waiting(&b)), of(&a).cmp(&of(&b)));
            prop_assert_eq!(read_pending(&waiting(&a)).unwrap(), ((a.2, a.0.clone()), a.3.clone()));
            prop_assert_eq!(holds(&pending_after(b.1), &waiting(&a)), a.1 > b.1);
        }

        #[test]
        fn a_prefix_selects_exactly_its_keys(a in parts(), b in parts()) {
            let key = record(&a.0, a.2, &a.3);
            let range = Range::prefix(records(&b.0, b.2));
            prop_assert_eq!(holds(&range, &key), (&a.0, a.2) == (&b.0, b.2));

            let key = entry(&ByPosition::Feed.group(&a.0, a.1, a.2), &a.3);
            let zone = ByPosition::Feed.of_zone(&b.0);
            prop_assert_eq!(holds(&Range::prefix(zone.clone()), &key), a.0 == b.0);
            let position = ByPosition::Feed.at(&b.0, b.1);
            prop_assert_eq!(holds(&Range::prefix(position), &key), (&a.0, a.1) == (&b.0, b.1));
            let place = entry(&ByPosition::Feed.group(&b.0, b.1, b.2), &b.3);
            prop_assert_eq!(holds(&Range::following(zone, place), &key), a.0 == b.0 && a > b);
            let group = ByPosition::Feed.group(&b.0, b.1, b.2);
            prop_assert_eq!(holds(&Range::prefix(group), &key), (&a.0, a.1, a.2) == (&b.0, b.1, b.2));
            let tombstone = entry(&ByPosition::Tombstones.group(&a.0, a.1, a.2), &a.3);
            prop_assert!(!holds(&Range::prefix(ByPosition::Feed.of_zone(&b.0)), &tombstone));
        }

        #[test]
        fn escaped_parts_order_as_their_bytes(
            a in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(255), any::<u8>()], 0..6),
            b in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(255), any::<u8>()], 0..6),
            rest in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let key = |part: &[u8], rest: &[u8]| {
                let mut out = Vec::new();
                escape(&mut out, part);
                out.extend_from_slice(rest);
                out
            };
            let ordering = (&a, &rest[..]).cmp(&(&b, &[]));
            prop_assert_eq!(key(&a, &rest).cmp(&key(&b, &[])), ordering);
            let whole = key(&a, &rest);
            prop_assert_eq!(unescape(&whole), Some((a, &rest[..])));
        }
    }
}
