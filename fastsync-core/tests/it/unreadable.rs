//! Objects that a type cannot read: they stop no list and no handler, and no edit destroys them.

use fastsync_core::*;
use serde::{Deserialize, Serialize};

use crate::support::*;

/// The colours of a release; of a later one it knows that there are more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    #[serde(other)]
    Another,
}

macro_rules! release {
    ($name:ident, $colour:ty) => {
        mod $name {
            use fastsync_core::*;

            #[derive(Debug, Clone, PartialEq, SyncableObject)]
            #[syncable(name = "tasks")]
            pub(super) struct Task {
                #[syncable(id)]
                pub(super) id: String,
                #[syncable(text)]
                pub(super) colour: $colour,
                pub(super) text: String,
                #[syncable(json)]
                pub(super) weights: Vec<f64>,
            }

            pub(super) fn task(id: &str, colour: $colour) -> Task {
                Task { id: id.into(), colour, text: "t".into(), weights: vec![1.5] }
            }
        }
    };
}

/// The colours of an earlier release, which knows no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strict {
    Red,
}

release!(free, String);
release!(strict, super::Strict);
release!(tolerant, super::Colour);

struct End<T: SyncableObject> {
    source: MemoryDataSource,
    sync: SyncManager<Client>,
    tasks: Repository<T>,
}

async fn serve() -> (SyncManager<Server>, Repository<free::Task>) {
    let store = Store::server(MemoryDataSource::new()).register::<free::Task>().open().await.unwrap();
    let tasks = Repository::<free::Task>::new(&store);
    let manager =
        SyncManager::server(&store).register(StrictFree(store.clone()), ServerWins).zones(own_zone_policy);
    (manager.build().await.unwrap(), tasks)
}

/// Refuses what is called bad.
#[derive(Clone)]
struct StrictFree(Store);

impl SyncableRepository for StrictFree {
    type Object = free::Task;

    fn store(&self) -> &Store {
        &self.0
    }

    fn validate(&self, task: &free::Task) -> Result<(), Rejection> {
        if task.text == "bad" { Err(Rejection::new("bad", "no")) } else { Ok(()) }
    }
}

async fn device<T: SyncableObject>(
    server: &SyncManager<Server>,
    handler: impl ConflictsHandler<T>,
) -> End<T> {
    let source = MemoryDataSource::new();
    let store = Store::client(source.clone()).register::<T>().open().await.unwrap();
    let tasks = Repository::<T>::new(&store);
    let sync = SyncManager::client(&store)
        .register(tasks.clone(), handler)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new("ada")))
        .build()
        .unwrap();
    End { source, sync, tasks }
}

