//! Two releases of an application, with devices that reach their server over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use fastsync_conformance::Harness;
use fastsync_conformance::evolution::Network;
use fastsync_core::{MemoryDataSource, Server, SyncManager, SyncableDataSource, Transport};
use fastsync_transport_http::{HttpTransport, SyncService, serve};

use crate::support::{TOKEN, authenticate, listen, patient};

struct Memory(MemoryDataSource);

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.0.clone())
    }
}

/// A server on a port of its own for each device. It ends with the runtime of the case.
struct Http;

#[async_trait]
impl Network for Http {
    async fn connect(&self, server: SyncManager<Server>) -> Arc<dyn Transport> {
        let (listener, address) = listen().await;
        let service = SyncService::builder(server).authenticate(authenticate).build();
        tokio::spawn(serve(listener, service, patient(), std::future::pending()));
        let base = format!("http://{address}");
        Arc::new(HttpTransport::builder(base).bearer_token(TOKEN).build().unwrap())
    }
}

fastsync_conformance::evolution_tests!(
    Memory(MemoryDataSource::new()),
    pairs = [everything, removed],
    over = Http
);
