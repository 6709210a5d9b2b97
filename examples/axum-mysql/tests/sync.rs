//! Two users share a list: the same application on SQLite and on MySQL, the latter served by two processes' worth of
//! engines on one database.

#![allow(clippy::disallowed_methods, reason = "databases of the tests are named by the time")]

use std::net::SocketAddr;

use fastsync_core::{
    Client, MemoryDataSource, Repository, Store, SyncManager, SyncableDataSource, SyncableRepository,
    TimestampOrdering,
};
use fastsync_dao_mysql::MySqlDataSource;
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::{HttpTransport, ServeConfig, serve};
use todo::Task;
use tokio::net::TcpListener;

#[path = "../../../dao-mysql/tests/common/server.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
mod server;

async fn start(source: impl SyncableDataSource) -> SocketAddr {
    let engine = axum_server::engine(source).await.unwrap();
    let tokens = [("secret-of-ada", "ada"), ("secret-of-bob", "bob")];
    let app = axum_server::app(engine, tokens.map(|(token, user)| (token.into(), user.into())).into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app, ServeConfig::default(), std::future::pending()));
    address
}

async fn client(server: SocketAddr, token: &str) -> (Repository<Task>, SyncManager<Client>) {
    let store = Store::client(MemoryDataSource::new()).register::<Task>().open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let transport =
        HttpTransport::builder(format!("http://{server}/sync")).bearer_token(token).build().unwrap();
    let manager = SyncManager::client(&store)
        .register(tasks.clone(), TimestampOrdering)
        .transport(transport)
        .build()
        .unwrap();
    (tasks, manager)
}

/// Ada and Bob each talk to a server of their own on one storage.
async fn share_a_list(one: impl SyncableDataSource, two: impl SyncableDataSource) {
    let (adas, ada) = client(start(one).await, "secret-of-ada").await;
    let (bobs, bob) = client(start(two).await, "secret-of-bob").await;
    let task = Task::new("water the plants");
    adas.add(&task).await.unwrap();
    ada.sync().await.unwrap();
    bob.sync().await.unwrap();
    assert_eq!(bobs.get_all().await.unwrap(), std::slice::from_ref(&task));
    let done = Task { done: true, ..task };
    bobs.update(&done).await.unwrap();
    bob.sync().await.unwrap();
    ada.sync().await.unwrap();
    assert_eq!(adas.get_all().await.unwrap(), std::slice::from_ref(&done));
    adas.remove(&done.id.into()).await.unwrap();
    ada.sync().await.unwrap();
    bob.sync().await.unwrap();
    assert!(bobs.get_all().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_users_share_a_list_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    share_a_list(open(), open()).await;
}

#[tokio::test]
async fn two_users_share_a_list_on_mysql() {
    if let Some(reason) = server::skip() {
        #[allow(clippy::print_stderr, reason = "a test that does not run says so")]
        {
            eprintln!("SKIPPED: {reason}");
        }
        return;
    }
    let database = server::Database::new();
    let open = || MySqlDataSource::new(database.pool());
    share_a_list(open().await.unwrap(), open().await.unwrap()).await;
}
