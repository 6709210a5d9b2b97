//! SQLite.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

use super::BATCH;
use crate::records::Item;

/// A table of items in a file.
#[derive(Debug)]
pub struct Items(Connection);

impl Items {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        // The settings of fastsync-dao-sqlite: journal, durability, cache and when the log is copied into the file.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA cache_size = -32768;
             PRAGMA wal_autocheckpoint = 16000;
             CREATE TABLE IF NOT EXISTS items (
                 id TEXT NOT NULL PRIMARY KEY,
                 name TEXT NOT NULL,
                 description TEXT NOT NULL,
                 quantity INTEGER NOT NULL,
                 updated_at INTEGER NOT NULL
             ) STRICT;",
        )?;
        Ok(Self(connection))
    }

    /// Stores the items by a prepared statement, in one transaction.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn upsert(&mut self, items: &[Item]) -> Result<()> {
        let transaction = self.0.transaction()?;
        let mut statement = transaction.prepare_cached(
            "INSERT INTO items (id, name, description, quantity, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
                 quantity = excluded.quantity, updated_at = excluded.updated_at",
        )?;
        for Item { id, name, description, quantity, updated_at } in items {
            statement.execute((id, name, description, quantity, updated_at))?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }

    /// The next [`BATCH`] items by id.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn page(&mut self, after: &str) -> Result<Vec<Item>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, name, description, quantity, updated_at FROM items WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let rows = statement.query_map((after, i64::try_from(BATCH)?), |row| {
            Ok(Item {
                id: row.get(0)?,
                name: row.get(1)?,
                description: row.get(2)?,
                quantity: row.get(3)?,
                updated_at: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
