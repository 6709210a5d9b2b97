//! The numbers that original clients keep: how far they have read, and which version of an object they have.
//!
//! A cursor is the position of a session of the zone, counted from 2^30, or from 2^29 on the number of a place inside
//! one. What is below is of an original server, whose counters say nothing about a history here.
//!
//! Of an object the clients take the version from the server, count it up once when they first edit the object, and
//! send that. They compare it with nothing, so the number need not rise: ours is made of the record's revision, and an
//! edit that sends `n` started from the version that made `n - 1`. An object that was made on the client counts up
//! from the client's own start (0 or 999), and one that an original server sent from a counter of that server's: both
//! are far below.
//!
//! All of it stays below 2^31, the limit of the narrowest client; cursors do for 2^30 sessions of a zone.

use fastsync_core::{Position, Revision};

/// Where cursors begin.
const CURSORS: u64 = 1 << 30;

/// Where the numbers of places inside a session begin, which are cursors as well: see [`crate::cut`].
const CUTS: u64 = 1 << 29;

/// How many there are.
const CUTS_END: u64 = CUTS + (1 << 28);

/// The lowest version of a revision; below it clients and original servers count objects of their own.
const FIRST: u64 = 1 << 28;

/// Above the highest one. The rest up to 2^31 is for edits that are counted up without a pull between.
const END: u64 = (1 << 31) - (1 << 16);

/// What a client keeps that has read up to a position.
pub(crate) const fn cursor(position: Position) -> u64 {
    CURSORS.saturating_add(position.0)
}

/// The cursor of a place inside a session.
pub(crate) const fn cut(number: u64) -> u64 {
    CUTS + number % (CUTS_END - CUTS)
}

/// The number of the place inside a session that a cursor stands for.
pub(crate) const fn cut_number(cursor: u64) -> Option<u64> {
    match cursor {
        CUTS..CUTS_END => Some(cursor - CUTS),
        _ => None,
    }
}

/// Up to where a client has read, if its cursor is the position of a session.
pub(crate) const fn position(cursor: u64) -> Position {
    Position(cursor.saturating_sub(CURSORS))
}

/// What the revisions of imported objects begin with; their other half is the version that an original server gave the object.
/// Of other revisions, which are random, one in four thousand million begins so: an edit of it is then taken for one whose
/// base is not known.
const IMPORTED: u64 = 0xfa57_0001 << 32;

/// The revision of an object that an original server gave this version; `None` for one that no counter of such a server reaches.
pub(crate) const fn import(version: u64) -> Option<Revision> {
    if version < FIRST { Some(Revision::from_bits(IMPORTED | version)) } else { None }
}

/// The version that an original server gave the object of an imported revision.
pub(crate) const fn imported(revision: Revision) -> Option<u64> {
    let version = revision.to_bits() ^ IMPORTED;
    if version < FIRST { Some(version) } else { None }
}

/// The version that clients know a revision by. Imported objects have theirs.
pub(crate) const fn of(revision: Revision) -> u64 {
    match imported(revision) {
        Some(version) => version,
        None => FIRST + revision.to_bits() % (END - FIRST),
    }
}

/// Whether a cursor is an original server's.
pub(crate) const fn is_original(cursor: u64) -> bool {
    cursor < CURSORS && cut_number(cursor).is_none()
}

/// Whether an edit with this version is of an object that the client has never received from here.
pub(crate) const fn is_clients_own(version: u64) -> bool {
    version <= FIRST
}

/// Whether this is the version of an object that a client made and has not pushed before: one above its start.
pub(crate) const fn is_first(version: u64) -> bool {
    matches!(version, 1 | 1_000)
}

/// Whether an edit with this version started from the revision.
pub(crate) const fn starts_from(version: u64, revision: Revision) -> bool {
    version == of(revision) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_leave_room_on_both_sides() {
        for bits in [1, 999, u64::MAX, u64::from(u32::MAX)] {
            let revision = Revision::from_bits(bits);
            let version = of(revision);
            assert!(version >= FIRST && version + 1_000 < 1 << 31);
            assert!(starts_from(version + 1, revision) && !starts_from(version, revision));
            assert!(!is_clients_own(version + 1));
        }
        for own in [0, 1, 2, 999, 1_000, 1_001] {
            assert!(is_clients_own(own));
        }
    }

    #[test]
    fn imported_objects_have_their_versions() {
        for version in [0, 1, 57, 999, FIRST - 1] {
            let revision = import(version).unwrap();
            assert_eq!((imported(revision), of(revision)), (Some(version), version));
            assert!(starts_from(version + 1, revision) && !starts_from(version, revision));
            assert!(!revision.is_none());
        }
        assert_eq!(import(FIRST), None);
        for other in [1, u64::MAX, IMPORTED | FIRST, 57] {
            assert_eq!(imported(Revision::from_bits(other)), None);
        }
    }

    #[test]
    fn a_cursor_of_an_original_server_is_the_beginning() {
        for old in [0, 1, 999, 1_000_000, CURSORS] {
            assert_eq!(position(old), Position::START);
        }
        for read in [1, 2, (1 << 30) - 1, 1 << 40] {
            assert_eq!(position(cursor(Position(read))), Position(read));
        }
        assert!(cursor(Position((1 << 30) - 1)) < 1 << 31);
        for number in [0, 1, u64::MAX, 1 << 28] {
            let cursor = cut(number);
            assert_eq!(cut_number(cursor), Some(number % (1 << 28)));
            assert_eq!(position(cursor), Position::START);
        }
        assert_eq!([CUTS - 1, CUTS_END, CURSORS].map(cut_number), [None; 3]);
    }
}
