//! Object ids in the index: 16 bytes for a UUID, and still in the order of the bytes of the text.
//!
//! A canonical (lower-case, hyphenated) UUID is its 16 bytes, which order as the texts do. Any other text is the
//! 16 bytes of the last UUID below it, followed by the text: it sorts after that UUID and before the next one.
//! A text below the nil UUID stays text, which SQLite sorts before all blobs.

use std::borrow::Cow;

use fastsync_core::ObjectId;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

use crate::error::{Fail, Run};

/// An id as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key<'a> {
    Text(Cow<'a, str>),
    Uuid([u8; 16]),
    Other(Vec<u8>),
}

impl<'a> Key<'a> {
    pub(crate) fn new(id: &'a str) -> Self {
        if let Some(uuid) = canonical(id.as_bytes()) {
            return Self::Uuid(uuid);
        }
        match floor(id.as_bytes()) {
            (Some(uuid), true) => Self::Uuid(uuid),
            (Some(uuid), false) => Self::Other([&uuid[..], id.as_bytes()].concat()),
            (None, _) => Self::Text(Cow::Borrowed(id)),
        }
    }

    /// As it stands in an index column.
    pub(crate) fn stored(value: ValueRef<'a>) -> Run<Self> {
        Ok(match value {
            ValueRef::Text(text) => {
                Self::Text(Cow::Borrowed(std::str::from_utf8(text).map_err(|_| broken())?))
            }
            ValueRef::Blob(bytes) => match bytes.try_into() {
                Ok(uuid) => Self::Uuid(uuid),
                Err(_) => Self::Other(bytes.to_vec()),
            },
            _ => return Err(broken()),
        })
    }

    pub(crate) fn into_owned(self) -> Key<'static> {
        match self {
            Self::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
            Self::Uuid(uuid) => Key::Uuid(uuid),
            Self::Other(bytes) => Key::Other(bytes),
        }
    }
}

fn broken() -> Fail {
    Fail::corrupt("the index contains an invalid id")
}

impl ToSql for Key<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Uuid(bytes) => ValueRef::Blob(bytes),
            Self::Other(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The id in an index column.
pub(crate) fn read_id(value: ValueRef<'_>) -> Run<ObjectId> {
    let text = match value {
        ValueRef::Text(text) => text,
        ValueRef::Blob(bytes) => match bytes.split_at_checked(16) {
            Some((uuid, [])) => return Ok(Uuid::from_slice(uuid).map_err(|_| broken())?.into()),
            Some((_, text)) => text,
            None => return Err(broken()),
        },
        _ => return Err(broken()),
    };
    ObjectId::new(std::str::from_utf8(text).map_err(|_| broken())?).map_err(|_| broken())
}

/// The usual id, read the fast way: a UUID as it is written, in lower case.
fn canonical(text: &[u8]) -> Option<[u8; 16]> {
    let is_lower = text.len() == 36 && !text.iter().any(u8::is_ascii_uppercase);
    is_lower.then(|| Uuid::try_parse_ascii(text).ok()).flatten().map(Uuid::into_bytes)
}

const DIGITS: u32 = 32;

/// The last UUID whose text is not above `text`, and whether it is this text.
fn floor(text: &[u8]) -> (Option<[u8; 16]>, bool) {
    let (mut prefix, mut digits) = (0_u128, 0);
    // Every UUID that continues the prefix with greater digits only is below the text ...
    let up_to = |prefix: u128, digits: u32| {
        let missing = 4 * (DIGITS - digits);
        let ones = u128::MAX.checked_shr(128 - missing).unwrap_or(0);
        Some((prefix.checked_shl(missing).unwrap_or(0) | ones).to_be_bytes())
    };
    // ... or none that begins with the prefix is, so the answer begins with the prefix before it.
    let before =
        |prefix: u128, digits: u32| prefix.checked_sub(1).and_then(|previous| up_to(previous, digits));
    for at in 0..36 {
        let Some(&byte) = text.get(at) else {
            return (before(prefix, digits), false);
        };
        if matches!(at, 8 | 13 | 18 | 23) {
            match byte {
                b'-' => continue,
                0..b'-' => return (before(prefix, digits), false),
                _ => return (up_to(prefix, digits), false),
            }
        }
        let (digit, exact) = match byte {
            b'0'..=b'9' => (byte - b'0', true),
            b'a'..=b'f' => (byte - b'a' + 10, true),
            0..b'0' => return (before(prefix, digits), false),
            b':'..b'a' => (9, false),
            b'g'.. => (15, false),
        };
        (prefix, digits) = ((prefix << 4) | u128::from(digit), digits + 1);
        if !exact {
            return (up_to(prefix, digits), false);
        }
    }
    (Some(prefix.to_be_bytes()), text.len() == 36)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    const TOP: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    fn stored(id: &str) -> (rusqlite::types::Value, ObjectId) {
        let key = Key::new(id);
        let ToSqlOutput::Borrowed(value) = key.to_sql().unwrap() else { panic!("a key is borrowed") };
        (rusqlite::types::Value::try_from(value).unwrap(), read_id(value).unwrap())
    }

    /// As SQLite orders them: text before blobs, each by bytes.
    fn rank(id: &str) -> (bool, Vec<u8>) {
        match stored(id).0 {
            rusqlite::types::Value::Text(text) => (false, text.into_bytes()),
            rusqlite::types::Value::Blob(bytes) => (true, bytes),
            other => panic!("{other:?}"),
        }
    }

    fn ids() -> impl Strategy<Value = String> {
        let uuid = any::<u128>().prop_map(|bits| Uuid::from_u128(bits).to_string());
        let near = (uuid.clone(), 0..=36_usize, "[ -~é]{0,3}")
            .prop_map(|(uuid, cut, end)| uuid[..cut].to_owned() + &end);
        let edge = (prop_oneof![Just(NIL), Just(TOP)], 0..=36_usize, "[ -~]{0,2}")
            .prop_map(|(uuid, cut, end)| uuid[..cut].to_owned() + &end);
        prop_oneof![uuid, near, edge, "[0-9a-f-]{1,40}", "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}"]
            .prop_filter("an id", |id| ObjectId::new(id).is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_order_of_keys_is_the_order_of_the_ids(a in ids(), b in ids()) {
            prop_assert_eq!(rank(&a).cmp(&rank(&b)), a.as_bytes().cmp(b.as_bytes()));
            prop_assert_eq!(stored(&a).1, ObjectId::new(&a).unwrap());
        }
    }

    #[test]
    fn uuids_are_compact_and_upper_case_is_another_id() {
        let uuid = "0192f0c1-2b3a-7c4d-8e5f-a6b7c8d9e0f1";
        assert!(matches!(Key::new(uuid), Key::Uuid(_)));
        assert!(matches!(Key::new(&uuid.to_uppercase()), Key::Other(_)));
        assert!(matches!(Key::new(NIL), Key::Uuid(bytes) if bytes == [0; 16]));
        assert!(matches!(Key::new(TOP), Key::Uuid(bytes) if bytes == [255; 16]));
        assert!(matches!(Key::new("00000000"), Key::Text(_)));
    }
}
