//! sled.

use std::fs::File;
use std::ops::Bound;
use std::path::Path;

use anyhow::Result;

use super::BATCH;
use crate::records::Item;

/// Items in a folder, by id.
#[derive(Debug)]
pub struct Items {
    db: sled::Db,
    file: File,
}

impl Items {
    /// Opens it.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn open(folder: &Path) -> Result<Self> {
        // The settings of fastsync-dao-sled.
        let db = sled::Config::new()
            .path(folder)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(64 << 20)
            .flush_every_ms(None)
            .open()?;
        Ok(Self { db, file: File::options().write(true).open(folder.join("db"))? })
    }

    /// Writes rows under keys that begin with `prefix`, in one batch that is on the disk afterwards.
    ///
    /// # Errors
    /// Those of sled.
    pub fn write(&self, rows: &[(String, Vec<u8>)], prefix: &[u8]) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            batch.insert([prefix, key.as_bytes()].concat(), value.as_slice());
        }
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        // Its flush is no sync on Linux.
        Ok(self.file.sync_data()?)
    }

    /// Stores the items in one batch.
    ///
    /// # Errors
    /// Those of sled.
    pub fn upsert(&self, items: &[Item]) -> Result<()> {
        self.write(&items.iter().map(row).collect::<Result<Vec<_>>>()?, b"")
    }

    /// The next [`BATCH`] items by id.
    ///
    /// # Errors
    /// Those of sled; a row is not one of ours.
    pub fn page(&self, after: &str) -> Result<Vec<Item>> {
        let range = (Bound::Excluded(after.as_bytes()), Bound::Unbounded);
        let rows = self.db.range::<&[u8], _>(range).take(BATCH);
        rows.map(|row| {
            let (key, value) = row?;
            let (name, description, quantity, updated_at) = serde_json::from_slice(&value)?;
            Ok(Item { id: str::from_utf8(&key)?.to_owned(), name, description, quantity, updated_at })
        })
        .collect()
    }
}

/// The key and the value of an item.
///
/// # Errors
/// It cannot be written as JSON.
pub fn row(item: &Item) -> Result<(String, Vec<u8>)> {
    let value = serde_json::to_vec(&(&item.name, &item.description, item.quantity, item.updated_at))?;
    Ok((item.id.clone(), value))
}
