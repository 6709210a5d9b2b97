//! A reset leaves what is not ours: columns of the user's own beside ours, and rows of their tables that refer to our rows.

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{
    LastWriterWins, LoopbackTransport, MemoryDataSource, ObjectId, PendingEdits, Position, Repository, Store,
    SyncContext, SyncManager, SyncableObject, SyncableRepositoryExt as _, Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "items")]
struct Item {
    #[syncable(id)]
    id: String,
    name: String,
}

fn item(id: &str, name: &str) -> Item {
    Item { id: id.into(), name: name.into() }
}

/// Fails if a reset removes rows that the server still has.
#[tokio::test]
async fn a_reset_wipes_nothing_that_is_not_ours() {
    let server = Store::server(MemoryDataSource::new()).register::<Item>().open().await.unwrap();
    let items = Repository::<Item>::new(&server);
    let manager = SyncManager::server(&server)
        .register(items.clone(), LastWriterWins)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch(
        "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL, extra TEXT DEFAULT 'none');
         CREATE TABLE own (item TEXT REFERENCES items (id) ON DELETE CASCADE);",
    )
    .unwrap();
    let source = SqliteDataSource::open(&path).unwrap();
    let store = Store::client(source).register::<Item>().open().await.unwrap();
    let client = SyncManager::client(&store)
        .register(Repository::<Item>::new(&store), LastWriterWins)
        .transport(LoopbackTransport::new(manager, SyncContext::new("ada")))
        .build()
        .unwrap();

    items.add_many(&[item("1", "a"), item("2", "b")]).await.unwrap();
    client.sync().await.unwrap();
    sql.execute_batch("UPDATE items SET extra = 'mine'; INSERT INTO own VALUES ('1'), ('2')").unwrap();
    let left = || {
        let read = |statement: &str| -> Vec<String> {
            let mut statement = sql.prepare(statement).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        (
            read("SELECT id || name || extra FROM items ORDER BY id"),
            read("SELECT item FROM own ORDER BY item"),
        )
    };
    items.update(&item("1", "c")).await.unwrap();
    client.hard_reset(&[], PendingEdits::Refuse).await.unwrap();
    assert_eq!(left(), (vec!["1cmine".to_owned(), "2bmine".into()], vec!["1".to_owned(), "2".into()]));

    // What is gone goes, and what refers to it as its owner has said.
    items.remove(&ObjectId::new("2").unwrap()).await.unwrap();
    server.source().purge_tombstones(&Zone::Global, Position(3)).await.unwrap();
    client.sync().await.unwrap();
    assert_eq!(left(), (vec!["1cmine".to_owned()], vec!["1".to_owned()]));
}
