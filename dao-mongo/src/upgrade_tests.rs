//! Sync collections of an earlier version. There is only one version yet, so the steps are made up.

use std::pin::Pin;

use fastsync_core::source::upgrade::{UpgradeStep, Upgrades};
use fastsync_core::source::{PlannedChange, Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, FieldKind, Query, Result, SyncableDataSource, TypeName, TypeSchema, Zone};
use mongodb::bson::{Document, doc, oid::ObjectId as Unique};
use mongodb::{Client, Database};

use crate::MongoDataSource;
use crate::command::{META, ZONES, whole};
use crate::error::{Fail, Run};

use crate::tests::{commit, open, url};
use crate::upgrade::Upgrade;

const READERS: &str = "fastsync_readers";

type Step<'a> = Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

fn add_readers(database: &Database) -> Step<'_> {
    Box::pin(async move {
        let zones = database.collection::<Document>(ZONES);
        let set = doc! { "$set": { "readers": 7_i64 } };
        zones.update_many(doc! { "readers": { "$exists": false } }, set).await?;
        Ok(())
    })
}

/// Fails in the middle as long as `trip` is empty.
fn count_readers(database: &Database) -> Step<'_> {
    Box::pin(async move {
        let readers = database.collection::<Document>(READERS);
        let begun = doc! { "$setOnInsert": { "begun": true } };
        readers.update_one(doc! { "_id": "all" }, begun).upsert(true).await?;
        if database.collection::<Document>("trip").find_one(doc! {}).await?.is_none() {
            return Err(Fail::corrupt("it trips"));
        }
        let zones = database.collection::<Document>(ZONES);
        let n = zones.count_documents(doc! { "readers": 7_i64 }).await?;
        readers
            .update_one(doc! { "_id": "all" }, doc! { "$set": { "n": i64::try_from(n).unwrap() } })
            .await?;
        Ok(())
    })
}

static STEPS: &[UpgradeStep<Upgrade>] = &[
    UpgradeStep { from: 1, what: "count the readers of a zone", action: add_readers },
    UpgradeStep { from: 2, what: "count all readers", action: count_readers },
];

/// A release that knows version 3.
const LATER: Upgrades<Upgrade> = Upgrades::new(STEPS);

fn types() -> [TypeSchema; 1] {
    [TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap()]
}

fn all() -> Query {
    Query::all(TypeName::new("items").unwrap(), Zone::Global)
}

/// A database that version 1 wrote, with one object; `None` if there is no server.
async fn version_1() -> Option<Database> {
    let (store, source) = open(&url()?).await;
    source.commit_alone(commit(1, "a")).await.unwrap();
    Some(store.database)
}

async fn let_pass(database: &Database) {
    database.collection("trip").insert_one(doc! { "_id": 1 }).await.unwrap();
}

async fn number(database: &Database, collection: &str, id: &str, field: &str) -> Option<i64> {
    let found = database.collection::<Document>(collection).find_one(doc! { "_id": id }).await.unwrap();
    whole(found.unwrap_or_default().get(field))
}

async fn version(database: &Database) -> Option<i64> {
    number(database, META, "schema", "version").await
}

#[tokio::test]
async fn collections_of_version_1_are_upgraded_by_prepare_and_by_nothing_else() {
    let Some(database) = version_1().await else { return };
    let_pass(&database).await;
    let source = MongoDataSource::open_as(&database, LATER).await.unwrap();
    let steps: Vec<_> = STEPS.iter().map(UpgradeStep::planned).collect();
    assert_eq!(source.plan(&types()).await.unwrap(), steps);
    let errors = [
        source.count(&all()).await.map(drop),
        source.pending_after(0, 1).await.map(drop),
        source.commit_alone(commit(2, "b")).await.map(drop),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("`prepare` upgrades"), "{error}");
    }
    assert_eq!(version(&database).await, Some(1));

    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(version(&database).await, Some(3));
    assert_eq!(source.plan(&types()).await.unwrap(), []);
    assert_eq!(source.count(&all()).await.unwrap(), 1);
    source.commit_alone(commit(2, "b")).await.unwrap();
    assert_eq!(number(&database, READERS, "all", "n").await, Some(1));

    let error = MongoDataSource::open(&database).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("newer release"), "{error}");
    assert_eq!(version(&database).await, Some(3));
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_new_database_goes_through_all_steps() {
    let Some(url) = url() else { return };
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.database(&format!("fastsync_test_{}", Unique::new()));
    let_pass(&database).await;
    let source = MongoDataSource::open_as(&database, LATER).await.unwrap();
    let planned = source.plan(&types()).await.unwrap();
    let type_name = || TypeName::new("items").unwrap();
    let of_type = [
        PlannedChange::AddType { type_name: type_name() },
        PlannedChange::MakeTable { type_name: type_name() },
    ];
    let expected: Vec<_> = STEPS.iter().map(UpgradeStep::planned).chain(of_type).collect();
    assert_eq!(planned, expected);
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(source.count(&all()).await.unwrap(), 0);
    database.drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_upgrade_at_once_find_it_done() {
    let Some(database) = version_1().await else { return };
    let_pass(&database).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let source = MongoDataSource::open_as(&database, LATER).await.unwrap();
        tasks.push(tokio::spawn(async move {
            source.prepare(&types(), Preparation::Apply).await?;
            source.count(&all()).await
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    assert_eq!(version(&database).await, Some(3));
    assert_eq!(number(&database, READERS, "all", "n").await, Some(1));
    database.drop().await.unwrap();
}

#[tokio::test]
async fn an_upgrade_goes_on_where_a_step_failed() {
    let Some(database) = version_1().await else { return };
    let source = MongoDataSource::open_as(&database, LATER).await.unwrap();
    for _ in 0..2 {
        let error = source.prepare(&types(), Preparation::Apply).await.unwrap_err();
        assert!(error.message().contains("it trips"), "{error}");
        assert_eq!(version(&database).await, Some(2), "the first step is done");
        assert_eq!(source.count(&all()).await.unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(source.plan(&types()).await.unwrap(), [STEPS[1].planned()]);
    }
    let_pass(&database).await;
    // Another process, which finds half of the second step.
    MongoDataSource::open_as(&database, LATER)
        .await
        .unwrap()
        .prepare(&types(), Preparation::Apply)
        .await
        .unwrap();
    assert_eq!(version(&database).await, Some(3));
    assert_eq!(number(&database, READERS, "all", "n").await, Some(1));
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(source.count(&all()).await.unwrap(), 1);
    database.drop().await.unwrap();
}
