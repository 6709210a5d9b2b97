//! Replies that end inside a session.
//!
//! A client's cursor is one number, and the number of a session says that all of it was read. Where a reply ends inside a
//! session, the cursor is the number of an entry that says where: the last record that was given. The number is made
//! of that place, so that clients that are cut at the same place share the entry. It is forgotten after a while; who comes
//! back later reads the session from its beginning.

use fastsync_core::source::{Point, StateWrite, entry};
use fastsync_core::{ObjectId, Position, Result, Tag, TypeName, Zone};
use serde::{Deserialize, Serialize};

use crate::convert::{contention, name_hash};
use crate::shelf::Kind;
use crate::{Inner, version};

/// An entry. Fields are identified by their place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cut {
    zone: Zone,
    position: Position,
    tag: Tag,
    horizon: Position,
    type_name: TypeName,
    id: ObjectId,
}

/// How many numbers are tried for a place, should others have its first ones.
const ATTEMPTS: u64 = 8;

impl Cut {
    fn of(zone: &Zone, point: &Point) -> Option<Self> {
        let (type_name, id) = point.within.clone()?;
        let Point { position, tag, horizon, .. } = *point;
        Some(Self { zone: zone.clone(), position, tag, horizon, type_name, id })
    }

    /// Whether both are the same place; the horizon is no part of it.
    fn is_at(&self, other: &Self) -> bool {
        let Self { zone, position, tag, type_name, id, .. } = self;
        (zone, position, tag, type_name, id)
            == (&other.zone, &other.position, &other.tag, &other.type_name, &other.id)
    }

    fn number(&self) -> u64 {
        let hash = name_hash(&[
            &self.zone.to_string(),
            &self.position.0.to_string(),
            &self.tag.0.to_string(),
            self.type_name.as_str(),
            self.id.as_str(),
        ]);
        hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

fn name(number: u64) -> String {
    format!("{number:07x}")
}

impl Inner {
    /// The cursor of a client that has read up to a point inside a session.
    pub(crate) async fn cut_at(&self, zone: &Zone, point: &Point) -> Result<u64> {
        let Some(cut) = Cut::of(zone, point) else { return Ok(version::cursor(point.position)) };
        let store = self.server.store();
        let first = cut.number();
        for attempt in 0..ATTEMPTS {
            let cursor = version::cut(first.wrapping_add(attempt));
            let Some(number) = version::cut_number(cursor) else { continue };
            let found = self.shelf.find(store, Kind::Cut, &name(number)).await?;
            let there = found.value.as_deref().map(entry::decode::<Cut>).transpose()?;
            if there.as_ref().is_some_and(|there| !there.is_at(&cut)) {
                continue;
            }
            if found.replaced.is_some() {
                return Ok(cursor);
            }
            let write = StateWrite::replace(found.key, None, Some(entry::encode(&cut)?));
            if store.write_state(vec![write]).await? {
                return Ok(cursor);
            }
            // Somebody was faster, with the same place most likely: the next look tells.
            let again = self.shelf.find(store, Kind::Cut, &name(number)).await?;
            let there = again.value.as_deref().map(entry::decode::<Cut>).transpose()?;
            if there.is_some_and(|there| there.is_at(&cut)) {
                return Ok(cursor);
            }
        }
        Err(contention())
    }

    /// The point that a cursor stands for, if it is one inside a session of this zone, and is remembered.
    pub(crate) async fn point_of(&self, zone: &Zone, cursor: u64) -> Result<Option<Point>> {
        let Some(number) = version::cut_number(cursor) else { return Ok(None) };
        let found = self.shelf.find(self.server.store(), Kind::Cut, &name(number)).await?;
        let cut = found.value.as_deref().map(entry::decode::<Cut>).transpose()?;
        Ok(cut.filter(|cut| cut.zone == *zone).map(|cut| Point {
            position: cut.position,
            tag: cut.tag,
            within: Some((cut.type_name, cut.id)),
            horizon: cut.horizon,
            loading: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the place of a client that was cut off in an earlier release could not be found.
    #[test]
    fn a_cut_is_as_in_its_file() {
        let within = Some((TypeName::new("Item").unwrap(), ObjectId::new("1").unwrap()));
        let point =
            Point { position: Position(7), tag: Tag(9), within, horizon: Position(3), loading: false };
        let cut = Cut::of(&Zone::restricted("home").unwrap(), &point).unwrap();
        let stored = entry::encode(&cut).unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        let number = version::cut(cut.number());
        assert_eq!(format!("{number} {hex}"), include_str!("../tests/golden/stored/cut-1.hex").trim_end());
        assert_eq!(entry::decode::<Cut>(&stored).unwrap(), cut);
    }
}