/// Fails if one object that cannot be read hides the others, or is hidden itself.
#[tokio::test]
async fn a_list_leaves_out_and_names_what_cannot_be_read() {
    let (server, stored) = serve().await;
    stored.add_many(&[free::task("1", "red".into()), free::task("2", "blue".into())]).await.unwrap();
    let device = device::<strict::Task>(&server, LastWriterWins).await;
    device.sync.sync().await.unwrap();
    assert_eq!(device.tasks.get_all().await.unwrap(), [strict::task("1", Strict::Red)]);
    let listed = device.tasks.list(Selection::all()).await.unwrap();
    assert_eq!(listed.objects, [strict::task("1", Strict::Red)]);
    let [unreadable] = &*listed.unreadable else { panic!("{listed:?}") };
    assert_eq!((unreadable.key.id.as_str(), unreadable.error.kind()), ("2", ErrorKind::Corrupt));
    assert_eq!(device.tasks.find_by_id(&id("2")).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Fails if something is stored that can never be read.
#[tokio::test]
async fn what_could_not_be_read_again_is_not_stored() {
    let (server, _) = serve().await;
    let device = device::<tolerant::Task>(&server, LastWriterWins).await;
    let good = tolerant::task("1", Colour::Red);
    let bad = tolerant::Task { weights: vec![f64::NAN], ..good.clone() };
    let error = device.tasks.add(&bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("weights"), "{error}");
    device.tasks.add(&good).await.unwrap();
    for error in [
        device.tasks.update(&bad).await.unwrap_err(),
        device.tasks.modify(&id("1"), |task| task.weights = vec![f64::INFINITY]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("weights"), "{error}");
    }
    assert_eq!(device.tasks.get_all().await.unwrap(), [good]);
}

/// Fails if an edit of another field turns a value that this release does not know into what it calls it.
#[tokio::test]
async fn an_edit_of_another_field_keeps_a_value_that_is_not_known() {
    let (server, stored) = serve().await;
    stored.add_many(&[free::task("1", "blue".into()), free::task("2", "green".into())]).await.unwrap();
    let device = device::<tolerant::Task>(&server, LastWriterWins).await;
    device.sync.sync().await.unwrap();
    let mut task = device.tasks.find_by_id(&id("1")).await.unwrap().unwrap();
    assert_eq!(task.colour, Colour::Another);
    task.text = "edited".into();
    device.tasks.update(&task).await.unwrap();
    device.tasks.modify(&id("2"), |task| task.text = "edited".into()).await.unwrap();
    device.sync.sync().await.unwrap();
    let found: Vec<_> =
        stored.get_all().await.unwrap().into_iter().map(|task| (task.colour, task.text)).collect();
    assert_eq!(found, [("blue".into(), "edited".into()), ("green".to_owned(), "edited".to_owned())]);
    // Another value is an edit like any other.
    device.tasks.modify(&id("2"), |task| task.colour = Colour::Red).await.unwrap();
    device.sync.sync().await.unwrap();
    assert_eq!(stored.find_by_id(&id("2")).await.unwrap().unwrap().colour, "red");
}

/// Fails if a handler that does not look at the versions is given up because one of them cannot be read.
#[tokio::test]
async fn a_handler_that_does_not_look_needs_nothing_readable() {
    let (server, stored) = serve().await;
    stored.add(&free::task("1", "red".into())).await.unwrap();
    let device = device::<strict::Task>(&server, LastWriterWins).await;
    device.sync.sync().await.unwrap();
    device.tasks.modify(&id("1"), |task| task.text = "bad".into()).await.unwrap();
    assert_eq!(device.sync.push().await.unwrap().rejected, 1);
    stored.update(&free::task("1", "blue".into())).await.unwrap();
    for conflicts in [1, 0] {
        let report = device.sync.sync().await.unwrap();
        assert_eq!((report.pull.conflicts.len(), report.pull.set_aside), (conflicts, 0));
    }
    assert_eq!(device.tasks.find_by_id(&id("1")).await.unwrap().unwrap().text, "bad", "still to be decided");
    device.sync.discard_rejected(&device.sync.rejected().await.unwrap()).await.unwrap();
    let name = TypeName::new("tasks").unwrap();
    let found = device.source.get(&name, &Zone::Global, &[id("1")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[0], Value::Text("blue".into()));
}

/// Fails if a handler that cannot decide stops the pull of everything else, or either version is lost.
#[tokio::test]
async fn what_a_handler_cannot_decide_is_set_aside() {
    let (server, stored) = serve().await;
    stored.add(&free::task("1", "red".into())).await.unwrap();
    let rules = PredefinedRules::<strict::Task>::new(|_| Ok(Resolution::Server));
    let device = device::<strict::Task>(&server, rules).await;
    device.sync.sync().await.unwrap();
    device.tasks.modify(&id("1"), |task| task.text = "bad".into()).await.unwrap();
    device.sync.push().await.unwrap();
    stored.update(&free::task("1", "blue".into())).await.unwrap();
    stored.add(&free::task("2", "red".into())).await.unwrap();
    for set_aside in [1, 0] {
        assert_eq!(device.sync.sync().await.unwrap().pull.set_aside, set_aside);
        assert_eq!(device.tasks.get_all().await.unwrap().len(), 2);
    }
    let aside = device.sync.set_aside().await.unwrap().remove(0);
    assert_eq!((aside.reason, aside.server.key.id), (AsideReason::HandlerFailed, id("1")));
    device.sync.discard_rejected(&device.sync.rejected().await.unwrap()).await.unwrap();
    assert_eq!(device.sync.sync().await.unwrap().pull.from_aside, 1);
    assert_eq!(device.tasks.list(Selection::all()).await.unwrap().unreadable.len(), 1);
    assert!(device.sync.status().await.unwrap().in_step);
}
