//! The integration tests of `fastsync-dao-sled`, in one program: each further program is linked anew.

mod conformance;
mod damage;
mod durability;
mod fixture;
mod lock;
mod readers;
