//! Clients over real HTTP, and two users of one list.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;

use fastsync_core::{
    Client, MemoryDataSource, Repository, Store, SyncManager, SyncableRepositoryExt, TimestampOrdering,
};
use fastsync_transport_http::HttpTransport;
use todo::Task;

pub async fn client(server: SocketAddr, token: &str) -> (Repository<Task>, SyncManager<Client>) {
    let store = Store::client(MemoryDataSource::new()).sync::<Task>(TimestampOrdering).open().await.unwrap();
    let tasks = Repository::<Task>::new(&store);
    let transport =
        HttpTransport::builder(format!("http://{server}/sync")).bearer_token(token).build().unwrap();
    let manager = SyncManager::client(&store).transport(transport).build().unwrap();
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
    adas.remove(&done.id).await.unwrap();
    ada.sync().await.unwrap();
    bob.sync().await.unwrap();
    assert!(bobs.get_all().await.unwrap().is_empty());
}
