//! Checking a push before anything of it is stored.

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hlc, Record, RecordKey, Timestamp};
use crate::protocol::{PushRequest, SyncPayload};

/// What a push holds.
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    /// Why the values of some of them do not fit their type.
    pub(super) unfit: BTreeMap<RecordKey, String>,
}

impl Server {
    /// Refuses a session with a type of which this server asks for a later version.
    fn check_versions(&self, request: &PushRequest) -> Result<()> {
        for group in &request.payload.groups {
            let name = &group.type_name;
            let theirs = request.metadata.types.get(name).zip(self.store.schema(name).ok());
            if theirs.is_some_and(|(theirs, schema)| theirs.is_outdated(schema)) {
                let message =
                    format!("the server asks for a later version of type {name}: upgrade the application");
                return Err(Error::new(ErrorKind::UpgradeRequired, "push", message));
            }
        }
        Ok(())
    }

    pub(super) fn check_size(&self, payload: &SyncPayload) -> Result<()> {
        let limits = self.limits.session;
        if payload.is_empty() {
            return Err(Error::invalid("push", "the session is empty"));
        }
        if payload.len() > limits.records {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "push",
                format!("a session of {} records exceeds the limit of {}", payload.len(), limits.records),
            )
            .with_context(Error::LIMIT_RECORDS, limits.records));
        }
        Ok(())
    }

    /// The pushed records, checked against their types and this server's clock. Values that do not fit are a matter of their
    /// object: a device of a later release may hold wider ones.
    pub(super) fn read_payload(&self, request: PushRequest) -> Result<Read> {
        if request.payload.devices != [request.metadata.device] {
            return Err(Error::invalid("push", "a device pushes edits of its own only"));
        }
        self.check_versions(&request)?;
        let mut unfit = BTreeMap::new();
        let mut apart = Vec::new();
        let mut records = request.payload.into_fitting_records(
            &request.metadata.types,
            |name| self.store.schema(name).ok(),
            |record, error| {
                unfit.insert(record.key.clone(), error.message().to_owned());
                apart.push(record);
            },
        )?;
        records.append(&mut apart);
        let now = self.store.now();
        let drift = u64::try_from(self.limits.clock_drift.as_millis()).unwrap_or(u64::MAX);
        let latest = Hlc::new(Timestamp::from_millis(now.as_millis().saturating_add(drift)), u16::MAX);
        let mut keys = BTreeSet::new();
        let mut bytes = 0;
        for record in &records {
            self.store.check_zone(&record.key.type_name, &record.key.zone)?;
            if record.metadata.modified_at > latest {
                return Err(Error::new(
                    ErrorKind::ClockSkew,
                    "push",
                    "an edit is dated in the future: the device's clock is ahead of the server's",
                )
                .with_context(Error::SERVER_TIME_MS, now.as_millis()));
            }
            if !keys.insert(&record.key) {
                return Err(
                    Error::invalid("push", "the session writes an object twice").with_record(&record.key)
                );
            }
            bytes += record.approximate_bytes();
        }
        let limit = self.limits.session.bytes;
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "push",
                format!("a session of {bytes} bytes exceeds the limit of {limit}"),
            )
            .with_context(Error::LIMIT_BYTES, limit));
        }
        Ok(Read { records, unfit })
    }
}
