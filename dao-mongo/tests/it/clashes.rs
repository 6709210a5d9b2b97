//! Unique indexes of the user's own collections: documents may exchange their values, and what clashes stops nothing else.

use std::sync::Arc;

use crate::common::*;
use fastsync_core::protocol::PushMode;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::IndexModel;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};
use fastsync_dao_mongo::mongodb::options::IndexOptions;

async fn unique(source: &MongoDataSource, kind: &str, field: &str) {
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "_id.zone": 1, field: 1 }).options(unique).build();
    source.database().collection::<Document>(kind).create_index(index).await.unwrap();
}

fn staged(commit: Commit) -> Commit {
    Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit }
}

/// Items whose names are unique, and whose pairs of a quantity and a note are.
async fn exchanging(scratch: &Scratch) -> MongoDataSource {
    let source = scratch.items().await;
    unique(&source, "items", "name").await;
    let unique = IndexOptions::builder().unique(true).build();
    let pairs = IndexModel::builder().keys(doc! { "quantity": 1, "note": 1 }).options(unique).build();
    let items = source.database().collection::<Document>("items");
    items.create_index(pairs).await.unwrap();
    let before = ["a", "b", "c", "d"].map(|id| put(full(id, id, &format!("note {id}"))));
    apply(&source, before.to_vec()).await;
    items.update_many(doc! {}, vec![doc! { "$set": { "extra": "$id" } }]).await.unwrap();
    source
}

fn full(key: &str, name: &str, note: &str) -> Record {
    record("items", &Zone::Global, key, Some(vec![name.into(), Value::Integer(1), note.into()]))
}

async fn documents(source: &MongoDataSource) -> Vec<(String, String, String, String)> {
    let items = source.database().collection::<Document>("items");
    let mut found = Vec::new();
    let mut cursor = items.find(doc! {}).sort(doc! { "id": 1 }).await.unwrap();
    while cursor.advance().await.unwrap() {
        let document: Document = cursor.deserialize_current().unwrap();
        let text = |name| document.get_str(name).unwrap().to_owned();
        found.push((text("id"), text("name"), text("note"), text("extra")));
    }
    found
}

fn document(id: &str, name: &str, note: &str) -> (String, String, String, String) {
    (id.into(), name.into(), note.into(), id.into())
}

/// Fails if documents cannot exchange unique values in one commit, or lose the user's further fields by that.
#[tokio::test]
async fn documents_exchange_unique_values_in_one_commit() {
    for is_staged in [false, true] {
        let Some(scratch) = Scratch::new() else { return };
        let source = exchanging(&scratch).await;
        // Whatever stands in between would be refused.
        let rule = doc! { "name": { "$regex": "^[a-d]$" }, "quantity": { "$type": "long" } };
        let rule = doc! { "collMod": "items", "validator": rule };
        source.database().run_command(rule).await.unwrap();
        // Three in a circle, with the notes the other way round.
        let writes =
            vec![put(full("a", "b", "note c")), put(full("b", "c", "note a")), put(full("c", "a", "note b"))];
        if is_staged {
            let session = staged(commit(Vec::new()));
            for (sequence, write) in (0..).zip(writes) {
                source.stage(session.session, sequence, vec![write]).await.unwrap();
            }
            assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Applied(_)));
        } else {
            apply(&source, writes).await;
        }
        let expected = [
            document("a", "b", "note c"),
            document("b", "c", "note a"),
            document("c", "a", "note b"),
            document("d", "d", "note d"),
        ];
        assert_eq!(documents(&source).await, expected);
        let page = page(&source, &request(&Zone::Global)).await;
        assert_eq!((page.records.len(), page.head.position), (4, Position(2)));
    }
}

/// Fails if a clash is taken for an exchange, or spoils one beside it.
#[tokio::test]
async fn a_clash_beside_an_exchange_is_named_alone() {
    let Some(scratch) = Scratch::new() else { return };
    let source = exchanging(&scratch).await;
    let writes = vec![put(full("a", "b", "note b")), put(full("b", "a", "note a")), put(full("c", "d", "x"))];
    let refused = conflicts(&source, writes.clone()).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(refused[0].current.as_ref().unwrap().body.as_ref().unwrap()[0], "c".into(), "as it was");
    let untouched = ["a", "b", "c", "d"].map(|id| document(id, id, &format!("note {id}")));
    assert_eq!(documents(&source).await, untouched);
    let skipping = writes.into_iter().map(|write| Write { on_mismatch: OnMismatch::Skip, ..write });
    assert_eq!(apply(&source, skipping.collect()).await.skipped.len(), 1);
    let exchanged = [
        document("a", "b", "note b"),
        document("b", "a", "note a"),
        document("c", "c", "note c"),
        document("d", "d", "note d"),
    ];
    assert_eq!(documents(&source).await, exchanged);
}

