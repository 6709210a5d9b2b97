//! The messages as binary formats have them.

mod id;
mod row;
mod value;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pull::PullReplyForm;
use super::push::PushReplyForm;
use super::{
    Cursor, ObjectOutcome, PullPage, PullReply, PullRequest, PushMode, PushReceipt, PushReply, PushRequest,
    RecordGroup, ResetRequired, Row, SyncOperationMetadata, SyncPayload,
};
use crate::model::{DeviceId, Revision, SessionId, Timestamp, TypeName, Zone};

/// A message in the form that binary formats send: `Compact(&message)` is written, `Compact<Message>` is read.
///
/// The same members as in JSON, but ids that are UUIDs are 16 bytes, 64-bit tokens are numbers, and a value that is
/// neither null, a boolean, a number nor text is an array of one: of bytes, or of the text of its JSON. What is read
/// equals what is read from the same message in JSON. The format must describe itself, as MessagePack and CBOR do.
#[derive(Debug, Clone, PartialEq)]
pub struct Compact<T>(pub T);

macro_rules! in_the_form_of {
    ($($message:ty: $form:ty),+ $(,)?) => {$(
        impl Serialize for Compact<&$message> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$form>::serialize(self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for Compact<$message> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$form>::deserialize(deserializer).map(Self)
            }
        }
    )+};
}

in_the_form_of!(PushRequest: PushForm, PullRequest: PullRequest, SyncPayload: PayloadForm, RecordGroup: GroupForm);

#[derive(Serialize, Deserialize)]
#[serde(remote = "PushRequest")]
struct PushForm {
    metadata: SyncOperationMetadata,
    session: SessionId,
    number: u64,
    follows: Option<SessionId>,
    mode: PushMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    withdraw: Vec<SessionId>,
    #[serde(with = "PayloadForm")]
    payload: SyncPayload,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SyncPayload")]
struct PayloadForm {
    devices: Vec<DeviceId>,
    #[serde(with = "each")]
    groups: Vec<RecordGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RecordGroup")]
struct GroupForm {
    zone: Zone,
    #[serde(rename = "type")]
    type_name: TypeName,
    #[serde(with = "each")]
    rows: Vec<Row>,
}

#[derive(Serialize)]
#[serde(remote = "PushReply", rename_all = "snake_case", tag = "result")]
enum PushReplyRef {
    Processed(#[serde(with = "ReceiptRef")] PushReceipt),
    ClientForked,
    Gap { last: u64 },
    Voided { last: u64 },
}

#[derive(Serialize)]
#[serde(remote = "PushReceipt")]
struct ReceiptRef {
    session: SessionId,
    revision: Revision,
    exceptions: Vec<ObjectOutcome>,
    #[serde(with = "PayloadForm")]
    current: SyncPayload,
}

#[derive(Serialize)]
#[serde(remote = "PullReply", rename_all = "snake_case", tag = "result")]
enum PullReplyRef {
    Page(#[serde(with = "PageRef")] PullPage),
    ResetRequired(ResetRequired),
}

#[derive(Serialize)]
#[serde(remote = "PullPage")]
struct PageRef {
    cursor: Cursor,
    caught_up: bool,
    remaining: Option<u64>,
    unknown_types: Vec<TypeName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outdated_types: Vec<TypeName>,
    server_time: Timestamp,
    #[serde(with = "PayloadForm")]
    payload: SyncPayload,
}

impl Serialize for Compact<&PushReply> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PushReplyRef::serialize(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Compact<PushReply> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PushReplyForm::<Compact<SyncPayload>>::deserialize(deserializer)?.into_reply().map(Self)
    }
}

impl Serialize for Compact<&PullReply> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PullReplyRef::serialize(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Compact<PullReply> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PullReplyForm::<Compact<SyncPayload>>::deserialize(deserializer)?.into_reply().map(Self)
    }
}

impl From<Compact<Self>> for SyncPayload {
    fn from(compact: Compact<Self>) -> Self {
        compact.0
    }
}

/// Lists whose elements have a compact form.
mod each {
    use super::{Compact, Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        for<'a> Compact<&'a T>: Serialize,
    {
        serializer.collect_seq(list.iter().map(Compact))
    }

    pub(super) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        Compact<T>: Deserialize<'de>,
    {
        // Collected in place: nothing is copied.
        Ok(Vec::<Compact<T>>::deserialize(deserializer)?
            .into_iter()
            .map(|Compact(element)| element)
            .collect())
    }
}
