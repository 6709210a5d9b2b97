//! Pulling what changed.

use serde::{Deserialize, Serialize};

use super::{Cursor, SyncOperationMetadata, SyncPayload};
use crate::model::{Timestamp, TypeName, Zone};
use crate::source::ResetReason;

/// A device asks for what changed since its cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// Protocol, device, types.
    pub metadata: SyncOperationMetadata,
    /// The zones to read, each once.
    pub zones: Vec<Zone>,
    /// Where to continue; none to begin.
    pub cursor: Option<Cursor>,
    /// The number of the last push whose receipt this device has stored: its own records of pushes up to it are
    /// not sent back. 0 to get everything.
    pub own_through: u64,
    /// The most records that the reply may hold; the server may send fewer.
    pub max_records: u32,
    /// About the most bytes that the reply may hold; the server may send fewer.
    pub max_bytes: u32,
    /// Whether to count what remains, for progress displays.
    pub count_remaining: bool,
}

/// The answer to a pull.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result", deny_unknown_fields)]
pub enum PullReply {
    /// Records.
    Page(PullPage),
    /// The device must start over without a cursor.
    ResetRequired {
        /// Why.
        reason: ResetReason,
    },
}

/// One page of what changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullPage {
    /// The records and tombstones.
    pub payload: SyncPayload,
    /// Continue here. To be stored once `caught_up`, together with the records.
    pub cursor: Cursor,
    /// Whether this page reached the end: only then may the records since the stored cursor become visible.
    pub caught_up: bool,
    /// About how many records follow, if it was asked for.
    pub remaining: Option<u64>,
    /// Requested types that the server does not know. Their records stay with the client until it does.
    pub unknown_types: Vec<TypeName>,
    /// The server's clock.
    pub server_time: Timestamp,
}
