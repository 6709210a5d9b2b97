//! Two devices and a server in one program: redb on the devices, HTTP between them and the server.
#![allow(clippy::print_stdout, reason = "an example talks by printing")]

use std::future::pending;
use std::path::Path;

use fastsync::http::{HttpTransport, ServeConfig, SyncService, bearer_token, serve};
use fastsync::prelude::*;
use fastsync::redb::RedbDataSource;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "notes")]
struct Note {
    #[syncable(id)]
    id: String,
    text: String,
}

async fn service() -> Result<SyncService> {
    let store = Store::server(MemoryDataSource::new()).sync::<Note>(LastWriterWins).open().await?;
    let server = SyncManager::server(&store)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await?;
    Ok(SyncService::builder(server)
        .authenticate(|request: &http::request::Parts| match bearer_token(request) {
            Some("secret-of-ada") => Ok(SyncContext::new("ada")),
            _ => Err(Error::new(ErrorKind::Unauthorized, "authenticate", "the token is not valid")),
        })
        .build())
}

async fn device(file: &Path, url: &str) -> Result<(Repository<Note>, SyncManager<Client>)> {
    let store = Store::client(RedbDataSource::open(file)?).sync::<Note>(LastWriterWins).open().await?;
    let transport = HttpTransport::builder(url).bearer_token("secret-of-ada").build()?;
    Ok((Repository::new(&store), SyncManager::client(&store).transport(transport).build()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(serve(listener, service().await?, ServeConfig::default(), pending()));

    let folder = tempfile::tempdir()?;
    let (notes, phone) = device(&folder.path().join("phone.redb"), &url).await?;
    let (copies, laptop) = device(&folder.path().join("laptop.redb"), &url).await?;

    notes.add(&Note { id: "1".into(), text: "written offline".into() }).await?;
    println!("phone: {} to send", phone.status().await?.pending);
    println!("phone: sent {}", phone.sync().await?.push.applied);
    laptop.sync().await?;
    let found = copies.get_all().await?;
    println!("laptop: {found:?}");
    if found.len() != 1 {
        return Err("the note did not arrive".into());
    }
    Ok(())
}
