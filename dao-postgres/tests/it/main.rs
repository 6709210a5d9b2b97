//! The integration tests of `fastsync-dao-postgres`, in one program: each further program is linked anew.

mod common;
mod conformance;
mod durability;
