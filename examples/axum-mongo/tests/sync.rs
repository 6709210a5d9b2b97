//! Two clients against two servers on one database, over real HTTP on free ports.

use std::net::SocketAddr;

use fastsync_core::{
    Client, MemoryDataSource, Repository, Store, SyncManager, SyncableRepository, TimestampOrdering,
};
use fastsync_dao_mongo::{MongoDataSource, mongodb};
use fastsync_transport_http::{HttpTransport, ServeConfig, serve};
use todo::Task;
use tokio::net::TcpListener;

async fn start(url: &str, database: &str) -> SocketAddr {
    let source = MongoDataSource::connect(url, database).await.unwrap();
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

#[tokio::test]
#[allow(clippy::print_stderr, reason = "a test that does not run says so")]
async fn two_users_share_a_list_over_two_servers() {
    let url = std::env::var("FASTSYNC_MONGO_URL").ok();
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "mongo");
    let Some(url) = url else {
        assert!(!is_required, "FASTSYNC_REQUIRE names mongo, but FASTSYNC_MONGO_URL is not set");
        eprintln!("SKIPPED: FASTSYNC_MONGO_URL is not set; `cargo xtask test` starts a server");
        return;
    };
    let database = format!("fastsync_example_{}", mongodb::bson::oid::ObjectId::new());
    let (adas, ada) = client(start(&url, &database).await, "secret-of-ada").await;
    let (bobs, bob) = client(start(&url, &database).await, "secret-of-bob").await;
    let task = Task::new("water the plants");
    adas.add(&task).await.unwrap();
    ada.sync().await.unwrap();
    bob.sync().await.unwrap();
    assert_eq!(bobs.get_all().await.unwrap(), std::slice::from_ref(&task));
    let done = Task { done: true, ..task };
    bobs.update(&done).await.unwrap();
    bob.sync().await.unwrap();
    ada.sync().await.unwrap();
    assert_eq!(adas.get_all().await.unwrap(), [done]);
    mongodb::Client::with_uri_str(&url).await.unwrap().database(&database).drop().await.unwrap();
}
