//! The integration tests of `fastsync-dao-mysql`, in one program: each further program is linked anew.

mod adoption;
mod clashes;
mod common;
mod conformance;
mod durability;
mod faults;
mod fixture;
mod native;
mod reads;
mod staging;
mod tables;
mod turns;
mod unnoticed;
