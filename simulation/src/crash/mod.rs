//! Runs in which real processes are killed by SIGKILL at any moment: a client's, and a server's.

pub mod client;
pub(crate) mod process;
pub mod server;
mod site;
mod verify;
mod workload;
