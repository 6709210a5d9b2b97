//! Opening stores and building managers: everything that is wrong is said at once.

use crate::support::*;
use fastsync_core::*;

fn kind(result: Result<Store>) -> (ErrorKind, String) {
    let error = result.expect_err("must be refused");
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_store_keeps_its_role_its_tenant_and_its_identity() {
    let source = MemoryDataSource::new();
    let open = |tenant: &str| Store::client(source.clone()).register::<Task>().tenant(tenant).open();
    let first = open("acme").await.unwrap();
    let again = open("acme").await.unwrap();
    assert_eq!(first.device(), again.device());
    assert_eq!(kind(open("other").await).0, ErrorKind::Config);
    assert_eq!(kind(Store::client(source.clone()).register::<Task>().open().await).0, ErrorKind::Config);
    let (kind, text) = kind(Store::server(source.clone()).register::<Task>().tenant("acme").open().await);
    assert_eq!(kind, ErrorKind::Config);
    assert!(text.contains("server"), "{text}");
}

#[tokio::test]
async fn opening_names_every_problem() {
    let upper = TypeSchema::builder("TASKS", "id").build().unwrap();
    let limits = SessionLimits::new(0, 1);
    let builder =
        Store::client(MemoryDataSource::new()).register::<Task>().register_schema(upper).limits(limits);
    let (kind, text) = kind(builder.open().await);
    assert_eq!(kind, ErrorKind::Config);
    for part in ["differs only in case", "`records` is zero"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let nothing = Store::client(MemoryDataSource::new()).open().await;
    assert!(nothing.unwrap_err().to_string().contains("no type"));
}

#[tokio::test]
async fn building_names_every_problem() {
    let server = server().await;
    let other = client(&server, "ada").await;
    let store = Store::client(MemoryDataSource::new())
        .register::<List>()
        .register::<Task>()
        .register::<Note>()
        .open()
        .await
        .unwrap();
    let error = SyncManager::client(&store)
        .register(other.lists.clone(), LastWriterWins)
        .register(Anywhere::<Note>::new(&store, Zone::Global), LastWriterWins)
        .pull_limits(PullLimits::new(0, 0))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for part in
        ["lists uses another store", "notes is restricted", "tasks of the store has no", "transport", "limit"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let error = SyncManager::server(&store).build().await.unwrap_err().to_string();
    for part in ["not one of a server", "no zone policy", "tasks of the store has no"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn edits_say_what_is_wrong_and_change_nothing() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "x")).await.unwrap();
    let error = a.tasks.add_many(&[task("2", "y"), task("1", "again")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = a.tasks.update_many(&[task("1", "z"), task("3", "missing")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = a.tasks.add_many(&[task("4", "once"), task("4", "twice")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = a.tasks.add(&task("", "no id")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(a.tasks.get_all().await.unwrap(), vec![task("1", "x")]);
    // A restricted type has no global records.
    let global_notes = Anywhere::<Note>::new(&a.store, Zone::Global);
    let error = global_notes.add(&Note { id: "1".into(), text: String::new() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownZone);
}

#[tokio::test]
async fn an_edit_session_over_two_types_is_one_session_on_the_server() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let mut edit = a.store.edit();
    a.lists.stage_add(&mut edit, &List { id: "home".into(), title: "Home".into() }).unwrap();
    a.tasks.stage_add(&mut edit, &task("1", "sweep")).unwrap();
    a.notes.stage_add(&mut edit, &Note { id: "1".into(), text: "private".into() }).unwrap();
    assert_eq!(edit.commit().await.unwrap(), 3);
    a.sync.push().await.unwrap();
    let global = server.store.source().sessions_of(&Zone::Global, Position::START, 10).await.unwrap();
    let own = server.store.source().sessions_of(&zone("ada"), Position::START, 10).await.unwrap();
    assert_eq!(global.len(), 1);
    assert_eq!(global, own, "one session at one position of each of its zones");
    assert_eq!(global[0].author.user.as_deref(), Some("ada"));
    assert_eq!(global[0].counts.iter().map(|(_, count)| count).sum::<u64>(), 3);
}

#[tokio::test]
async fn queries_filter_order_and_page() {
    let server = server().await;
    let a = client(&server, "ada").await;
    let tasks: Vec<_> =
        (0..9).map(|n| Task { done: n % 3 == 0, ..task(&n.to_string(), &format!("t{}", 8 - n)) }).collect();
    a.tasks.add_many(&tasks).await.unwrap();
    let open = Filter::equal("done", false).unwrap();
    assert_eq!(a.tasks.count(Selection::matching(open.clone())).await.unwrap(), 6);
    let page = Selection::matching(open).order_by("text").unwrap().offset(1).limit(2);
    let texts: Vec<_> = a.tasks.query(page).await.unwrap().into_iter().map(|task| task.text).collect();
    assert_eq!(texts, ["t1", "t3"]);
    let unknown = Filter::equal("colour", "red").unwrap();
    assert_eq!(
        a.tasks.query(Selection::matching(unknown)).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn two_edits_of_one_object_at_once_are_both_made() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "")).await.unwrap();
    let append = |word: &'static str| {
        let tasks = a.tasks.clone();
        async move {
            let mut task = tasks.find_by_id(&id("1")).await.unwrap().unwrap();
            task.text.push_str(word);
            tasks.update(&task).await
        }
    };
    let (one, two) = futures_util::future::join(append("a"), append("b")).await;
    one.unwrap();
    two.unwrap();
    assert_eq!(a.pending().await, 1);
}

#[tokio::test]
async fn a_change_that_fails_changes_nothing() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "one"), task("2", "two")]).await.unwrap();
    let refuse = |found: &mut Task| {
        found.text.push('!');
        if found.text.starts_with("one") { Err(Rejection::new("final", "it is final")) } else { Ok(()) }
    };
    let error = a.tasks.modify(&id("1"), refuse).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, "it is final"));
    assert!(error.context().any(|context| context == ("code", "final")), "{error}");
    assert_eq!(a.tasks.modify(&id("2"), refuse).await.unwrap(), Some(task("2", "two!")));
    assert_eq!(a.tasks.find_by_id(&id("1")).await.unwrap(), Some(task("1", "one")));
}

/// Fails if a session overwrites what came between its reading and its commit, or stores a part of itself.
#[tokio::test]
async fn a_session_changes_what_it_has_read_or_nothing() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add_many(&[task("1", "one"), task("2", "two")]).await.unwrap();
    let mut edit = a.store.edit();
    let push = |found: &mut Task| found.text.push('!');
    assert_eq!(a.tasks.stage_modify(&mut edit, &id("1"), push).await.unwrap(), Some(task("1", "one!")));
    assert_eq!(a.tasks.stage_modify(&mut edit, &id("3"), push).await.unwrap(), None);
    a.tasks.stage_remove(&mut edit, &id("2")).unwrap();
    a.tasks.modify(&id("1"), |found| found.text.push('?')).await.unwrap();
    assert_eq!(edit.commit().await.unwrap_err().kind(), ErrorKind::Contention);
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "one?"), task("2", "two")]);
    let mut edit = a.store.edit();
    a.tasks.stage_modify(&mut edit, &id("1"), push).await.unwrap();
    a.tasks.stage_remove(&mut edit, &id("2")).unwrap();
    edit.commit().await.unwrap();
    assert_eq!(a.tasks.get_all().await.unwrap(), [task("1", "one?!")]);
    let mut edit = a.store.edit();
    a.tasks.stage_modify(&mut edit, &id("1"), push).await.unwrap();
    let again = a.tasks.stage_modify(&mut edit, &id("1"), push).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidInput);
    a.tasks.remove(&id("1")).await.unwrap();
    assert_eq!(edit.commit().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn modify_changes_what_is_stored_now() {
    let server = server().await;
    let a = client(&server, "ada").await;
    a.tasks.add(&task("1", "sweep")).await.unwrap();
    // Another edit comes between reading and writing, once.
    let (tasks, interfered) = (a.tasks.clone(), std::sync::atomic::AtomicBool::new(false));
    let stored = a
        .tasks
        .modify(&id("1"), |found| {
            if !interfered.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let between = Task { done: true, ..found.clone() };
                futures_util::FutureExt::now_or_never(tasks.update(&between)).unwrap().unwrap();
            }
            found.text.push_str(" well");
        })
        .await
        .unwrap();
    let both = Task { done: true, ..task("1", "sweep well") };
    assert_eq!(stored, Some(both.clone()));
    assert_eq!(a.task("1").await, Some(both));
    assert_eq!(a.tasks.modify(&id("2"), |_| ()).await.unwrap(), None);
    let error = a.tasks.modify(&id("1"), |found| found.id = "9".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
