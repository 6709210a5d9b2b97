//! Going back to an original server.

use std::collections::BTreeMap;

use fastsync_core::source::{Changes, ChangesRequest, PageLimits};
use fastsync_core::{Position, Record, Result, TypeName, Zone};

use super::OriginalObject;
use crate::convert::{contention, deleted_body, to_object, zone_name};
use crate::timestamp::Unit;
use crate::{FastSyncCompat, version};

/// The highest cursor that clients have of a type in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HighestCursor {
    /// The type.
    pub type_name: TypeName,
    /// The zone, as clients call it.
    pub zone: String,
    /// The number. An original server's counter of this type and zone must be higher before it serves these clients again.
    pub cursor: u64,
}

/// How much is read at once.
const PAGE: PageLimits = PageLimits { records: 5_000, bytes: 4 << 20 };

impl FastSyncCompat {
    /// The highest cursors that clients can have, of each type in each zone that has objects of it. Stop this server before, so
    /// that none is given out any more.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn highest_cursors(&self) -> Result<Vec<HighestCursor>> {
        let store = self.inner.server.store();
        let mut highest = Vec::new();
        for schema in store.schemas() {
            for zone in store.source().zones(schema.name()).await? {
                let look = request(&zone, schema.name(), PageLimits { records: 1, bytes: 1 });
                let Changes::Page(page) = store.source().changes(&look).await? else {
                    return Err(contention());
                };
                let (type_name, cursor) = (schema.name().clone(), version::cursor(page.head.position));
                highest.push(HighestCursor { type_name, zone: zone_name(&zone).to_owned(), cursor });
            }
        }
        Ok(highest)
    }

    /// All objects of a type, deleted ones too, as an original server is to store them: each with a version above the highest
    /// cursor of its zone, so that every client receives each once, whatever it has read here. Store that version as the
    /// counter of the type and zone, too.
    ///
    /// Gives them to `each` zone by zone, some thousand at a time.
    ///
    /// # Errors
    /// `UnknownType`; those of the data source and of `each`.
    pub async fn export(
        &self,
        type_name: &TypeName,
        mut each: impl FnMut(Vec<OriginalObject>) -> Result<()> + Send,
    ) -> Result<()> {
        let store = self.inner.server.store();
        let schema = store.schema(type_name)?;
        let sample = self.inner.samples.get(type_name).map(Vec::as_slice).unwrap_or_default();
        let unknown = self.inner.unknown.get(type_name).copied();
        let counters: BTreeMap<_, _> = self
            .highest_cursors()
            .await?
            .into_iter()
            .filter(|highest| highest.type_name == *type_name)
            .map(|highest| (highest.zone, highest.cursor.saturating_add(1)))
            .collect();
        for zone in store.source().zones(type_name).await? {
            let Some(counter) = counters.get(zone_name(&zone)).copied() else { continue };
            let mut look = request(&zone, type_name, PAGE);
            loop {
                let Changes::Page(page) = store.source().changes(&look).await? else {
                    return Err(contention());
                };
                let deleted: Vec<_> = page.records.iter().filter(|record| record.is_deleted()).collect();
                let mut kept = store.last_values(&deleted).await?;
                let to_original = |record: Record| {
                    let kept = kept.remove(&record.key);
                    let body = || deleted_body(schema, sample, kept);
                    let object = to_object(schema, type_name.as_str(), unknown, Unit::Seconds, record, body);
                    OriginalObject {
                        id: object.id,
                        zone: zone_name(&zone).to_owned(),
                        version: counter,
                        deleted: object.deleted,
                        timestamp: object.metadata.timestamp,
                        fields: object.fields,
                    }
                };
                each(page.records.into_iter().map(to_original).collect())?;
                if page.caught_up {
                    break;
                }
                look.after = page.next.into();
            }
        }
        Ok(())
    }
}

fn request(zone: &Zone, type_name: &TypeName, limits: PageLimits) -> ChangesRequest {
    ChangesRequest {
        zone: zone.clone(),
        after: Position::START.into(),
        types: Some(vec![type_name.clone()]),
        skip_own: None,
        limits,
        count_remaining: false,
    }
}
