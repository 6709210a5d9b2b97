//! The integration tests of `fastsync-dao-sqlite`, in one program: each further program is linked anew.

mod adoption;
mod clashes;
mod commits;
mod common;
mod conformance;
mod durability;
mod fixture;
mod foreign;
mod hasty;
mod many;
mod native;
mod server;
mod streams;
mod tables;
mod two_managers;
mod unnoticed;
