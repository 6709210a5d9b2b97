//! The integration tests of `fastsync-conformance`, in one program: each further program is linked anew.

mod crash;
mod faults;
mod memory;
mod mutants;
mod runner;
