//! The smallest honest sync server on axum: authentication, storage, a rule of its own, one route.

mod listen;

use std::{collections::HashMap, path::Path};

use axum::Router;
use fastsync_core::{
    Error, ErrorKind, Rejection, Result, Server, Store, SyncContext, SyncManager, SyncableDataSource,
    SyncableRepository, TimestampOrdering, Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::{SyncService, bearer_token};
use todo::Task;

pub use listen::Listen;

/// The server's door to the tasks. A type without rules needs no such struct: `Repository::<Task>::new(&store)`.
struct Tasks(Store);

impl SyncableRepository for Tasks {
    type Object = Task;

    fn store(&self) -> &Store {
        &self.0
    }

    /// Asked about every task that is pushed. The client keeps a refused edit aside, with this message.
    fn validate(&self, task: &Task) -> std::result::Result<(), Rejection> {
        match task.text.chars().count() {
            1..=200 => Ok(()),
            _ => Err(Rejection::new("bad_text", "a task has between 1 and 200 letters")),
        }
    }
}

/// The sync engine on a SQLite file.
///
/// # Errors
/// If the file cannot be opened, or is not one of a server of these types.
pub async fn open(db: &Path) -> Result<SyncManager<Server>> {
    engine(SqliteDataSource::open(db)?).await
}

/// The sync engine on any data source.
///
/// # Errors
/// If the data source is not one of a server of these types.
pub async fn engine(source: impl SyncableDataSource) -> Result<SyncManager<Server>> {
    // Where two people changed the same task, the later change wins.
    let store = Store::server(source).sync::<Task>(TimestampOrdering).open().await?;
    SyncManager::server(&store)
        // Its rules are asked about every task that is pushed.
        .repository(Tasks(store.clone()))
        // Who may see and change what. Here everyone with a token shares one list. For a list per user, mark the
        // type as `restricted` and grant `Zone::restricted(format!("user:{}", context.user))?` instead.
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
}

/// The application: your own routes, and the sync service below `/sync`.
pub fn app(engine: SyncManager<Server>, users_by_token: HashMap<String, String>) -> Router {
    let sync = SyncService::builder(engine)
        // From a token to a user: here a table; in your application a session store, a JWT, ... The look-up need not
        // take the same time for every token: what it compares first are hashes with a random key.
        .authenticate(move |parts: &axum::http::request::Parts| {
            bearer_token(parts)
                .and_then(|token| users_by_token.get(token))
                .map(SyncContext::new)
                .ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "no such token"))
        })
        // Clients learn the kind of an internal error and nothing else, so the server's log needs the rest.
        .on_error(log)
        .build();
    Router::new().route("/", axum::routing::get(|| async { "A to-do server.\n" })).nest_service("/sync", sync)
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn log(error: &Error) {
    eprintln!("{error:?}");
}
