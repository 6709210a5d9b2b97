//! Object versions: which version of the server's an edit started from.
//!
//! The original clients take an object's version from the server, count it up once when they first edit the object, and
//! send that. They compare it with nothing, so the number need not rise: ours is made of the record's revision, and an
//! edit that sends `n` started from the version that made `n - 1`. An object that was made on the client counts up
//! from the client's own start (0 or 999), far below.
//!
//! All of it stays below 2^31, the limit of the narrowest client.

use fastsync_core::Revision;

/// The lowest version of a revision; below it clients count objects of their own.
const FIRST: u64 = 1 << 20;

/// Above the highest one. The rest up to 2^31 is for edits that are counted up without a pull between.
const END: u64 = (1 << 31) - (1 << 16);

/// The version that clients know a revision by.
pub(crate) const fn of(revision: Revision) -> u64 {
    FIRST + revision.to_bits() % (END - FIRST)
}

/// Whether an edit with this version is of an object that the client has never received from here.
pub(crate) const fn is_clients_own(version: u64) -> bool {
    version <= FIRST
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
}
