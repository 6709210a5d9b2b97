//! The figures: each measures, prints a table and one line of JSON, and states the limits that it has to keep.
#![allow(clippy::print_stdout)] // they print what they measure

mod first_pull;
pub(crate) mod growth;
mod kept;
pub(crate) mod layout;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod mongo;
pub(crate) mod mysql;
pub(crate) mod noop;
pub(crate) mod page;
pub(crate) mod postgres;
pub(crate) mod ratios;
mod rounds;
pub(crate) mod sled;
pub(crate) mod throughput;
pub(crate) mod workloads;
mod worlds;
