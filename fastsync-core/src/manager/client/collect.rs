//! Making a push of the edits that wait.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Client;
use super::forgotten::Marks;
use super::queue::InFlight;
use crate::error::Result;
use crate::model::{Record, RecordKey, TypeName, Zone};
use crate::protocol::{PushRequest, SyncOperationMetadata, SyncPayload};
use crate::store::{PendingReader, SessionLimits};

/// Which pending edits are not sent.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Refused edits, by the change that was refused.
    pub(super) rejected: BTreeMap<RecordKey, u64>,
    /// Types that the server does not exchange with this client yet.
    pub(super) unknown_types: BTreeSet<TypeName>,
    /// The types of this application. Edits of others were made by a release that had them.
    pub(super) registered: BTreeSet<TypeName>,
    /// Types with fields that are not fetched yet in a zone that this manager does not pull.
    pub(super) unfetched: BTreeSet<(TypeName, Zone)>,
    /// Refusals of edits that are no longer there, to be forgotten with the next commit.
    pub(super) outdated: Vec<RecordKey>,
    /// Objects that the server has forgotten and that wait for a decision.
    pub(super) forgotten: Marks,
    /// Marks of objects that do not wait any more, to be removed with the next commit.
    pub(super) decided: Vec<RecordKey>,
}

impl Withheld {
    /// Whether a local commit waits as a whole, because the server does not exchange one of its types yet, new fields of one are not
    /// fetched yet, or one of its objects waits for a decision. What is of types that this application gave up does not hold up the rest.
    pub(super) fn holds_together(&self, local_commit: &[Record]) -> bool {
        let names = || local_commit.iter().map(|record| &record.key.type_name);
        names().any(|name| self.registered.contains(name) && self.unknown_types.contains(name))
            || local_commit.iter().any(|record| self.forgotten.holds(record) || self.is_unfetched(record))
    }

    pub(super) fn holds(&self, record: &Record) -> bool {
        !self.registered.contains(&record.key.type_name)
            || self.unknown_types.contains(&record.key.type_name)
            || self.rejected.get(&record.key) == Some(&record.metadata.change)
            || self.forgotten.holds(record)
            || self.is_unfetched(record)
    }

    /// Whether the server may have something in a field that an edit was made without.
    pub(super) fn is_unfetched(&self, record: &Record) -> bool {
        // Hardly ever is there any.
        !self.unfetched.is_empty()
            && self.unfetched.contains(&(record.key.type_name.clone(), record.key.zone.clone()))
    }
}

/// How many records are read at once at the least.
const MIN_READ: usize = 256;

/// Whether seven eighths of a limit are used up.
const fn is_nearly(used: usize, limit: usize) -> bool {
    used >= limit - limit / 8
}

/// What there is to push next.
#[derive(Debug)]
pub(super) enum Collected {
    Nothing,
    Session(InFlight),
    /// A local commit that is larger than any session may be: its edits by their changes, and its size.
    TooLarge(Vec<(RecordKey, u64)>, SessionLimits),
}

impl Client {
    /// The next session to push: whole local commits after number `after`, about as many as the limits allow. `like`:
    /// how many records it may turn out to have.
    pub(super) async fn collect(
        &self,
        number: u64,
        after: u64,
        like: usize,
        withheld: &Withheld,
    ) -> Result<Collected> {
        let (most, limits) = (self.store.limits(), self.cut.limits());
        // Sessions of a run are about equally long; what is read and does not fit is read again.
        let mut reader = PendingReader::after(&self.store, after, like.max(MIN_READ).min(most.records));
        let mut chosen: Vec<Record> = Vec::new();
        let mut bytes = 0;
        while let Some(page) = reader.next().await? {
            let earlier: HashSet<RecordKey> = chosen.iter().map(|record| record.key.clone()).collect();
            let mut page = page.into_iter().peekable();
            while let Some(change) = page.peek().map(|record| record.metadata.change) {
                let mut group = Vec::new();
                while let Some(record) = page.next_if(|record| record.metadata.change == change) {
                    group.push(record);
                }
                if withheld.holds_together(&group) {
                    continue;
                }
                group.retain(|record| !withheld.holds(record));
                let group_bytes: usize = group.iter().map(Record::approximate_bytes).sum();
                let fits_in =
                    |most: usize, bytes: usize| chosen.len() + group.len() <= most && group_bytes <= bytes;
                if chosen.is_empty() && !fits_in(most.records, most.bytes) {
                    let size = SessionLimits::new(group.len(), group_bytes);
                    let edits = group.into_iter().map(|record| (record.key, record.metadata.change));
                    return Ok(Collected::TooLarge(edits.collect(), size));
                }
                // A local commit is never cut: one that is larger than what was refused before goes alone.
                let fits = chosen.is_empty() || fits_in(limits.records, limits.bytes.saturating_sub(bytes));
                // An object that was edited since the last page was read turns up again: its newer edit goes with
                // the next session.
                if !fits || group.iter().any(|record| earlier.contains(&record.key)) {
                    return Ok(Collected::Session(self.make_push(number, chosen)));
                }
                bytes += group_bytes;
                chosen.append(&mut group);
            }
            // Hardly anything more can fit: do not read on to find that out.
            if is_nearly(chosen.len(), limits.records) || is_nearly(bytes, limits.bytes) {
                break;
            }
        }
        if chosen.is_empty() {
            return Ok(Collected::Nothing);
        }
        Ok(Collected::Session(self.make_push(number, chosen)))
    }

    fn make_push(&self, number: u64, mut records: Vec<Record>) -> InFlight {
        let device = self.store.device();
        // The order of the payload's groups, so that rows and changes go side by side.
        records.sort_by(|a, b| (&a.key.zone, &a.key.type_name).cmp(&(&b.key.zone, &b.key.type_name)));
        let changes = records.iter().map(|record| record.metadata.change).collect();
        for record in &mut records {
            // A store that took a new identity sends its older edits under the new one.
            record.metadata.incarnation = record.metadata.life_under(device);
            record.metadata.modified_by = device;
        }
        let payload = SyncPayload::from_records(records);
        let types: BTreeSet<&TypeName> = payload.groups.iter().map(|group| &group.type_name).collect();
        let schemas = self.store.schemas().filter(|schema| types.contains(schema.name()));
        let request = PushRequest {
            metadata: SyncOperationMetadata::new(device, schemas),
            session: self.store.new_session(),
            number,
            follows: None,
            mode: self.mode,
            withdraw: Vec::new(),
            payload,
        };
        InFlight { request: request.into(), changes }
    }
}
