//! Devices and servers of two releases of an application: the second one has two fields more in one of its types.

use fastsync_core::*;

mod fields;
mod least;
mod values;

use crate::support::*;

mod v2 {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", priority = 10, version = 2)]
    pub(super) struct Task {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) points: i64,
        pub(super) list: String,
        pub(super) text: String,
        pub(super) done: bool,
        pub(super) note: Option<String>,
    }
}

/// The second release, as a server that exchanges tasks with no other.
mod strict {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", priority = 10, version = 2, min_version = 2)]
    pub(super) struct Task {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) list: String,
        pub(super) text: String,
        pub(super) done: bool,
    }
}

/// The first release with another name for the text.
mod renamed {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", priority = 10, version = 2)]
    pub(super) struct Task {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) list: String,
        #[syncable(was = "text")]
        pub(super) words: String,
        pub(super) done: bool,
    }
}

fn new_task(id: &str, text: &str, points: i64) -> v2::Task {
    let note = Some(format!("{points} of them"));
    v2::Task { id: id.into(), points, list: "home".into(), text: text.into(), done: false, note }
}

/// A server of the release that has this type.
async fn serve<T: SyncableObject>(
    source: impl SyncableDataSource,
    handler: impl ConflictsHandler<T>,
) -> (SyncManager<Server>, Repository<T>) {
    let store = Store::server(source).register::<List>().register::<T>().open().await.unwrap();
    let tasks = Repository::<T>::new(&store);
    let manager = SyncManager::server(&store)
        .register(Repository::<List>::new(&store), LastWriterWins)
        .register(tasks.clone(), handler)
        .zones(own_zone_policy);
    (manager.build().await.unwrap(), tasks)
}

/// A device of either release on a storage.
struct Device<T: SyncableObject> {
    sync: SyncManager<Client>,
    lists: Repository<List>,
    tasks: Repository<T>,
    link: Link,
}

impl<T: SyncableObject> Device<T> {
    async fn open(
        server: &SyncManager<Server>,
        source: &MemoryDataSource,
        handler: impl ConflictsHandler<T>,
    ) -> Self {
        let store = Store::client(source.clone()).register::<List>().register::<T>().open().await.unwrap();
        let (lists, tasks) = (Repository::new(&store), Repository::new(&store));
        let link = Link::new(LoopbackTransport::new(server.clone(), SyncContext::new("ada")));
        let sync = SyncManager::client(&store)
            .register(lists.clone(), LastWriterWins)
            .register(tasks.clone(), handler)
            .transport(link.clone())
            .build()
            .unwrap();
        Self { sync, lists, tasks, link }
    }

    async fn get(&self, name: &str) -> T {
        self.tasks.find_by_id(&id(name)).await.unwrap().unwrap()
    }
}

type Old = Device<Task>;
type New = Device<v2::Task>;

async fn old(server: &SyncManager<Server>) -> Old {
    Old::open(server, &MemoryDataSource::new(), LastWriterWins).await
}

async fn new(server: &SyncManager<Server>) -> New {
    New::open(server, &MemoryDataSource::new(), LastWriterWins).await
}

/// A device of each release; both have a task that the new one has made.
async fn both(server: &SyncManager<Server>) -> (Old, New) {
    let (old, new) = (old(server).await, new(server).await);
    new.tasks.add(&new_task("1", "x", 5)).await.unwrap();
    new.sync.sync().await.unwrap();
    old.sync.sync().await.unwrap();
    (old, new)
}
