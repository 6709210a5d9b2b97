//! The integration tests of `fastsync-dao-mongo`, in one program: each further program is linked anew.

mod clashes;
mod commands;
mod common;
mod conformance;
mod durability;
mod faults;
mod fixture;
mod lost_rows;
mod native;
