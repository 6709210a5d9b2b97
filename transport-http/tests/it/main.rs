//! The integration tests of `fastsync-transport-http`, in one program: each further program is linked anew.

#![cfg(all(feature = "client", feature = "server"))]

mod answers;
mod bad_framing;
mod bad_json;
mod bad_msgpack;
mod bad_requests;
mod bombs;
mod client_defaults;
mod evolution;
mod facts;
mod hostile_server;
mod negotiation;
mod round_trip;
mod shutdown;
mod sizes;
mod slow_peers;
mod support;
mod tls;
