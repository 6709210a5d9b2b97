//! What the benchmark programs share: made-up data, both ends of FastSync and of the hand-written floor in processes
//! of their own, readings of `/proc`, statistics and tables.
//!
//! A program starts itself again for each end ([`role::Role`]): memory and processor time of an end are those of its
//! process, and nothing that one run leaves behind (a warm allocator, a page cache of SQLite) helps the next.

pub mod contents;
pub mod encoding;
pub mod floor;
pub mod http;
pub mod layout;
pub mod ours;
pub mod plot;
pub mod process;
pub mod profile;
pub mod raw;
pub mod remote;
pub mod report;
pub mod role;
pub mod scratch;
pub mod settings;
pub mod stats;
pub mod stores;
pub mod time;
pub mod wire;
pub mod workload;

pub use hot_paths::records;
