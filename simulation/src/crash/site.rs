//! A server on a loopback port, and the way to it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply, PushRequest};
use fastsync_core::{
    Error, ErrorKind, Outgoing, PullAnswer, Repository, Result, Server, Store, SyncContext, SyncManager,
    SyncableDataSource, Transport, Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::{HttpTransport, ServeConfig, SyncService, bearer_token, serve};
use http::request::Parts;
use tokio::net::TcpListener;

use crate::model::{CheckedItems, Item, Note, Rule, Shelf, zone};

/// Opens a server's store and its manager.
pub(crate) async fn open_server(source: impl SyncableDataSource) -> Result<(Store, SyncManager<Server>)> {
    let store =
        Store::server(source).register::<Shelf>().register::<Item>().register::<Note>().open().await?;
    let manager = SyncManager::server(&store)
        .register(Repository::<Shelf>::new(&store), Rule::Union)
        .register(CheckedItems(Repository::<Item>::new(&store)), Rule::Union)
        .register(Repository::<Note>::in_zone(&store, zone("any")), Rule::Union)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global).read_write(zone("north")))
        .build()
        .await?;
    Ok((store, manager))
}

/// Opens a server on a SQLite file.
pub(crate) async fn open_file(path: &Path) -> Result<(Store, SyncManager<Server>)> {
    open_server(SqliteDataSource::open(path)?).await
}

/// Serves on a port of its own choice, until the process ends.
pub(crate) async fn serve_on(listener: TcpListener, manager: SyncManager<Server>) {
    let service = SyncService::builder(manager)
        .authenticate(|parts: &Parts| {
            let user = bearer_token(parts).map(str::to_owned);
            user.map(SyncContext::new)
                .ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "no token"))
        })
        .build();
    // It ends with the runtime: there is nothing to wait for.
    let _ = serve(listener, service, ServeConfig::default(), std::future::pending()).await;
}

/// A listener on a free loopback port.
pub(crate) async fn listen() -> std::io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The way to a server on this machine.
pub(crate) fn connect(user: &str, port: u16) -> Result<HttpTransport> {
    HttpTransport::builder(format!("http://127.0.0.1:{port}"))
        .bearer_token(user)
        .request_timeout(Duration::from_secs(5))
        .build()
}

/// A transport whose server moves, and which keeps the last push that was answered.
#[derive(Debug)]
pub(crate) struct Moving {
    user: String,
    way: Mutex<Option<HttpTransport>>,
    last: Mutex<Option<(PushRequest, PushReply)>>,
}

impl Moving {
    pub(crate) fn new(user: &str) -> Self {
        Self { user: user.to_owned(), way: Mutex::default(), last: Mutex::default() }
    }

    /// Where the server is from now on.
    pub(crate) fn to(&self, port: u16) -> Result<()> {
        let way = connect(&self.user, port)?;
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        Ok(())
    }

    /// The last push that was answered, and its answer.
    pub(crate) fn last(&self) -> Option<(PushRequest, PushReply)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn way(&self) -> Result<HttpTransport> {
        let way = self.way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        way.ok_or_else(|| Error::new(ErrorKind::Unavailable, "transport", "there is no server"))
    }
}

#[async_trait]
impl Transport for Moving {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let reply = self.way()?.push(request).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((request.request().clone(), reply.clone()));
        Ok(reply)
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.way()?.pull(request).await
    }
}
