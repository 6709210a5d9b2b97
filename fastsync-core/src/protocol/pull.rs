//! Pulling what changed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Cursor, SyncOperationMetadata, SyncPayload, present};
use crate::model::{Timestamp, TypeName, Zone};
use crate::source::ResetReason;

/// A device asks for what changed since its cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// Types that this pull has fetched from the beginning already: the cursor need not cover them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub anew: BTreeSet<TypeName>,
}

impl PullRequest {
    /// The first request of these zones, for as much at a time as the server sends.
    #[must_use]
    pub const fn new(metadata: SyncOperationMetadata, zones: Vec<Zone>) -> Self {
        let (max_records, max_bytes) = (u32::MAX, u32::MAX);
        Self {
            metadata,
            zones,
            cursor: None,
            own_through: 0,
            max_records,
            max_bytes,
            count_remaining: false,
            anew: BTreeSet::new(),
        }
    }
}

/// The answer to a pull.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
#[non_exhaustive]
pub enum PullReply {
    /// Records.
    Page(PullPage),
    /// The device must start over without a cursor.
    ResetRequired(ResetRequired),
}

/// Why a device must start over, and what was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResetRequired {
    /// Why.
    pub reason: ResetReason,
    /// With [`ResetReason::History`], the zones of the request in whose history the device's place is not; `None` if that may
    /// be any of them. In the others, what is missing was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<BTreeSet<Zone>>,
    /// With [`ResetReason::History`], the number of the device's last push that this server has, if the device has stored
    /// answers to later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
}

impl ResetRequired {
    /// For this reason, with nothing to tell of zones and pushes.
    #[must_use]
    pub const fn new(reason: ResetReason) -> Self {
        Self { reason, zones: None, last: None }
    }
}

impl PullReply {
    /// Where the pull goes on after this reply, read from the beginning of its wire form and without its records; none
    /// if it does not go on, or if the beginning does not tell. Unknown members are passed over. The rest is not looked
    /// at: it may be anything.
    pub fn next_cursor<'de, D: Deserializer<'de>>(wire: D) -> Option<Cursor> {
        let mut found = None;
        // To read no further is an error for serde.
        let _ = wire.deserialize_map(Beginning(&mut found));
        found
    }

    /// Where the pull goes on after this reply.
    #[must_use]
    pub fn next(&self) -> Option<&Cursor> {
        match self {
            Self::Page(page) if !page.caught_up => Some(&page.cursor),
            Self::Page(_) | Self::ResetRequired(_) => None,
        }
    }
}

/// Notes the cursor of a page that is not the last, and stops.
struct Beginning<'a>(&'a mut Option<Cursor>);

impl<'de> de::Visitor<'de> for Beginning<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut result, mut cursor, mut caught_up) = (None, None, None::<bool>);
        while let Some(Name(name)) = members.next_key()? {
            match &*name {
                "result" if result.is_none() => {
                    if matches!(result.insert(members.next_value()?), PullResult::ResetRequired) {
                        return Err(de::Error::custom("the reply is no page"));
                    }
                }
                "cursor" if cursor.is_none() => cursor = Some(members.next_value()?),
                "caught_up" if caught_up.is_none() => caught_up = Some(members.next_value()?),
                "result" | "cursor" | "caught_up" => {
                    return Err(de::Error::custom("a member is there twice"));
                }
                // Reading a payload for what may come after it would take as long as waiting.
                "payload" | "remaining" | "unknown_types" | "outdated_types" | "server_time" | "reason" => {
                    return Err(de::Error::custom("the cursor does not come first"));
                }
                _ => drop(members.next_value::<de::IgnoredAny>()?),
            }
            if let (Some(_), Some(caught_up)) = (&cursor, caught_up) {
                *self.0 = cursor.filter(|_| !caught_up);
                return Err(de::Error::custom("enough is known"));
            }
        }
        Ok(())
    }
}

/// The name of a member.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// One page of what changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PullPage {
    /// Continue here. To be stored once `caught_up`, together with the records.
    pub cursor: Cursor,
    /// Whether this page reached the end: only then may the records since the stored cursor become visible.
    pub caught_up: bool,
    /// About how many records follow, if it was asked for.
    pub remaining: Option<u64>,
    /// Requested types that the server does not know. Their records stay with the client until it does.
    pub unknown_types: Vec<TypeName>,
    /// Requested types of which the server asks for a later version of the application. Their records stay with the
    /// client until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outdated_types: Vec<TypeName>,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The records and tombstones. They are written last, so that the next page can be asked for before they are read.
    pub payload: SyncPayload,
}

impl PullPage {
    /// A page that is the last one.
    #[must_use]
    pub const fn new(cursor: Cursor, server_time: Timestamp, payload: SyncPayload) -> Self {
        Self {
            cursor,
            caught_up: true,
            remaining: None,
            unknown_types: Vec::new(),
            outdated_types: Vec::new(),
            server_time,
            payload,
        }
    }
}

impl<'de> Deserialize<'de> for PullReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PullReplyForm::<SyncPayload>::deserialize(deserializer)?.into_reply()
    }
}

/// The members of every reply together, with the payload in the form `P`: serde's own way to read a tagged enum keeps
/// the whole content aside until it has seen the tag.
#[derive(Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
pub(super) struct PullReplyForm<P> {
    result: PullResult,
    #[serde(default, deserialize_with = "present")]
    payload: Option<P>,
    #[serde(default, deserialize_with = "present")]
    cursor: Option<Cursor>,
    #[serde(default, deserialize_with = "present")]
    caught_up: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    remaining: Option<Option<u64>>,
    #[serde(default, deserialize_with = "present")]
    unknown_types: Option<Vec<TypeName>>,
    #[serde(default, deserialize_with = "present")]
    outdated_types: Option<Vec<TypeName>>,
    #[serde(default, deserialize_with = "present")]
    server_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<ResetReason>,
    #[serde(default, deserialize_with = "present")]
    zones: Option<BTreeSet<Zone>>,
    #[serde(default, deserialize_with = "present")]
    last: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PullResult {
    Page,
    ResetRequired,
}

impl<P: Into<SyncPayload>> PullReplyForm<P> {
    pub(super) fn into_reply<E: de::Error>(self) -> Result<PullReply, E> {
        match self {
            Self {
                result: PullResult::Page,
                payload: Some(payload),
                cursor: Some(cursor),
                caught_up: Some(caught_up),
                remaining,
                unknown_types: Some(unknown_types),
                outdated_types,
                server_time: Some(server_time),
                reason: None,
                zones: None,
                last: None,
            } => Ok(PullReply::Page(PullPage {
                payload: payload.into(),
                cursor,
                caught_up,
                remaining: remaining.flatten(),
                unknown_types,
                outdated_types: outdated_types.unwrap_or_default(),
                server_time,
            })),
            Self {
                result: PullResult::ResetRequired,
                payload: None,
                cursor: None,
                caught_up: None,
                remaining: None,
                unknown_types: None,
                outdated_types: None,
                server_time: None,
                reason: Some(reason),
                zones,
                last,
            } => Ok(PullReply::ResetRequired(ResetRequired { reason, zones, last })),
            _ => Err(E::custom("a reply has other members than its result says")),
        }
    }
}
