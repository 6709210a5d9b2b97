//! The integration tests of `fastsync-core`, in one program: each further program is linked anew.

mod client_clock;
mod client_decisions;
mod client_push;
mod compact;
mod conflicts;
mod contention;
mod golden;
mod hostile_server;
mod input;
mod overlap;
mod rejections;
mod reset;
mod store;
mod support;
mod sync;
mod two_managers;
