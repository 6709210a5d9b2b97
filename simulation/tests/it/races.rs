//! Requests that meet on a real data source.

use async_trait::async_trait;
use fastsync_core::protocol::{PullRequest, PushReply};
use fastsync_core::{
    LoopbackTransport, MemoryDataSource, Outgoing, PullAnswer, Repository, Result, Store, SyncContext,
    SyncManager, SyncableRepositoryExt, Transport, Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;
use simulation::model::{Rule, Shelf};

/// Every push arrives twice at once.
#[derive(Debug)]
struct Twice(LoopbackTransport);

#[async_trait]
impl Transport for Twice {
    async fn push(&self, request: &Outgoing) -> Result<PushReply> {
        let (one, two) = tokio::join!(self.0.push(request), self.0.push(request));
        let (one, two) = (one?, two?);
        assert_eq!(one, two);
        Ok(one)
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullAnswer> {
        self.0.pull(request).await
    }
}

/// Both look and find nothing, then both commit: the later one finds its session there, and gives its receipt.
#[tokio::test]
async fn a_push_that_arrives_twice_at_once_gets_one_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let source = SqliteDataSource::open(folder.path().join("server.db")).unwrap();
    let store = Store::server(source).register::<Shelf>().open().await.unwrap();
    let server = SyncManager::server(&store)
        .register(Repository::<Shelf>::new(&store), Rule::Union)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
        .unwrap();
    let client = Store::client(MemoryDataSource::new()).register::<Shelf>().open().await.unwrap();
    let shelves = Repository::<Shelf>::new(&client);
    let manager = SyncManager::client(&client)
        .register(shelves.clone(), Rule::Union)
        .transport(Twice(LoopbackTransport::new(server, SyncContext::new("ada"))))
        .build()
        .unwrap();
    for counter in 0..20 {
        shelves.add(&Shelf { id: format!("shelf-{counter}"), counter, tokens: String::new() }).await.unwrap();
        assert_eq!(manager.push().await.unwrap().applied, 1);
    }
    assert_eq!(Repository::<Shelf>::new(&store).get_all().await.unwrap().len(), 20);
}
