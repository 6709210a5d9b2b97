//! The engine: what synchronises two stores.

pub mod client;
mod endpoint;
mod registry;
pub mod server;

use std::sync::Arc;

use client::Client;
use server::Server;

/// Synchronises a store: on a client `pull`, `push`, `sync` and `hard_reset`, on a server `process_push` and
/// `process_pull`.
///
/// A cheap handle; clones share the same manager. Built by [`SyncManager::client`] or [`SyncManager::server`].
#[derive(Debug)]
pub struct SyncManager<End> {
    inner: Arc<End>,
}

impl<End> Clone for SyncManager<End> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl SyncManager<Client> {
    /// Starts the manager of a client's store.
    pub fn client(store: &crate::Store) -> client::ClientBuilder {
        client::ClientBuilder::new(store.clone())
    }
}

impl SyncManager<Server> {
    /// Starts the manager of a server's store.
    pub fn server(store: &crate::Store) -> server::ServerBuilder {
        server::ServerBuilder::new(store.clone())
    }
}
