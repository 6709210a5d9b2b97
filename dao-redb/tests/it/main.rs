//! The integration tests of `fastsync-dao-redb`, in one program: each further program is linked anew.

mod conformance;
mod damage;
mod durability;
mod fixture;
mod lock;
mod staged;
