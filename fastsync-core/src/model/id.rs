//! Identities: of an object, a device, a session.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Random, Timestamp};

/// The identity of an object within its type and zone.
///
/// 1 to 255 bytes of UTF-8 without control characters, compared byte by byte on every backend: `abc`, `ABC`,
/// `abc ` and both Unicode forms of `é` are different ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// The longest id in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks and takes an id.
    ///
    /// # Errors
    /// `InvalidInput` if `id` is empty, longer than [`Self::MAX_BYTES`] or holds a control character.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
        check_text("object id", id, Self::MAX_BYTES)?;
        Ok(Self(id.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for ObjectId {
    fn from(id: Uuid) -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self((&*id.as_hyphenated().encode_lower(&mut buffer)).into())
    }
}

impl From<i64> for ObjectId {
    fn from(id: i64) -> Self {
        Self(id.to_string().into())
    }
}

// By hand, since every record has one: without a `String` in between.
impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdVisitor)
    }
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = ObjectId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of an object's id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ObjectId, E> {
        ObjectId::new(text).map_err(E::custom)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = Error;
    fn try_from(id: String) -> Result<Self> {
        Self::new(id)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0.as_ref().into()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Text rules that ids, zone keys and user names share.
pub(crate) fn check_text(what: &'static str, text: &str, max_bytes: usize) -> Result<()> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > max_bytes {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "check",
            format!("{what} has {} bytes, the limit is {max_bytes}", text.len()),
        ));
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, "check", format!("{what} {problem}")))
}

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an id that was made before.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_newtype! {
    /// The identity of one installation: one local store on one device.
    DeviceId
}

uuid_newtype! {
    /// The identity of a session, made by whoever starts it (UUIDv7, so sessions sort by time of making).
    SessionId
}

impl DeviceId {
    /// A fresh random identity (UUIDv4).
    pub fn random(random: &dyn Random) -> Self {
        Self(uuid::Builder::from_random_bytes(random_bytes(random)).into_uuid())
    }
}

impl SessionId {
    /// A fresh identity (UUIDv7) made at `now`.
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        let [_, _, _, _, _, _, rest @ ..] = random_bytes(random);
        Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &rest).into_uuid())
    }
}

fn random_bytes(random: &dyn Random) -> [u8; 16] {
    let high = u128::from(random.next_u64());
    let low = u128::from(random.next_u64());
    ((high << 64) | low).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_bytes_and_refuse_what_is_not_an_id() {
        for id in ["a", "A", "a ", "é", "e\u{301}", "007", "a/../b", "💡", &"x".repeat(255)] {
            assert_eq!(ObjectId::new(id).unwrap().as_str(), id);
        }
        for id in ["", "a\0b", "a\nb", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(ObjectId::new(id).unwrap_err().kind(), ErrorKind::InvalidInput, "{id:?}");
        }
    }

    #[test]
    fn deserialising_an_id_checks_it() {
        assert!(serde_json::from_str::<ObjectId>("\"ok\"").is_ok());
        assert!(serde_json::from_str::<ObjectId>("\"\"").is_err());
        assert!(serde_json::from_str::<ObjectId>("{\"$gt\":\"\"}").is_err());
    }
}
