//! The integration tests of `fastsync-dao-sqlite`, in one program: each further program is linked anew.

mod common;
mod conformance;
mod durability;
mod fixture;
mod hasty;
mod many;
mod native;
mod tables;
