//! The prelude is enough for a program with a server and a client.

use fastsync::prelude::*;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "notes")]
struct Note {
    #[syncable(id)]
    id: String,
    text: String,
}

async fn server() -> Result<SyncManager<Server>> {
    let store = Store::server(MemoryDataSource::new()).sync::<Note>(ServerWins).open().await?;
    SyncManager::server(&store)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
}

async fn device(server: &SyncManager<Server>) -> Result<(Repository<Note>, SyncManager<Client>)> {
    let store = Store::client(MemoryDataSource::new()).sync::<Note>(TimestampOrdering).open().await?;
    let transport = LoopbackTransport::new(server.clone(), SyncContext::new("ada"));
    Ok((Repository::new(&store), SyncManager::client(&store).transport(transport).build()?))
}

#[tokio::test]
async fn a_note_travels_from_one_device_to_another() -> Result<()> {
    let server = server().await?;
    let (notes, phone) = device(&server).await?;
    let (copies, laptop) = device(&server).await?;
    notes.add(&Note { id: "1".into(), text: "bread".into() }).await?;
    phone.sync().await?;
    laptop.sync().await?;
    let found = copies.query(Selection::matching(Note::TEXT.equal("bread")?)).await?;
    assert_eq!(found.len(), 1);
    Ok(())
}
