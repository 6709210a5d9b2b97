//! A running server.

use std::net::SocketAddr;

use fastsync_transport_http::{HttpTransport, Limits, Listener, ServeConfig, SyncService, serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// A server on a port of its own, or in memory; stopped when dropped.
pub struct Server<A = SocketAddr> {
    pub address: A,
    pub fake: Fake,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start(limits: Limits, config: ServeConfig) -> Self {
        let (listener, address) = listen().await;
        let fake = Fake::default();
        Self::serving(listener, address, service(&fake, limits), fake, config)
    }

    pub async fn plain() -> Self {
        Self::start(Limits::default(), ServeConfig::default()).await
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn client(&self) -> HttpTransport {
        HttpTransport::builder(self.base()).bearer_token(TOKEN).build().unwrap()
    }
}

impl Server<Address> {
    pub fn in_memory(limits: Limits, config: ServeConfig) -> Self {
        let fake = Fake::default();
        Self::in_memory_with(service(&fake, limits), fake, config)
    }

    /// Another handler than `fake`.
    pub fn in_memory_with(service: SyncService, fake: Fake, config: ServeConfig) -> Self {
        let (listener, address) = listen_in_memory();
        Self::serving(listener, address, service, fake, config)
    }
}

impl<A> Server<A> {
    fn serving(
        listener: impl Listener + 'static,
        address: A,
        service: SyncService,
        fake: Fake,
        config: ServeConfig,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, service, config, shutdown));
        Self { address, fake, stop: Some(stop), task }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        in_time(&mut self.task).await.unwrap().unwrap();
    }
}
