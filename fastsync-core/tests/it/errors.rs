//! Errors name the thing that they are about, and what to do.

use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::*;

fn says(error: &Error, parts: &[&str]) {
    for part in parts {
        assert!(error.to_string().contains(part), "{part} is missing in {error}");
    }
}

#[tokio::test]
async fn a_limit_that_nothing_can_meet_is_refused_when_it_is_built() {
    let store = || Store::client(MemoryDataSource::new()).register::<List>();
    says(&store().limits(SessionLimits::new(0, 1)).open().await.unwrap_err(), &["session limit `records`"]);
    says(&store().limits(SessionLimits::new(1, 0)).open().await.unwrap_err(), &["session limit `bytes`"]);

    let server = server().await;
    let store = store().open().await.unwrap();
    let client = || {
        let link = LoopbackTransport::new(server.manager.clone(), SyncContext::new("ada"));
        SyncManager::client(&store).register(Repository::<List>::new(&store), LastWriterWins).transport(link)
    };
    says(&client().pull_limits(PullLimits::new(0, 1)).build().unwrap_err(), &["pull limit `records`"]);
    says(&client().pull_limits(PullLimits::new(1, 0)).build().unwrap_err(), &["pull limit `bytes`"]);
    // Only restricted types can be there.
    says(&client().zones([Zone::Global, zone("ada")]).build().unwrap_err(), &["restricted:ada", "no type"]);

    let mut limits = ServerLimits::default().with_page(0, 1);
    limits.zones = 0;
    let manager = SyncManager::server(&server.store).zones(own_zone_policy).limits(limits);
    says(&manager.build().await.unwrap_err(), &["`page_records`", "`zones`"]);
}

#[tokio::test]
async fn an_error_of_a_pull_names_the_zone() {
    let server = server().await;
    let ada = client(&server, "ada").await;
    let zones = [Zone::Global, zone("bob")];
    let manager = ada.manager().transport(ada.link.clone()).zones(zones).build().unwrap();
    let error = manager.pull().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownZone);
    says(&error, &["zone 2 of the 2", "global, restricted:bob"]);

    let many = (0..101).map(|n| zone(&format!("z{n}")));
    let manager = ada.manager().transport(ada.link.clone()).zones(many).build().unwrap();
    says(&manager.pull().await.unwrap_err(), &["1 to 100 zones", "101", "ServerLimits::zones"]);
}

#[tokio::test]
async fn an_error_of_an_edit_names_the_field_and_the_zone() {
    let server = server().await;
    let ada = client(&server, "ada").await;
    let large = Task { list: "x".repeat(100), text: "x".repeat(MAX_RECORD_BYTES), ..task("1", "") };
    let error = ada.tasks.add(&large).await.unwrap_err();
    says(&error, &["tasks", "1048576", "field text"]);
    let error = Anywhere::<Task>::new(&ada.store, zone("ada")).add(&task("1", "")).await.unwrap_err();
    says(&error, &["tasks", "restricted:ada", "`Repository::new`"]);
    let note = Note { id: "1".into(), text: String::new() };
    let error = Anywhere::<Note>::new(&ada.store, Zone::Global).add(&note).await.unwrap_err();
    says(&error, &["notes", "global", "`Repository::in_zone`"]);

    ada.notes.add(&note).await.unwrap();
    says(&ada.notes.hard_delete().await.unwrap_err(), &["notes", "restricted:ada", "push them first"]);
}

#[tokio::test]
async fn a_store_that_is_not_the_one_says_which_it_is() {
    let source = MemoryDataSource::new();
    Store::client(source.clone()).register::<List>().tenant("north").open().await.unwrap();
    let error = Store::server(source.clone()).register::<List>().open().await.unwrap_err();
    says(&error, &["store of a client", "`Store::client`"]);
    let error = Store::client(source).register::<List>().tenant("south").open().await.unwrap_err();
    says(&error, &["\"south\""]);
    assert!(!error.to_string().contains("north"), "whose it is, is not told: {error}");
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_named() {
    let server = server().await;
    let ada = client(&server, "ada").await;
    ada.tasks.add(&task("1", "x")).await.unwrap();
    ada.sync.push().await.unwrap();
    let sent = ada.link.pushes.lock().unwrap().last().unwrap().clone();
    let push = async |change: &dyn Fn(&mut PushRequest)| {
        let mut request = sent.clone();
        request.number += 1;
        request.session = SessionId::from_uuid(uuid::Uuid::from_u128(7));
        change(&mut request);
        server.manager.process_push(&SyncContext::new("ada"), request).await.unwrap_err()
    };
    says(&push(&|request| request.metadata.types.clear()).await, &["describe type tasks"]);
    says(&push(&|request| request.payload.groups[0].rows[0].4 = 3).await, &["object 1", "tasks", "device 3"]);
    let longer = |request: &mut PushRequest| {
        request.payload.groups[0].rows[0].5.as_mut().unwrap().push(Value::Null);
    };
    says(&push(&longer).await, &["tasks", "4 values for 3 fields"]);
}
