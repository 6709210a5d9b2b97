//! What the tests of this crate share: the server, databases of their own, and the commands that a client sends.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use fastsync_conformance::samples::*;
use fastsync_core::SyncableDataSource;
use fastsync_core::source::Preparation;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::bson::oid::ObjectId as Unique;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};
use fastsync_dao_mongo::mongodb::event::EventHandler;
use fastsync_dao_mongo::mongodb::event::command::CommandEvent;
use fastsync_dao_mongo::mongodb::options::ClientOptions;
use fastsync_dao_mongo::mongodb::{Client, ClientSession, Database};
use tokio::sync::Notify;

/// The variables that name the servers; `cargo xtask test` starts both and sets them.
const URL: &str = "FASTSYNC_MONGO_URL";
const STANDALONE_URL: &str = "FASTSYNC_MONGO_STANDALONE_URL";

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|url| !url.is_empty())
}

/// The replica set to test on; `None` if no server is configured.
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

    /// With the type [`items`], through a client with these options, whose commands are kept.
    pub async fn watched(&self, options: &str) -> (MongoDataSource, Sent) {
        let mut options = ClientOptions::parse(format!("{}{options}", self.url)).await.unwrap();
        let sent = Sent::default();
        let keep = sent.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event| match event {
            CommandEvent::Started(event) => keep.0.lock().unwrap().started.push(event.command),
            CommandEvent::Failed(event) => {
                keep.0.lock().unwrap().failed.push(event.command_name);
                keep.1.notify_one();
            }
            _ => {}
        }));
        let client = Client::with_options(options).unwrap();
        let source = MongoDataSource::open(&client.database(&self.name)).await.unwrap();
        source.prepare(&[items(), notes()], Preparation::Apply).await.unwrap();
        (source, sent)
    }

    /// Another process has a zone and does not end its transaction.
    pub async fn held(&self, zone: &str) -> ClientSession {
        let database = self.database().await;
        let mut session = database.client().start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        let turn = doc! { "$inc": { "turn": 1_i64 } };
        let zones = database.collection::<Document>("fastsync_zones");
        let held = zones.update_one(doc! { "_id": zone }, turn).session(&mut session).await.unwrap();
        assert_eq!(held.matched_count, 1);
        session
    }

    /// With the type [`items`].
    pub async fn items(&self) -> MongoDataSource {
        let source = self.open().await;
        source.prepare(&[items()], Preparation::Apply).await.unwrap();
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

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What must come within [`PATIENCE`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what must come comes")
}

/// The commands of a client, in their order.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<Mutex<Commands>>, Arc<Notify>);

#[derive(Debug, Default)]
struct Commands {
    started: Vec<Document>,
    /// The names of those that were refused.
    failed: Vec<String>,
}

impl Sent {
    /// What was sent since this was asked last.
    pub fn take(&self) -> Vec<Document> {
        let mut commands = self.0.lock().unwrap();
        commands.failed.clear();
        std::mem::take(&mut commands.started)
    }

    /// Waits until a transaction found its zone in the hands of another one.
    pub async fn until_kept_out(&self) {
        let kept_out = async {
            while !self.0.lock().unwrap().failed.iter().any(|name| name == "findAndModify") {
                self.1.notified().await;
            }
        };
        soon(kept_out).await;
    }
}
