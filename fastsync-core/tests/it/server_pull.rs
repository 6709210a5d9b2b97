//! Which types a pull gives, and to whom: schema versions, fields, and what a cursor covers.

use fastsync_core::protocol::*;
use fastsync_core::source::ResetReason;
use fastsync_core::*;

use crate::support::by_hand::*;
use crate::support::*;

/// Tasks after an upgrade of the server.
mod upgraded {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub(super) struct Task {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) list: String,
        pub(super) text: String,
        pub(super) done: bool,
    }
}

fn ada() -> SyncContext {
    SyncContext::new("ada")
}

async fn answer(manager: &SyncManager<Server>, request: PullRequest) -> Result<PullReply> {
    manager.process_pull(&ada(), request).await
}

/// Fails if a type of which the client has more than the server can hold is exchanged in part, or stops the others; or if
/// another version or order is taken for another type.
#[tokio::test]
async fn a_type_is_exchanged_by_the_names_of_its_fields() {
    let server = server().await;
    server.tasks.add(&task("1", "x")).await.unwrap();
    let with = |change: &dyn Fn(&mut TypeVersion)| {
        let mut pull = Device::new(1).pull([Zone::Global]);
        change(pull.metadata.types.get_mut(&type_name("tasks")).unwrap());
        pull
    };
    let name = |name: &str| FieldName::new(name).unwrap();
    for (case, pull, values) in [
        ("a newer version", with(&|tasks| tasks.version += 1), Some(3)),
        ("an older version", with(&|tasks| tasks.version -= 1), Some(3)),
        ("another order", with(&|tasks| tasks.fields.reverse()), Some(3)),
        ("a field less", with(&|tasks| drop(tasks.fields.pop())), Some(2)),
        ("no field", with(&|tasks| tasks.fields.clear()), Some(0)),
        ("a field more", with(&|tasks| tasks.fields.push(name("more"))), None),
        ("another field", with(&|tasks| tasks.fields[0] = name("other")), None),
    ] {
        let page = server.page(&ada(), pull).await;
        let row = page.payload.groups.first().map(|group| group.rows[0].5.as_ref().unwrap().len());
        assert_eq!(row, values, "{case}");
        assert_eq!(page.unknown_types.is_empty(), values.is_some(), "{case}");
    }
    let twice = with(&|tasks| tasks.fields[1] = tasks.fields[0].clone());
    assert_eq!(answer(&server.manager, twice).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Fails if a cursor is taken for a type that it does not cover: the records of that type from before it
/// would be missed.
#[tokio::test]
async fn a_cursor_is_good_for_the_types_that_it_covers() {
    let server = server().await;
    server.tasks.add(&task("1", "x")).await.unwrap();
    let device = Device::new(1);
    let of = |names: &[&str], cursor: Option<&Cursor>| {
        let mut pull = device.pull([Zone::Global]);
        pull.metadata.types.retain(|name, _| names.contains(&name.as_str()));
        pull.cursor = cursor.cloned();
        pull
    };
    let lists = server.page(&ada(), of(&["lists"], None)).await;
    assert!(lists.payload.is_empty());
    let wider = of(&["lists", "tasks"], Some(&lists.cursor));
    let reset = PullReply::ResetRequired(ResetRequired::new(ResetReason::Coverage));
    assert_eq!(answer(&server.manager, wider).await.unwrap(), reset);
    assert_eq!(answer(&server.manager, of(&["tasks"], Some(&lists.cursor))).await.unwrap(), reset);
    server.page(&ada(), of(&["lists"], Some(&lists.cursor))).await;

    let both = server.page(&ada(), of(&["lists", "tasks"], None)).await;
    assert_eq!(ids(&both.payload), ["1"]);
    // Fewer types are covered, and from then on they are all that is.
    let fewer = server.page(&ada(), of(&["lists"], Some(&both.cursor))).await;
    let wider = of(&["lists", "tasks"], Some(&fewer.cursor));
    assert_eq!(answer(&server.manager, wider).await.unwrap(), reset);
}

/// Fails if a type that the server does not know is taken for one that was delivered.
#[tokio::test]
async fn a_type_that_the_server_does_not_know_is_named_and_not_covered() {
    let server = server().await;
    let mut pull = Device::new(1).pull([Zone::Global]);
    let tasks = pull.metadata.types[&type_name("tasks")].clone();
    pull.metadata.types.insert(type_name("plans"), tasks);
    let page = server.page(&ada(), pull.clone()).await;
    assert_eq!(page.unknown_types, [type_name("plans")]);
    pull.cursor = Some(page.cursor);
    assert_eq!(server.page(&ada(), pull).await.unknown_types, [type_name("plans")]);
}

/// Fails if a cursor from before an upgrade is taken for the upgraded type: its records have other values
/// now.
#[tokio::test]
async fn a_cursor_does_not_cover_another_version_of_a_type() {
    let source = MemoryDataSource::new();
    let server = server_on(source.clone(), LastWriterWins).await;
    server.tasks.add(&task("1", "x")).await.unwrap();
    let mut pull = Device::new(1).pull([Zone::Global]);
    pull.metadata.types.retain(|name, _| name.as_str() == "tasks");
    pull.cursor = Some(server.page(&ada(), pull.clone()).await.cursor);

    let store = Store::server(source).register::<upgraded::Task>().open().await.unwrap();
    let tasks = Repository::<upgraded::Task>::new(&store);
    let manager = SyncManager::server(&store).register(tasks, LastWriterWins).zones(own_zone_policy);
    let manager = manager.build().await.unwrap();
    let (name, version) = described(&upgraded::Task::schema().unwrap());
    pull.metadata.types = [(name, version)].into();
    let reset = PullReply::ResetRequired(ResetRequired::new(ResetReason::Coverage));
    assert_eq!(answer(&manager, pull.clone()).await.unwrap(), reset);
    pull.cursor = None;
    let PullReply::Page(page) = answer(&manager, pull).await.unwrap() else { panic!("no page") };
    assert_eq!(ids(&page.payload), ["1"]);
}

/// Fails if every server seals with the same key.
#[tokio::test]
async fn a_cursor_of_another_store_is_refused() {
    let (one, other) = (server().await, server().await);
    let mut pull = Device::new(1).pull([Zone::Global]);
    pull.cursor = Some(one.page(&ada(), pull.clone()).await.cursor);
    assert_eq!(answer(&other.manager, pull).await.unwrap_err().kind(), ErrorKind::BadCursor);
}
