//! Requests that a test makes by hand: of a device that does as no client of this crate would.

use std::collections::BTreeMap;

use fastsync_core::protocol::*;
use fastsync_core::*;

use super::{List, Note, ServerSide, Task, task};

/// The types as every device of this world knows them.
pub fn types() -> BTreeMap<TypeName, TypeVersion> {
    [List::schema(), Task::schema(), Note::schema()].map(|schema| described(&schema.unwrap())).into()
}

pub fn described(schema: &TypeSchema) -> (TypeName, TypeVersion) {
    (schema.name().clone(), TypeVersion::of(schema))
}

pub fn type_name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

/// A new task, written at a time in milliseconds.
pub fn new_row(name: &str, at: u64) -> Row {
    row(&task(name, name), Revision::NONE, at)
}

/// A task or note as edited at a time in milliseconds, on a base. Its life is named after its id.
pub fn row<T: SyncableObject>(object: &T, base: Revision, at: u64) -> Row {
    let (id, body) = (object.id().unwrap(), object.to_body().unwrap());
    let life = id.as_str().bytes().fold(7, |life, byte| life << 8 | u64::from(byte));
    let at = Hlc::new(Timestamp::from_millis(at), 0);
    Row::new(id, base, Incarnation::from_bits(life), at, 0, Some(body))
}

pub fn group(zone: Zone, name: &str, rows: Vec<Row>) -> RecordGroup {
    RecordGroup::new(zone, type_name(name), rows)
}

pub fn tasks(rows: Vec<Row>) -> Vec<RecordGroup> {
    vec![group(Zone::Global, "tasks", rows)]
}

/// A device that numbers its pushes.
#[derive(Debug, Clone)]
pub struct Device {
    pub id: DeviceId,
    pub pushed: u64,
}

impl Device {
    pub fn new(number: u128) -> Self {
        Self { id: DeviceId::from_uuid(uuid::Uuid::from_u128(number)), pushed: 0 }
    }

    fn metadata(&self) -> SyncOperationMetadata {
        let mut metadata = SyncOperationMetadata::new(self.id, std::iter::empty());
        metadata.types = types();
        metadata
    }

    /// The next push, object by object.
    pub fn push(&mut self, groups: Vec<RecordGroup>) -> PushRequest {
        self.pushed += 1;
        let session = SessionId::new(Timestamp::from_millis(self.pushed), &SystemRandom);
        let payload = SyncPayload::new(vec![self.id], groups);
        let mut request = PushRequest::new(self.metadata(), session, self.pushed, payload);
        request.mode = PushMode::PerObject;
        request
    }

    /// A pull of everything in these zones.
    pub fn pull(&self, zones: impl IntoIterator<Item = Zone>) -> PullRequest {
        PullRequest::new(self.metadata(), zones.into_iter().collect())
    }
}

impl ServerSide {
    /// The receipt of a push that is processed.
    pub async fn receipt(&self, context: &SyncContext, push: PushRequest) -> PushReceipt {
        match self.manager.process_push(context, push).await.unwrap() {
            PushReply::Processed(receipt) => receipt,
            refused => panic!("{refused:?}"),
        }
    }

    /// The page that a pull gives.
    pub async fn page(&self, context: &SyncContext, pull: PullRequest) -> PullPage {
        match self.manager.process_pull(context, pull).await.unwrap() {
            PullReply::Page(page) => page,
            refused => panic!("{refused:?}"),
        }
    }

    /// Every page of a pull until it is caught up.
    pub async fn pages(&self, context: &SyncContext, mut pull: PullRequest) -> Vec<PullPage> {
        let mut pages = Vec::new();
        for _ in 0..1_000 {
            let page = self.page(context, pull.clone()).await;
            pull.cursor = Some(page.cursor.clone());
            pages.push(page);
            if pages.last().unwrap().caught_up {
                return pages;
            }
        }
        panic!("the pull does not end")
    }

    /// A record or tombstone of a task.
    pub async fn record(&self, name: &str) -> Option<Record> {
        let found = self.store.source().get(&type_name("tasks"), &Zone::Global, &[super::id(name)]).await;
        found.unwrap().pop()
    }

    /// The sessions committed to a zone.
    pub async fn sessions(&self, zone: &Zone) -> Vec<SessionSummary> {
        self.store.source().sessions_of(zone, Position::START, 1_000).await.unwrap()
    }
}

/// The ids of a payload's rows, in order.
pub fn ids(payload: &SyncPayload) -> Vec<&str> {
    payload.groups.iter().flat_map(|group| &group.rows).map(|row| row.0.as_str()).collect()
}

/// The ids of a receipt's exceptions with what it tells of them; the code where they are refused.
pub fn told(receipt: &PushReceipt) -> Vec<(&str, &str)> {
    let outcome = |outcome| match outcome {
        &Outcome::Kept => "kept",
        Outcome::Merged => "merged",
        Outcome::Superseded => "superseded",
        Outcome::Rejected { code, .. } => code,
        _ => "something new",
    };
    receipt.exceptions.iter().map(|named| (named.id.as_str(), outcome(&named.outcome))).collect()
}
