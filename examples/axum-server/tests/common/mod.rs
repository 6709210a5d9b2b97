//! What the tests of the axum servers share: a server on a free port, and its clients.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

mod clients;

use std::net::SocketAddr;

use fastsync_core::{Server, SyncManager};
use fastsync_transport_http::{ServeConfig, serve};
use tokio::net::TcpListener;

pub use clients::*;

/// Serves an engine on a free port to Ada and Bob.
pub async fn start(engine: SyncManager<Server>) -> SocketAddr {
    let tokens = [("secret-of-ada", "ada"), ("secret-of-bob", "bob")];
    let app = axum_server::app(engine, tokens.map(|(token, user)| (token.into(), user.into())).into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app, ServeConfig::default(), std::future::pending()));
    address
}
