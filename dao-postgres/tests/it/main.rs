//! The integration tests of `fastsync-dao-postgres`, in one program: each further program is linked anew.

mod adoption;
mod clashes;
mod common;
mod conformance;
mod durability;
mod faults;
mod fixture;
mod native;
mod pooled;
mod reads;
mod staging;
mod tables;
mod turns;
mod unnoticed;
