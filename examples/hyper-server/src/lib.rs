//! The smallest honest sync server without a framework: authentication, storage, one service.

use std::{collections::HashMap, path::Path};

use fastsync_core::{
    Error, ErrorKind, Result, Store, SyncContext, SyncManager, TimestampOrdering, Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::{SyncService, bearer_token};
use todo::Task;

/// The sync service on a SQLite file, to be served by hyper. It answers below `/sync`.
///
/// # Errors
/// If the file cannot be opened, or is not one of a server of these types.
pub async fn service(db: &Path, users_by_token: HashMap<String, String>) -> Result<SyncService> {
    // Where two people changed the same task, the later change wins.
    let store = Store::server(SqliteDataSource::open(db)?).sync::<Task>(TimestampOrdering).open().await?;
    let engine = SyncManager::server(&store)
        // Who may see and change what: here everyone with a token shares one list.
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await?;
    Ok(SyncService::builder(engine)
        // From a token to a user: here a table. The look-up need not take the same time for every token: what it
        // compares first are hashes with a random key.
        .authenticate(move |parts: &http::request::Parts| {
            bearer_token(parts)
                .and_then(|token| users_by_token.get(token))
                .map(SyncContext::new)
                .ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "no such token"))
        })
        .mounted_at("/sync")
        // Clients learn the kind of an internal error and nothing else, so the server's log needs the rest.
        .on_error(log)
        .build())
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn log(error: &Error) {
    eprintln!("{error:?}");
}
