//! MongoDB.

use anyhow::{Result, ensure};
use fastsync_dao_mongo::mongodb::bson::{self, RawDocumentBuf, doc};
use fastsync_dao_mongo::mongodb::{Collection, Database};

use super::BATCH;
use crate::records::Item;

/// A collection of items.
#[derive(Debug, Clone)]
pub struct Items {
    database: Database,
    collection: Collection<RawDocumentBuf>,
}

impl Items {
    /// The one in a database.
    #[must_use]
    pub fn of(database: &Database) -> Self {
        Self { database: database.clone(), collection: database.collection("items") }
    }

    /// Stores the items by one `update` command, acknowledged by a majority that has it in its journal.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn upsert(&self, items: &[Item]) -> Result<()> {
        let updates: Vec<_> = items
            .iter()
            .map(|item| {
                doc! {
                    "q": { "_id": &item.id },
                    "u": {
                        "_id": &item.id, "name": &item.name, "description": &item.description,
                        "quantity": item.quantity, "updated_at": item.updated_at,
                    },
                    "upsert": true,
                }
            })
            .collect();
        let concern = doc! { "w": "majority", "j": true };
        let name = self.collection.name();
        let command = doc! { "update": name, "updates": updates, "ordered": false, "writeConcern": concern };
        let reply = self.database.run_command(command).await?;
        ensure!(reply.get_i32("n") == Ok(i32::try_from(items.len())?), "{reply}");
        Ok(())
    }

    /// The next [`BATCH`] items by id.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn page(&self, after: &str) -> Result<Vec<Item>> {
        #[derive(serde::Deserialize)]
        struct Row {
            _id: String,
            name: String,
            description: String,
            quantity: i64,
            updated_at: i64,
        }
        let size = i64::try_from(BATCH)?;
        let after = doc! { "_id": { "$gt": after } };
        let mut cursor = self.collection.find(after).sort(doc! { "_id": 1 }).limit(size).await?;
        let mut page = Vec::new();
        while cursor.advance().await? {
            let Row { _id: id, name, description, quantity, updated_at } =
                bson::from_slice(cursor.current().as_bytes())?;
            page.push(Item { id, name, description, quantity, updated_at });
        }
        Ok(page)
    }
}
