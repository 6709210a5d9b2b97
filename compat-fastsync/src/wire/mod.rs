//! The original protocol, as its clients speak it.
//!
//! Read with every tolerance that their platforms need; written so that the strictest of them reads it. Golden files
//! pin both.

mod number;
mod object;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use number::Number;
pub(crate) use object::RESERVED;
pub use object::SyncObject;

/// Objects by type, with the metadata of each type: what a push brings and a pull gives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPayload {
    /// The objects by the name of their type; in replies parents come first.
    #[serde(default)]
    pub data: IndexMap<String, Vec<SyncObject>>,
    /// The metadata of each type of `data`.
    #[serde(default)]
    pub operation_metadata: SyncOperationMetadata,
}

/// Metadata by type: what a client asks a pull with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncOperationMetadata {
    /// The metadata by the name of the type.
    #[serde(default)]
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
