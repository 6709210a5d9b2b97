//! A record: an object as stored and sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::model::{DeviceId, Hlc, ObjectId, TypeName, Value, Zone, bits};

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The token with these bits.
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            /// The bits, for storing. They have no order and no meaning.
            #[must_use]
            pub const fn to_bits(self) -> u64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                bits::serialize(self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                bits::deserialize(deserializer).map(Self)
            }
        }
    };
}

token! {
    /// The opaque token of a record's last committed write. Equality is all it is for.
    Revision
}

token! {
    /// The life of an object id: made when the object is created, so that an edit of an earlier life is known.
    Incarnation
}

impl Revision {
    /// The revision of a record that no server has committed yet.
    pub const NONE: Self = Self(0);

    /// Whether this is [`Revision::NONE`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What names one record in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// The zone that shares the record.
    pub zone: Zone,
    /// The type of the object.
    pub type_name: TypeName,
    /// The id of the object within zone and type.
    pub id: ObjectId,
}

impl RecordKey {
    /// The life of an object that is added only where none of this key is or was: the same on every device. By it, and by
    /// having no base, an end knows such an object.
    pub(crate) fn life_if_absent(&self) -> Incarnation {
        self.life_for("fastsync 1 add if absent")
    }

    /// The life of such an object that a server had acknowledged and has forgotten.
    pub(crate) fn life_if_forgotten(&self) -> Incarnation {
        self.life_for("fastsync 1 forgotten default")
    }

    /// Gives zone, type and id to a hash, each after its length.
    pub(crate) fn feed(&self, hasher: &mut blake3::Hasher) {
        for part in [self.zone.to_string().as_str(), self.type_name.as_str(), self.id.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
    }

    /// A life that is the same on every device.
    fn life_for(&self, purpose: &str) -> Incarnation {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        self.feed(&mut hasher);
        let mut bits = [0; 8];
        hasher.finalize_xof().fill(&mut bits);
        Incarnation::from_bits(u64::from_le_bytes(bits))
    }
}

/// What synchronisation knows of a record beside the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncMetadata {
    /// The last committed write that this record is, or (with local edits pending) is based on.
    pub revision: Revision,
    /// The life of the id that this record belongs to.
    pub incarnation: Incarnation,
    /// When the object was last edited, by the clock of the device that edited it.
    pub modified_at: Hlc,
    /// The device that edited it last.
    pub modified_by: DeviceId,
    /// The number of the local commit whose edit waits to be pushed; 0 if none does.
    pub change: u64,
}

impl SyncMetadata {
    /// Whether a local edit of this record waits to be pushed.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.change != 0
    }

    /// Whether a pushed record begins a life of its id: its device made the object anew, and what there was before has ended.
    ///
    /// Its revision is the version that it replaces, as far as its device knew of one: a device that deletes an object and adds it
    /// again is in conflict with those only that changed it meanwhile.
    #[must_use]
    pub fn begins_a_life(&self) -> bool {
        self.revision.is_none() || self.place_of_life().is_some()
    }
}

/// How many lives may follow each other in place of one version.
const LIVES: u8 = 16;

impl SyncMetadata {
    /// Which of the lives that its device may begin in place of its revision the record is of.
    fn place_of_life(&self) -> Option<u8> {
        (0..LIVES)
            .find(|place| self.incarnation == Incarnation::after(self.revision, self.modified_by, *place))
    }

    /// The life as whoever took the store over names it: one that was begun under the former identity is begun by it.
    pub(crate) fn life_under(&self, device: DeviceId) -> Incarnation {
        // Hardly any record is a pending one of another identity, and looking costs hashes.
        let may_be = self.is_pending() && self.modified_by != device && !self.revision.is_none();
        let place = may_be.then(|| self.place_of_life()).flatten();
        place.map_or(self.incarnation, |place| Incarnation::after(self.revision, device, place))
    }

    /// The life that a device begins in place of this version, or after it: none that was begun, and may be over, is
    /// begun again. `None` if there were too many.
    pub(crate) fn next_life(&self, device: DeviceId) -> Option<Incarnation> {
        let place = self.place_of_life().map_or(0, |place| place.saturating_add(1));
        (place < LIVES).then(|| Incarnation::after(self.revision, device, place))
    }
}

impl Incarnation {
    /// A life that a device begins in place of a version that it knows. Whoever knows both can tell that it is one: no record
    /// says so otherwise.
    pub(crate) fn after(replaced: Revision, device: DeviceId, place: u8) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"fastsync life").update(&replaced.to_bits().to_le_bytes());
        hasher.update(device.as_uuid().as_bytes()).update(&[place]);
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        Self::from_bits(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// An object as stored and sent, or the tombstone of a deleted one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Zone, type and id.
    pub key: RecordKey,
    /// The values of the fields, in the order of the type's schema; `None` for a tombstone.
    pub body: Option<Vec<Value>>,
    /// What synchronisation knows of it.
    pub metadata: SyncMetadata,
}

impl Record {
    /// About what a record takes beside its id and its values.
    pub(crate) const OVERHEAD_BYTES: usize = 64;

    /// Whether this is the tombstone of a deleted object.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.body.is_none()
    }

    /// Whether the object was added only if there is none, and neither stored by a server nor edited since.
    pub(crate) fn is_if_absent(&self) -> bool {
        self.metadata.revision.is_none() && self.metadata.incarnation == self.key.life_if_absent()
    }

    /// Whether both are the same version of the same life: whoever sent it, it was edited at the same moment to the same values.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let version = |record: &Self| (record.metadata.incarnation, record.metadata.modified_at);
        version(self) == version(other) && self.body == other.body
    }

    /// About how many bytes the record takes in memory and on the wire; batches and pages are cut by it.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let body: usize = self.body.iter().flatten().map(Value::approximate_bytes).sum();
        Self::OVERHEAD_BYTES + self.key.id.as_str().len() + body
    }
}

/// Shows key and metadata; the body belongs to the user and stays out of logs.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("fields", &self.body.as_ref().map(Vec::len))
            .field("metadata", &self.metadata)
            .finish()
    }
}

impl Error {
    /// Adds the record that the error is about.
    #[must_use]
    pub fn with_record(self, key: &RecordKey) -> Self {
        self.with_context("type", &key.type_name).with_context("id", &key.id)
    }

    pub(crate) fn invalid(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if devices of two releases would not know each other's default objects: the derivation is part of the protocol.
    #[test]
    fn the_life_of_a_default_is_derived_from_its_key() {
        let key = RecordKey {
            zone: Zone::restricted("ada").unwrap(),
            type_name: TypeName::new("lists").unwrap(),
            id: ObjectId::new("inbox").unwrap(),
        };
        assert_eq!(serde_json::to_string(&key.life_if_absent()).unwrap(), "\"d10dd7ee7500a882\"");
        let global = RecordKey { zone: Zone::Global, ..key.clone() };
        assert_ne!(global.life_if_absent(), key.life_if_absent());
        assert_eq!(serde_json::to_string(&key.life_if_forgotten()).unwrap(), "\"1901e7202d41c279\"");
    }

    #[test]
    fn tokens_have_one_text_form() {
        let token = Revision::from_bits(u64::MAX);
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(json, "\"ffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<Revision>(&json).unwrap(), token);
        for bad in ["\"\"", "\"FF\"", "\"+1\"", "\"0x1\"", "\"11111111111111111\"", "1", "null"] {
            assert!(serde_json::from_str::<Revision>(bad).is_err(), "{bad}");
        }
    }
}
