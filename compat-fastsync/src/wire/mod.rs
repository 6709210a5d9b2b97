//! The original protocol, as its clients speak it.
//!
//! Read with every tolerance that their platforms need; written so that the strictest of them reads it. Golden files
//! pin both.

mod bounded;
mod member;
mod number;
mod object;
mod whole;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use number::Number;
pub use object::SyncObject;
pub(crate) use object::{RESERVED, Unreadable};

/// What a push brings. Objects and metadata are still as they were sent: one that cannot be read is refused alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushRequest {
    /// The objects by the name of their type.
    #[serde(default, deserialize_with = "bounded::objects")]
    pub data: IndexMap<String, Vec<Box<RawValue>>>,
    /// The metadata of each type of `data`.
    #[serde(default)]
    pub operation_metadata: PullRequest,
}

/// What a pull asks with: metadata by type. Each is still as it was sent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PullRequest {
    /// The metadata by the name of the type.
    #[serde(default, deserialize_with = "bounded::metadata")]
    pub metadata: BTreeMap<String, Box<RawValue>>,
}

impl PullRequest {
    /// The metadata of a type; `None` if it cannot be read.
    pub(crate) fn read(metadata: &RawValue) -> Option<SyncMetadata> {
        let metadata = whole::characters(metadata.get());
        serde_json::from_str::<Option<SyncMetadata>>(&metadata).ok().map(Option::unwrap_or_default)
    }
}

/// Objects by type, with the metadata of each type: what a pull gives.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPayload {
    /// The objects by the name of their type; parents come first.
    pub data: IndexMap<String, Vec<SyncObject>>,
    /// The metadata of each type of `data`.
    pub operation_metadata: SyncOperationMetadata,
}

/// Metadata by type.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SyncOperationMetadata {
    /// The metadata by the name of the type.
    pub metadata: BTreeMap<String, SyncMetadata>,
}

/// The metadata of an object, or of a type: then `version` is how far the client has read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncMetadata {
    /// Its own identity in the client's storage.
    pub id: Option<String>,
    /// The name of the type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// The zone that the client believes in.
    pub sync_zone: Option<String>,
    /// The version.
    pub version: Number,
    /// A time, in a unit of the client's.
    pub timestamp: Number,
    /// 0 add, 1 update, 2 delete, 999 none.
    pub sync_operation: Option<Number>,
}

/// The values of [`SyncMetadata::sync_operation`].
pub(crate) mod operation {
    pub(crate) const ADD: u64 = 0;
    pub(crate) const UPDATE: u64 = 1;
    pub(crate) const DELETE: u64 = 2;
    pub(crate) const NONE: u64 = 999;
}

impl SyncMetadata {
    pub(crate) fn operation(&self) -> Option<u64> {
        self.sync_operation.map(Number::whole)
    }
}
