//! The suite that every data source passes, each case on a database of its own.

use std::sync::Arc;

use crate::common::{Scratch, reason};
use async_trait::async_trait;
use fastsync_conformance::{Constraint, Harness};
use fastsync_core::SyncableDataSource;
use fastsync_dao_mongo::mongodb::IndexModel;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};
use fastsync_dao_mongo::mongodb::options::IndexOptions;

struct MongoHarness {
    scratch: Option<Scratch>,
}

impl MongoHarness {
    fn new() -> Self {
        Self { scratch: Scratch::new() }
    }
}

#[async_trait]
impl Harness for MongoHarness {
    fn skip(&self) -> Option<String> {
        self.scratch.is_none().then(reason)
    }

    async fn open(&self) -> Arc<dyn SyncableDataSource> {
        Arc::new(self.scratch.as_ref().unwrap().open().await)
    }

    async fn count_staged(&self) -> Option<u64> {
        let database = self.scratch.as_ref().unwrap().database().await;
        let staged = database.collection::<Document>("fastsync_staged");
        // Each batch has a first part.
        Some(staged.count_documents(doc! { "_id.part": 0 }).await.unwrap())
    }

    async fn constrain(&self, constraint: &Constraint) -> bool {
        // MongoDB has unique indexes and no references between documents.
        let Constraint::Unique { type_name, field } = constraint else { return false };
        let unique = IndexOptions::builder().unique(true).build();
        let keys = doc! { "_id.zone": 1, field.as_str(): 1 };
        let index = IndexModel::builder().keys(keys).options(unique).build();
        let database = self.scratch.as_ref().unwrap().database().await;
        database.collection::<Document>(type_name.as_str()).create_index(index).await.unwrap();
        true
    }
}

fastsync_conformance::conformance_tests!(MongoHarness::new());
fastsync_conformance::evolution_tests!(MongoHarness::new(), pairs = [everything, removed, migrated]);
