//! Both ends of FastSync on SQLite over HTTP, as an application wires them: default settings, durable.

use std::path::Path;

use anyhow::{Result, ensure};
use fastsync_core::{
    Client, Error, ErrorKind, LastWriterWins, LoopbackTransport, Repository, Server, SessionLimits, Store,
    SyncContext, SyncHandler, SyncManager, SyncableRepositoryExt, Transport, Zone, ZoneAccess,
};
use fastsync_transport_http::{HttpTransport, ServeConfig, SyncService, bearer_token, serve};
use tokio::net::TcpListener;

use crate::encoding::Encoding;
use crate::records::{Made, make_many};
use crate::stores::StoreKind;
use crate::time::{now, since};

const TOKEN: &str = "bench";
/// Who every request comes from.
pub const USER: &str = "bench";

/// How many records a local commit has where a benchmark does not say.
pub const PER_SESSION: u64 = 1_000;

/// Pushes of at most [`PER_SESSION`] records, for comparisons by batches of as many.
pub const SMALL_PUSHES: SessionLimits = SessionLimits::new(1_000, 2 << 20);

/// A client's store.
///
/// # Errors
/// It cannot be opened.
pub async fn client_store<T: Made>(kind: StoreKind, place: &Path) -> Result<Store> {
    Ok(Store::client(kind.open(place).await?).register::<T>().open().await?)
}

/// A server's store.
///
/// # Errors
/// It cannot be opened.
pub async fn server_store<T: Made>(kind: StoreKind, place: &Path) -> Result<Store> {
    Ok(Store::server(kind.open(place).await?).register::<T>().open().await?)
}

/// Adds made records to a store, `per_session` at a time; gives the seconds that the adding took, without the making.
///
/// # Errors
/// Those of the store.
pub async fn fill<T: Made>(store: &Store, first: u64, count: u64, per_session: u64) -> Result<f64> {
    let repository = Repository::<T>::new(store);
    let mut seconds = 0.0;
    let mut at = first;
    while at < first + count {
        let size = per_session.clamp(1, first + count - at);
        let records = make_many::<T>(at, size);
        let start = now();
        repository.add_many(&records).await?;
        seconds += since(start);
        at += size;
    }
    Ok(seconds)
}

/// A client's manager, which talks to the server at a port of this machine.
///
/// # Errors
/// Its settings are wrong.
pub fn client<T: Made>(store: &Store, port: u16) -> Result<SyncManager<Client>> {
    client_with::<T>(store, port, None)
}

/// The same, which writes bodies in an encoding; unless set, as the library does by itself.
///
/// # Errors
/// Its settings are wrong.
pub fn client_with<T: Made>(
    store: &Store,
    port: u16,
    encoding: Option<Encoding>,
) -> Result<SyncManager<Client>> {
    let transport = HttpTransport::builder(format!("http://127.0.0.1:{port}")).bearer_token(TOKEN);
    let transport = match encoding {
        Some(encoding) => encoding.set(transport),
        None => transport,
    };
    client_over::<T>(store, transport.build()?)
}

/// A client's manager, which hands its requests to a server in this process.
///
/// # Errors
/// Its settings are wrong.
pub fn client_of<T: Made>(store: &Store, server: impl SyncHandler) -> Result<SyncManager<Client>> {
    client_over::<T>(store, LoopbackTransport::new(server, SyncContext::new(USER)))
}

fn client_over<T: Made>(store: &Store, transport: impl Transport) -> Result<SyncManager<Client>> {
    let repository = Repository::<T>::new(store);
    Ok(SyncManager::client(store).register(repository, LastWriterWins).transport(transport).build()?)
}

/// A server's manager.
///
/// # Errors
/// Its settings are wrong.
pub async fn server<T: Made>(store: &Store) -> Result<SyncManager<Server>> {
    let everyone = |_: &SyncContext| ZoneAccess::none().read_write(Zone::Global);
    let repository = Repository::<T>::new(store);
    Ok(SyncManager::server(store).register(repository, LastWriterWins).zones(everyone).build().await?)
}

/// Serves until `shutdown` is ready.
///
/// # Errors
/// Those of the listener.
pub async fn serve_until(
    listener: TcpListener,
    manager: SyncManager<Server>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let service = SyncService::builder(manager)
        .authenticate(|parts: &hyper::http::request::Parts| match bearer_token(parts) {
            Some(TOKEN) => Ok(SyncContext::new(USER)),
            _ => Err(Error::new(ErrorKind::Unauthorized, "authenticate", "no such token")),
        })
        .build();
    Ok(serve(listener, service, ServeConfig::default(), shutdown).await?)
}

/// Pushes everything that waits; gives the seconds.
///
/// # Errors
/// Those of the push; it sent another number of records than `count`.
pub async fn push(manager: &SyncManager<Client>, count: u64) -> Result<f64> {
    let start = now();
    let report = manager.push().await?;
    let seconds = since(start);
    ensure!(report.applied == count, "{} of {count} records were pushed", report.applied);
    ensure!(report.conflicts.is_empty() && report.rejected == 0, "a first push has no conflicts");
    Ok(seconds)
}

/// Pulls; gives the seconds.
///
/// # Errors
/// Those of the pull; it received another number of records than `count`.
pub async fn pull(manager: &SyncManager<Client>, count: u64) -> Result<f64> {
    let start = now();
    let report = manager.pull().await?;
    let seconds = since(start);
    ensure!(report.received == count, "{} of {count} records were pulled", report.received);
    Ok(seconds)
}
