//! The integration tests of `fastsync-core`, in one program: each further program is linked anew.

mod client_clock;
mod client_decisions;
mod client_push;
mod compact;
mod conflicts;
mod contention;
mod forged;
mod golden;
mod growth;
mod hostile_server;
mod input;
mod overlap;
mod query;
mod rejections;
mod reset;
mod server_limits;
mod server_pull;
mod server_push;
mod server_time;
mod store;
mod stored;
mod support;
mod sync;
mod tenants;
mod two_managers;
mod versions;
