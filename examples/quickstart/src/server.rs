//! The server, a process of its own.

use std::path::Path;

use fastsync_core::{Error, ErrorKind, Server, Store, SyncContext, SyncManager, Zone, ZoneAccess};
use fastsync_transport_http::{ServeConfig, SyncService, bearer_token, serve};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::events::Event;
use crate::objects;
use crate::storage;

/// Opens the store of a server, or makes it.
pub(crate) async fn open(db: &Path) -> fastsync_core::Result<Store> {
    objects::types(Store::server(storage::open(db)?)).open().await
}

async fn engine(store: &Store) -> fastsync_core::Result<SyncManager<Server>> {
    SyncManager::server(store)
        // Everyone with the token shares everything.
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
}

/// Serves on a free port until standard input ends, which it does when the process that started this one ends.
pub(crate) async fn run(db: &Path, token: String) -> anyhow::Result<()> {
    let service = SyncService::builder(engine(&open(db).await?).await?)
        .authenticate(move |parts: &http::request::Parts| match bearer_token(parts) {
            Some(sent) if sent == token => Ok(SyncContext::new("quickstart")),
            _ => Err(Error::new(ErrorKind::Unauthorized, "authenticate", "no such token")),
        })
        .mounted_at("/sync")
        .on_error(log)
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Event::Listening { url: format!("http://{}/sync", listener.local_addr()?) }.send()?;
    let parent_ended = async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    };
    serve(listener, service, ServeConfig::default(), parent_ended).await?;
    Ok(())
}

fn log(error: &Error) {
    eprintln!("server: {error:?}");
}
