//! Where a zone's history has nothing of a type.
//!
//! The original's replies leave out a type without objects, so the cursor of a type that seldom changes stays where it
//! is, and each pull would seek the type again in all that others wrote since. What one pull found out holds for good:
//! a record only ever moves to a later position. It is kept in memory, for as many types and zones as there is room.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastsync_core::source::Point;
use fastsync_core::{Position, TypeName, Zone};

/// How many stretches are known at once.
const ROOM: usize = 8_192;

/// A stretch of a zone's history without a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) after: Position,
    /// The end: in another history, a backup's, this point is not there.
    pub(crate) through: Point,
}

/// The stretches that are known.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    stretches: Mutex<HashMap<(Zone, TypeName), Stretch>>,
}

impl Quiet {
    /// The stretch without the type that a reader at this position is in.
    pub(crate) fn around(&self, zone: &Zone, type_name: &TypeName, read: Position) -> Option<Stretch> {
        let stretch = self.lock().get(&(zone.clone(), type_name.clone())).cloned()?;
        (stretch.after <= read && read <= stretch.through.position).then_some(stretch)
    }

    /// Nothing of the type is in this stretch.
    pub(crate) fn note(&self, zone: Zone, type_name: TypeName, stretch: Stretch) {
        let mut stretches = self.lock();
        if stretches.len() >= ROOM {
            stretches.clear();
        }
        stretches.insert((zone, type_name), stretch);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Zone, TypeName), Stretch>> {
        self.stretches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_inside_a_stretch_is_passed_over() {
        let quiet = Quiet::default();
        let name = TypeName::new("Item").unwrap();
        let is_inside = |read| quiet.around(&Zone::Global, &name, Position(read)).is_some();
        assert!(!is_inside(0));
        let through = Point { position: Position(9), ..Point::START };
        let stretch = Stretch { after: Position(3), through };
        quiet.note(Zone::Global, name.clone(), stretch.clone());
        assert_eq!([2, 3, 8, 9, 10].map(is_inside), [false, true, true, true, false]);
        assert_eq!(quiet.around(&Zone::restricted("z").unwrap(), &name, Position(3)), None);
        for n in 0..=ROOM {
            quiet.note(Zone::restricted(format!("{n}")).unwrap(), name.clone(), stretch.clone());
        }
        assert!(quiet.lock().len() <= ROOM);
    }
}
