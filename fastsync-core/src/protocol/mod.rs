//! What client and server say to each other: plain serde types, independent of any transport.
//!
//! The wire form is JSON with names in snake case, or the same in a binary format ([`Compact`]); `docs/protocol.md`
//! describes it and golden files pin it. Members that a reader does not know are ignored, unless the sender names in
//! [`SyncOperationMetadata::requires`] what must not be.
//! Records travel as rows (arrays) grouped by zone and type, so that names are sent once per group.

mod columns;
mod compact;
mod cursor;
mod feature;
mod payload;
mod pull;
mod push;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, de};

pub(crate) use columns::Columns;
pub use compact::Compact;
pub use cursor::Cursor;
pub(crate) use cursor::{CursorSeal, Holder, Standing};
pub use feature::{FEATURES, FeatureName, MAX_FEATURES, Requirements};
pub(crate) use payload::unknown_type;
pub use payload::{RecordGroup, Row, SyncPayload};
pub use pull::{PullPage, PullReply, PullRequest, ResetRequired};
pub use push::{MAX_WITHDRAWN, ObjectOutcome, Outcome, PushMode, PushReceipt, PushReply, PushRequest};

use crate::error::Result;
use crate::model::{DeviceId, FieldName, TypeName};
use crate::schema::{IdKind, TypeSchema, takes_every_version};

/// The protocol version that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// The oldest protocol version that a server of this crate accepts. Never raised within a major version.
pub const MIN_PROTOCOL_VERSION: u16 = 1;

/// What accompanies every request: protocol, device, and the types as this end knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncOperationMetadata {
    /// The protocol version of the sender.
    pub protocol: u16,
    /// The sending device.
    pub device: DeviceId,
    /// The sender's types.
    #[serde(deserialize_with = "each_once")]
    pub types: BTreeMap<TypeName, TypeVersion>,
    /// What the reader must know so as not to misunderstand the request, at most [`MAX_FEATURES`]. A reply uses no
    /// feature that its request does not name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "feature::each_once")]
    pub requires: BTreeSet<FeatureName>,
}

/// A type as one end knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeVersion {
    /// The schema version.
    pub version: u32,
    /// The kind of the ids; text where a message does not say it.
    #[serde(default, skip_serializing_if = "IdKind::is_text")]
    pub id: IdKind,
    /// The fields, in the order of the rows' values.
    pub fields: Vec<FieldName>,
    /// The oldest version with which this end exchanges the type; 0 if every one.
    #[serde(default, skip_serializing_if = "takes_every_version")]
    pub min_version: u32,
}

impl TypeVersion {
    /// This version with ids of this kind and these fields, exchanged with every version.
    #[must_use]
    pub const fn new(version: u32, id: IdKind, fields: Vec<FieldName>) -> Self {
        Self { version, id, fields, min_version: 0 }
    }

    /// The type as its schema says.
    #[must_use]
    pub fn of(schema: &TypeSchema) -> Self {
        Self {
            version: schema.version(),
            id: schema.id_kind(),
            fields: schema.fields().iter().map(|field| field.name.clone()).collect(),
            min_version: schema.min_version(),
        }
    }

    /// Whether rows and ids of the type are as this schema has them.
    pub(crate) fn has_the_form_of(&self, schema: &TypeSchema) -> bool {
        self.id == schema.id_kind() && self.fields.iter().eq(schema.fields().iter().map(|field| &field.name))
    }

    /// Whether the end that has this schema asks for a later version of the type.
    pub(crate) const fn is_outdated(&self, schema: &TypeSchema) -> bool {
        self.version < schema.min_version()
    }

    /// What stands for the version and the fields in a cursor, whatever their order: it covers the type as long as they stay.
    pub(crate) fn coverage(&self) -> u64 {
        let mut names: Vec<_> = self.fields.iter().map(FieldName::as_str).collect();
        names.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.version.to_le_bytes());
        // No name has this byte.
        for name in names {
            hasher.update(name.as_bytes()).update(b"\0");
        }
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl SyncOperationMetadata {
    /// What accompanies the requests of a device that knows these types: the newest protocol, and no feature that must be
    /// known.
    pub fn new<'a>(device: DeviceId, schemas: impl Iterator<Item = &'a TypeSchema>) -> Self {
        let types = schemas.map(|schema| (schema.name().clone(), TypeVersion::of(schema))).collect();
        Self { protocol: PROTOCOL_VERSION, device, types, requires: BTreeSet::new() }
    }

    /// Whether this end can talk with the sender.
    ///
    /// # Errors
    /// `UpgradeRequired` if the protocol version is outside the supported window.
    pub fn check_protocol(&self) -> Result<()> {
        feature::check_protocol(self.protocol)
    }

    /// Whether this end knows everything that the sender requires.
    ///
    /// # Errors
    /// `UpgradeRequired` that names the features that are not among [`FEATURES`].
    pub fn check_features(&self) -> Result<()> {
        feature::check_features(&self.requires)
    }
}

/// Reads a map that names nothing twice: of two entries with one name, readers would take one or the other.
fn each_once<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct EachOnce<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> de::Visitor<'de> for EachOnce<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map that names nothing twice")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = entries.next_key()? {
                match map.entry(key) {
                    Entry::Vacant(entry) => entry.insert(entries.next_value()?),
                    Entry::Occupied(_) => return Err(de::Error::custom("a map names something twice")),
                };
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(EachOnce(PhantomData))
}

/// Reads a member that is there: null is a value like any other, not an absent one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
