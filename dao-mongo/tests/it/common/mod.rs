//! What the tests of this crate share: the server, and databases of their own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub use fastsync_conformance::samples::*;
use fastsync_core::SyncableDataSource;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::oid::ObjectId as Unique;
use fastsync_dao_mongo::mongodb::{Client, Database};

/// The variables that name the servers; `cargo xtask test` starts both and sets them.
const URL: &str = "FASTSYNC_MONGO_URL";
const STANDALONE_URL: &str = "FASTSYNC_MONGO_STANDALONE_URL";

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|url| !url.is_empty())
}

/// The server to test on, a replica set; `None` if there is none.
///
/// # Panics
/// If there is none and `FASTSYNC_REQUIRE` asks for it.
pub fn url() -> Option<String> {
    let url = variable(URL);
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "mongo");
    assert!(url.is_some() || !is_required, "FASTSYNC_REQUIRE names mongo, but {URL} is not set");
    url
}

/// A server that is no replica set; `None`, and said so, if there is none.
pub fn standalone() -> Option<String> {
    let url = variable(STANDALONE_URL);
    if url.is_none() {
        eprintln!("SKIPPED: {STANDALONE_URL} is not set; `cargo xtask test` starts a server");
    }
    url
}

/// Why tests are skipped.
pub fn reason() -> String {
    format!("{URL} is not set; `cargo xtask test` starts a server")
}

/// A database of a test's own, dropped at its end.
#[derive(Debug)]
pub struct Scratch {
    url: String,
    name: String,
}

impl Scratch {
    /// `None`, and said so, if there is no server.
    pub fn new() -> Option<Self> {
        let url = url();
        if url.is_none() {
            eprintln!("SKIPPED: {}", reason());
        }
        Some(Self { url: url?, name: format!("fastsync_test_{}", Unique::new()) })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn database(&self) -> Database {
        Client::with_uri_str(&self.url).await.unwrap().database(&self.name)
    }

    pub async fn open(&self) -> MongoDataSource {
        MongoDataSource::connect(&self.url, &self.name).await.unwrap()
    }

    /// With the type [`items`].
    pub async fn items(&self) -> MongoDataSource {
        let source = self.open().await;
        source.prepare(&[items()]).await.unwrap();
        source
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A runtime of its own: this may run on one that is about to end.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::with_uri_str(url).await?.database(&name).drop().await })
        });
        drop(dropping.join());
    }
}
