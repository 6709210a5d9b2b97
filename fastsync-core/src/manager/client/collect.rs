//! Making a push of the edits that wait.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Client;
use super::queue::InFlight;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, RecordKey, TypeName};
use crate::protocol::{PushRequest, SyncOperationMetadata, SyncPayload};
use crate::store::PendingReader;

/// Which pending edits are not sent.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Refused edits, by the change that was refused.
    pub(super) rejected: BTreeMap<RecordKey, u64>,
    /// Types that the server does not know yet.
    pub(super) unknown_types: BTreeSet<TypeName>,
    /// Refusals of edits that are no longer there, to be forgotten with the next commit.
    pub(super) outdated: Vec<RecordKey>,
}

impl Withheld {
    fn holds(&self, record: &Record) -> bool {
        self.unknown_types.contains(&record.key.type_name)
            || self.rejected.get(&record.key) == Some(&record.metadata.change)
    }
}

impl Client {
    /// The next session to push: whole local commits after number `after`, as many as the limits allow.
    pub(super) async fn collect(
        &self,
        number: u64,
        after: u64,
        withheld: &Withheld,
    ) -> Result<Option<InFlight>> {
        let limits = self.store.limits();
        let mut reader = PendingReader::after(&self.store, after, limits.records);
        let mut chosen: Vec<Record> = Vec::new();
        let mut bytes = 0;
        while let Some(page) = reader.next().await? {
            let earlier: HashSet<RecordKey> = chosen.iter().map(|record| record.key.clone()).collect();
            for group in page.chunk_by(|a, b| a.metadata.change == b.metadata.change) {
                let sent: Vec<&Record> = group.iter().filter(|record| !withheld.holds(record)).collect();
                let group_bytes: usize = sent.iter().map(|record| record.approximate_bytes()).sum();
                let fits = chosen.len() + sent.len() <= limits.records && bytes + group_bytes <= limits.bytes;
                if !fits && chosen.is_empty() {
                    return Err(Error::new(
                        ErrorKind::TooLarge,
                        "push",
                        format!(
                            "a local commit of {} records and {group_bytes} bytes exceeds the limit of {} records \
                             and {} bytes per session",
                            sent.len(),
                            limits.records,
                            limits.bytes
                        ),
                    ));
                }
                // An object that was edited since the last page was read turns up again: its newer edit goes with
                // the next session.
                if !fits || sent.iter().any(|record| earlier.contains(&record.key)) {
                    return Ok(Some(self.make_push(number, chosen)));
                }
                bytes += group_bytes;
                chosen.extend(sent.into_iter().cloned());
            }
            if chosen.len() >= limits.records {
                break; // nothing more can fit: do not read on to find that out
            }
        }
        Ok((!chosen.is_empty()).then(|| self.make_push(number, chosen)))
    }

    fn make_push(&self, number: u64, mut records: Vec<Record>) -> InFlight {
        let device = self.store.device();
        // The order of the payload's groups, so that rows and changes go side by side.
        records.sort_by(|a, b| (&a.key.zone, &a.key.type_name).cmp(&(&b.key.zone, &b.key.type_name)));
        let changes = records.iter().map(|record| record.metadata.change).collect();
        for record in &mut records {
            // A store that took a new identity sends its older edits under the new one.
            record.metadata.modified_by = device;
        }
        let payload = SyncPayload::from_records(records);
        let types: BTreeSet<&TypeName> = payload.groups.iter().map(|group| &group.type_name).collect();
        let schemas = self.store.schemas().filter(|schema| types.contains(schema.name()));
        let request = PushRequest {
            metadata: SyncOperationMetadata::new(device, schemas),
            session: self.store.new_session(),
            number,
            mode: self.mode,
            payload,
        };
        InFlight { request, changes }
    }
}
