//! From the versions of an original server to positions here.
//!
//! A client's old cursor is the highest version that it has received of a type in a zone. What it has received is what was
//! imported with this version or a lower one, and it was imported in the order of versions. The map is made by reading the
//! history, so that it is right wherever an import was cut off.

use fastsync_core::source::{
    Changes, ChangesRequest, PageLimits, StateWrite, SyncableDataSourceExt as _, entry,
};
use fastsync_core::{Position, RecordKey, Result, TypeName, Zone};
use serde::{Deserialize, Serialize};

use crate::convert::{contention, name_hash};
use crate::{Inner, version};

/// Positions with the highest version that is between it and the one before, in the order of positions. Fields are identified
/// by their place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Versions(Vec<(Position, u64)>);

/// Stands for what was not imported: no cursor of the original server is beyond it.
const EDITED: u64 = u64::MAX;

/// How many records are looked at at once: a client whose cursor is among them receives them again.
const PAGE: usize = 500;

fn key(zone: &Zone, type_name: &TypeName) -> String {
    format!("fastsync-compat/imported/{}", name_hash(&[&zone.to_string(), type_name.as_str()]).to_hex())
}

impl Versions {
    /// Where the reading of a client begins that has received all up to a version.
    fn position(&self, read: u64) -> Position {
        let known = self.0.iter().take_while(|(_, highest)| *highest <= read);
        known.last().map_or(Position::START, |(position, _)| *position)
    }
}

impl Inner {
    /// Where the reading of a client begins that comes with a cursor of the original server.
    pub(crate) async fn imported_at(&self, zone: &Zone, type_name: &TypeName, read: u64) -> Result<Position> {
        if read == 0 {
            return Ok(Position::START);
        }
        let stored = self.server.store().source().entry(&key(zone, type_name)).await?;
        let versions = stored.as_deref().map(entry::decode::<Versions>).transpose()?;
        Ok(versions.unwrap_or_default().position(read))
    }

    /// Whether an original server's objects of this type and zone were imported.
    pub(crate) async fn is_imported(&self, object: &RecordKey) -> Result<bool> {
        let key = key(&object.zone, &object.type_name);
        Ok(self.server.store().source().entry(&key).await?.is_some())
    }

    /// Adds to the map what was imported since it was made.
    pub(super) async fn map_versions(&self, zone: &Zone, type_name: &TypeName) -> Result<()> {
        let store = self.server.store();
        let key = key(zone, type_name);
        let stored = store.source().entry(&key).await?;
        let mut versions = stored.as_deref().map(entry::decode::<Versions>).transpose()?.unwrap_or_default();
        let known = versions.0.last().map_or(Position::START, |(position, _)| *position);
        let mut request = ChangesRequest {
            zone: zone.clone(),
            after: known.into(),
            types: Some(vec![type_name.clone()]),
            skip_own: None,
            limits: PageLimits { records: PAGE, bytes: 4 << 20 },
            count_remaining: false,
        };
        let mut highest = 0;
        loop {
            // A history that the map is not of is one of a restored backup: clients begin at its beginning.
            let Changes::Page(page) = store.source().changes(&request).await? else { return Ok(()) };
            for record in &page.records {
                highest = highest.max(version::imported(record.metadata.revision).unwrap_or(EDITED));
            }
            if page.next.within.is_none() && highest > 0 {
                versions.0.push((page.next.position, highest));
                if highest == EDITED {
                    break;
                }
                highest = 0;
            }
            if page.caught_up {
                break;
            }
            request.after = page.next.into();
        }
        let write = StateWrite::replace(key, stored, Some(entry::encode(&versions)?));
        if store.write_state(vec![write]).await? { Ok(()) } else { Err(contention()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a client would miss something, or the stored form changes.
    #[test]
    fn a_client_begins_before_what_it_may_lack() {
        let at = |position, version| (Position(position), version);
        let versions = Versions(vec![at(1, 50), at(3, 50), at(4, 120), at(9, EDITED), at(12, 130)]);
        for (read, position) in [(1, 0), (49, 0), (50, 3), (119, 3), (120, 4), (130, 4), (1 << 28, 4)] {
            assert_eq!(versions.position(read), Position(position), "{read}");
        }
        let stored = entry::encode(&versions).unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../tests/golden/stored/imported-1.hex").trim_end());
        assert_eq!(entry::decode::<Versions>(&stored).unwrap(), versions);
    }
}