/// Fails if rows that wait for each other in a long row take an attempt each.
#[tokio::test]
async fn a_thousand_documents_move_up_by_one() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    unique(&source, "items", "quantity").await;
    let all = |by: i64| {
        let item = |n: i64| {
            let body = vec!["any".into(), Value::Integer(n + by), Value::Null];
            // In no order of their ids.
            put(record("items", &Zone::Global, &format!("i{}", n * 7_919 % 1_009), Some(body)))
        };
        (0..1_000).map(item).collect::<Vec<_>>()
    };
    apply(&source, all(0)).await;
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, apply(&source, all(1))).await.expect("it takes two attempts");
    let items = source.database().collection::<Document>("items");
    assert_eq!(items.count_documents(doc! { "quantity": 0_i64 }).await.unwrap(), 0);
}

#[derive(Debug, Clone, PartialEq)]
struct Person {
    id: String,
    email: String,
}

impl SyncableObject for Person {
    fn schema() -> Result<TypeSchema> {
        TypeSchema::builder("people", "id").field("email", FieldKind::Text).build()
    }
    fn id(&self) -> Result<ObjectId> {
        ObjectId::new(&self.id)
    }
    fn to_body(&self) -> Result<Vec<Value>> {
        Ok(vec![self.email.as_str().into()])
    }
    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
        let [Value::Text(email)] = <[Value; 1]>::try_from(body).unwrap() else { panic!("not text") };
        Ok(Self { id: id.as_str().to_owned(), email })
    }
}

fn person(id: &str, email: &str) -> Person {
    Person { id: id.into(), email: email.into() }
}

/// A source with an index that a user made: no email twice.
async fn people(scratch: &Scratch) -> Arc<MongoDataSource> {
    let source = scratch.open().await;
    unique(&source, "people", "email").await;
    Arc::new(source)
}

async fn device(
    scratch: &Scratch,
    server: &SyncManager<Server>,
    user: &str,
) -> (SyncManager<Client>, Repository<Person>) {
    let store = Store::client(people(scratch).await).register::<Person>().open().await.unwrap();
    let repository = Repository::new(&store);
    let sync = SyncManager::client(&store)
        .register(repository.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new(user)))
        .push_mode(PushMode::Atomic)
        .build()
        .unwrap();
    (sync, repository)
}

/// Fails if a valid exchange is refused by the server, or stops another device, in one synchronisation or in three.
#[tokio::test]
async fn an_exchange_reaches_every_device() {
    for steps in [1, 3] {
        let (Some(on_server), Some(on_ada), Some(on_bob)) = (Scratch::new(), Scratch::new(), Scratch::new())
        else {
            return;
        };
        let store = Store::server(people(&on_server).await).register::<Person>().open().await.unwrap();
        let there = Repository::<Person>::new(&store);
        let server = SyncManager::server(&store)
            .register(there.clone(), LastWriterWins)
            .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
            .build()
            .await
            .unwrap();
        let (ada, of_ada) = device(&on_ada, &server, "ada").await;
        let (bob, of_bob) = device(&on_bob, &server, "bob").await;
        of_ada.add_many(&[person("1", "x"), person("2", "y")]).await.unwrap();
        ada.sync().await.unwrap();
        bob.sync().await.unwrap();
        if steps == 1 {
            of_ada.update_many(&[person("1", "y"), person("2", "x")]).await.unwrap();
        } else {
            for step in [person("1", "z"), person("2", "x"), person("1", "y")] {
                of_ada.update(&step).await.unwrap();
                ada.sync().await.unwrap();
            }
        }
        assert_eq!(ada.sync().await.unwrap().push.rejected, 0);
        assert_eq!(bob.sync().await.unwrap().pull.set_aside, 0);
        for people in [&there, &of_ada, &of_bob] {
            assert_eq!(people.get_all().await.unwrap(), [person("1", "y"), person("2", "x")]);
        }
        assert!(bob.status().await.unwrap().in_step);
    }
}
