//! redb.

use std::ops::Bound;
use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::BATCH;
use super::sled::row;
use crate::records::Item;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("items");

/// Items in a file, by id.
#[derive(Debug)]
pub struct Items {
    db: Database,
}

impl Items {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(file: &Path) -> Result<Self> {
        // The settings of fastsync-dao-redb.
        let db = Database::builder().set_cache_size(64 << 20).create(file)?;
        let commit = db.begin_write()?;
        commit.open_table(TABLE)?;
        commit.commit()?;
        Ok(Self { db })
    }

    /// Stores the items in one transaction that is on the disk afterwards.
    ///
    /// # Errors
    /// Those of redb.
    pub fn upsert(&self, items: &[Item]) -> Result<()> {
        let commit = self.db.begin_write()?;
        {
            let mut table = commit.open_table(TABLE)?;
            for item in items {
                let (key, value) = row(item)?;
                table.insert(key.as_str(), value.as_slice())?;
            }
        }
        Ok(commit.commit()?)
    }

    /// The next [`BATCH`] items by id.
    ///
    /// # Errors
    /// Those of redb; a row is not one of ours.
    pub fn page(&self, after: &str) -> Result<Vec<Item>> {
        let snapshot = self.db.begin_read()?;
        let table = snapshot.open_table(TABLE)?;
        let rows = table.range::<&str>((Bound::Excluded(after), Bound::Unbounded))?.take(BATCH);
        rows.map(|row| {
            let (key, value) = row?;
            let (name, description, quantity, updated_at) = serde_json::from_slice(value.value())?;
            Ok(Item { id: key.value().to_owned(), name, description, quantity, updated_at })
        })
        .collect()
    }
}
