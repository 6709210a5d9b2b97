//! Bringing over what an original server has stored, and back.

mod export;
mod map;
mod original;

use std::collections::BTreeMap;

use fastsync_core::source::{Action, CommitOutcome, ConflictReason, Expect, OnMismatch, Write};
use fastsync_core::{
    DeviceId, Error, ErrorKind, Hlc, Incarnation, ObjectId, Record, RecordKey, Result, SyncMetadata,
    TypeName, TypeSchema, Zone, ZoneRestriction,
};

use crate::convert::{GLOBAL, name_hash, name_uuid, to_body};
use crate::refusal::Refusal;
use crate::{FastSyncCompat, Inner, timestamp, version};

pub use export::HighestCursor;
pub use original::OriginalObject;

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many objects were stored, deleted ones among them.
    pub stored: usize,
    /// How many were there already, in this version, a later one, or edited here since.
    pub known: usize,
    /// What cannot be stored, and why.
    pub refused: Vec<Refusal>,
}

/// How many objects are stored at once. A client whose cursor is inside such a group receives it once more.
const GROUP: usize = 500;

impl FastSyncCompat {
    /// Stores the objects of one type as an original server had them: with their versions, zones and deletions. Edits that
    /// clients have not sent are known by the versions, and their cursors continue here: what a client has received from
    /// the original server it does not receive again.
    ///
    /// Import each type once while the original server is stopped, before clients come here. It may be repeated, after an
    /// interruption or with newer data: what is there is passed over, and so is what was edited here.
    ///
    /// # Errors
    /// `UnknownType`; those of the data source. What was stored until then stays, and the next import goes on.
    pub async fn import(
        &self,
        type_name: &TypeName,
        objects: impl IntoIterator<Item = OriginalObject> + Send,
    ) -> Result<ImportReport> {
        let schema = self.inner.server.store().schema(type_name)?;
        let mut report = ImportReport::default();
        // An original server may have an object several times: the newest one is it.
        let mut zones: BTreeMap<Zone, BTreeMap<ObjectId, OriginalObject>> = BTreeMap::new();
        for object in objects {
            match place(schema, &object) {
                Ok((zone, id)) => {
                    let known = zones.entry(zone).or_default().entry(id);
                    let newest = known.or_insert_with(|| object.clone());
                    if newest.version < object.version {
                        *newest = object;
                    }
                }
                Err(error) => {
                    let id = Some(object.id.as_str());
                    report.refused.push(Refusal::of_object(
                        type_name.as_str(),
                        id,
                        "invalid",
                        error.message(),
                    ));
                }
            }
        }
        for (zone, objects) in zones {
            let mut objects: Vec<_> = objects.into_iter().collect();
            objects.sort_by_key(|(_, object)| object.version);
            for group in objects.chunks(GROUP) {
                self.inner.import_group(schema, &zone, group, &mut report).await?;
            }
            self.inner.map_versions(&zone, type_name).await?;
        }
        Ok(report)
    }
}

/// Where an object goes.
fn place(schema: &TypeSchema, object: &OriginalObject) -> Result<(Zone, ObjectId)> {
    let id = ObjectId::new(&object.id)?;
    schema.admit_id(&id)?;
    let zone = match schema.restriction() {
        ZoneRestriction::Global => Zone::Global,
        ZoneRestriction::Restricted if object.zone == GLOBAL => {
            let message = "it is in the zone of everyone, and the type is restricted";
            return Err(Error::new(ErrorKind::InvalidInput, "import", message));
        }
        ZoneRestriction::Restricted => Zone::restricted(&object.zone)?,
    };
    Ok((zone, id))
}

impl Inner {
    /// Stores objects of one zone at one position.
    async fn import_group(
        &self,
        schema: &TypeSchema,
        zone: &Zone,
        group: &[(ObjectId, OriginalObject)],
        report: &mut ImportReport,
    ) -> Result<()> {
        let store = self.server.store();
        let type_name = schema.name();
        let ids: Vec<_> = group.iter().map(|(id, _)| id.clone()).collect();
        let current = store.source().get(type_name, zone, &ids).await?;
        let current: BTreeMap<_, _> = current.iter().map(|record| (&record.key.id, record)).collect();
        let unknown = self.unknown.get(type_name).copied();
        let (mut writes, mut state) = (Vec::new(), Vec::new());
        for (id, object) in group {
            let known = current.get(id);
            let expect = match known.map(|record| record.metadata.revision) {
                None => Expect::Absent,
                Some(revision) if version::imported(revision).is_some_and(|known| known < object.version) => {
                    Expect::Revision(revision)
                }
                Some(_) => {
                    report.known = report.known.saturating_add(1);
                    continue;
                }
            };
            let refused = |code: &str, message: &str| {
                Refusal::of_object(type_name.as_str(), Some(id.as_str()), code, message)
            };
            let Some(revision) = version::import(object.version) else {
                report.refused.push(refused("invalid", "its version is none that a counter reaches"));
                continue;
            };
            let body = match (object.deleted, to_body(schema, unknown, object.fields.clone(), None)) {
                (true, _) => None,
                (false, Ok(body)) => Some(body),
                (false, Err(error)) => {
                    report.refused.push(refused("invalid", error.message()));
                    continue;
                }
            };
            let now = store.now();
            let key = RecordKey { zone: zone.clone(), type_name: type_name.clone(), id: id.clone() };
            let told = timestamp::read(object.timestamp).filter(|told| *told <= now);
            let metadata = SyncMetadata {
                revision,
                incarnation: known.map_or_else(|| life(&key), |record| record.metadata.incarnation),
                modified_at: Hlc::new(told.unwrap_or(now), 0),
                modified_by: importer(),
                change: 0,
            };
            let record = Record { key, body, metadata };
            if record.is_deleted() && store.keeps_deleted(type_name) {
                state.push(store.keep_last_values(&record, object.fields.clone())?);
            }
            let action = Action::Put { record, pending: false };
            writes.push(Write { action, expect, on_mismatch: OnMismatch::Skip });
        }
        if writes.is_empty() {
            return Ok(());
        }
        let written = writes.len();
        let skipped = match store.write_records(importer(), writes, state).await? {
            CommitOutcome::Applied(receipt) | CommitOutcome::Duplicate(receipt) => receipt.skipped,
            CommitOutcome::Conflicts { writes, .. } => writes,
        };
        report.stored = report.stored.saturating_add(written.saturating_sub(skipped.len()));
        for conflict in skipped {
            let id = conflict.write.action.key().id.as_str();
            match &conflict.reason {
                ConflictReason::Constraint(message) => {
                    let refusal = Refusal::of_object(type_name.as_str(), Some(id), "constraint", message);
                    report.refused.push(refusal);
                }
                ConflictReason::Mismatch => report.known = report.known.saturating_add(1),
            }
        }
        Ok(())
    }
}

/// The life of an object that was made at the original server: the same in every import.
fn life(key: &RecordKey) -> Incarnation {
    let zone = key.zone.to_string();
    let hash = name_hash(&["import", &zone, key.type_name.as_str(), key.id.as_str()]);
    Incarnation::from_bits(hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

fn importer() -> DeviceId {
    DeviceId::from_uuid(name_uuid(&["import"]))
}
