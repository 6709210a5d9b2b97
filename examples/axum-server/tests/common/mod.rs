//! What the tests of the example servers share: clients over real HTTP, and two users of one list.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;

use fastsync_core::{
    Client, MemoryDataSource, Repository, Server, Store, SyncManager, SyncableRepository, TimestampOrdering,
};
use fastsync_transport_http::{HttpTransport, ServeConfig, serve};
use todo::Task;
use tokio::net::TcpListener;

/// Serves an engine on a free port to Ada and Bob.
pub async fn start(engine: SyncManager<Server>) -> SocketAddr {
    let tokens = [("secret-of-ada", "ada"), ("secret-of-bob", "bob")];
    let app = axum_server::app(engine, tokens.map(|(token, user)| (token.into(), user.into())).into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app, ServeConfig::default(), std::future::pending()));
    address
}

pub async fn client(server: SocketAddr, token: &str) -> (Repository<Task>, SyncManager<Client>) {
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

/// Ada and Bob each talk to a server; both servers are on one storage, or are one.
pub async fn share_a_list(adas_server: SocketAddr, bobs_server: SocketAddr) {
    let (adas, ada) = client(adas_server, "secret-of-ada").await;
    let (bobs, bob) = client(bobs_server, "secret-of-bob").await;
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
