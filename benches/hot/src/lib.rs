//! The records of the hot paths and of the benchmarks.

pub mod records;
