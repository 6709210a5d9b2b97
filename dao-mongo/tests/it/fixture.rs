//! What one version stores, every later one reads. `fixtures/VERSION.jsonl` is never written again: a later form of the
//! documents gets a file of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the file of [`TODAY`] is made if it is not there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::Scratch;
use fastsync_conformance::stored;
use fastsync_dao_mongo::mongodb::Database;
use fastsync_dao_mongo::mongodb::bson::{Bson, Document, doc};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

const TODAY: &str = "1";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Each collection as a line, and after it each document as one, in extended JSON. Who has written is nothing that is kept for good.
async fn dump(database: &Database) -> String {
    let mut names = database.list_collection_names().await.unwrap();
    names.retain(|name| name != "fastsync_writers");
    names.sort_unstable();
    let mut lines = String::new();
    for name in names {
        writeln!(lines, "{}", json!({ "collection": name })).unwrap();
        let collection = database.collection::<Document>(&name);
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let documents: Vec<_> = found.try_collect().await.unwrap();
        for document in documents {
            let document = Bson::Document(document).into_canonical_extjson();
            writeln!(lines, "{}", json!({ "collection": name, "document": document })).unwrap();
        }
    }
    lines
}

async fn restore(database: &Database, lines: &str) {
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["collection"].as_str().unwrap();
        let Some(document) = line.get("document") else {
            database.create_collection(name).await.unwrap();
            continue;
        };
        let Ok(Bson::Document(document)) = Bson::try_from(document.clone()) else {
            panic!("{document} is not a document")
        };
        database.collection(name).insert_one(document).await.unwrap();
    }
}

#[tokio::test]
async fn todays_version_is_kept() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.open().await;
    stored::fill(&source).await;
    let path = fixtures().join(TODAY).with_extension("jsonl");
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(fixtures()).unwrap();
        std::fs::write(&path, dump(&scratch.database().await).await).unwrap();
    }
    assert!(path.exists(), "there is no fixture of version {TODAY}");
    stored::check(&source).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in std::fs::read_dir(fixtures()).unwrap() {
        let Some(scratch) = Scratch::new() else { return };
        let lines = std::fs::read_to_string(version.unwrap().path()).unwrap();
        restore(&scratch.database().await, &lines).await;
        stored::check(&scratch.open().await).await;
    }
}
