//! Runs on MongoDB: a database of the run's own.

use std::sync::Arc;

use fastsync_core::SyncableDataSource;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::Client;
use fastsync_dao_mongo::mongodb::bson::oid::ObjectId;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};

use crate::text;

pub(super) const URL: &str = "FASTSYNC_MONGO_URL";

fn url() -> Result<String, String> {
    std::env::var(URL).map_err(|_| format!("{URL} is not set"))
}

/// The name of a new database: the server makes it when it is written to.
pub(super) fn create() -> String {
    format!("fastsync_run_{}", ObjectId::new())
}

/// What a killed process has left open holds up the server for a minute (`transactionLifetimeLimitSeconds`), and nobody writes
/// any more who would end it.
pub(super) async fn remove(database: &str) -> Result<(), String> {
    let client = Client::with_uri_str(url()?).await.map_err(text)?;
    let database = client.database(database);
    let writers =
        database.collection::<Document>("fastsync_writers").distinct("_id", doc! {}).await.map_err(text)?;
    let sessions: Vec<_> = writers.into_iter().map(|id| doc! { "id": id }).collect();
    client.database("admin").run_command(doc! { "killSessions": sessions }).await.map_err(text)?;
    database.drop().await.map_err(text)
}

pub(super) async fn open(database: &str) -> Result<Arc<dyn SyncableDataSource>, String> {
    Ok(Arc::new(MongoDataSource::connect(&url()?, database).await.map_err(text)?))
}
