//! The integration tests of `fastsync-dao-mongo`, in one program: each further program is linked anew.

mod common;
mod conformance;
mod durability;
mod lost_rows;
mod native;
