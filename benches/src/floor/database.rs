//! The table of the floor.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

use crate::records::Item;

/// A database with the items, as durable as ours.
#[derive(Debug)]
pub(super) struct Database(Connection);

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self> {
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

    /// Stores the items in one transaction.
    pub(super) fn upsert(&mut self, items: &[Item]) -> Result<()> {
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

    /// The next items by id.
    pub(super) fn page(&self, after: &str, limit: u32) -> Result<Vec<Item>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, name, description, quantity, updated_at FROM items WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let rows = statement.query_map((after, limit), |row| {
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
