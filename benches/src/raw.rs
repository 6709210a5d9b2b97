//! Tables of items without a data source around them: what a program writes by hand on each database, as durable as the
//! data source of ours that it is compared with.

pub mod mongo;
pub mod mysql;
pub mod postgres;
pub mod redb;
pub mod sled;
pub mod sqlite;

use std::path::Path;

use anyhow::Result;

use crate::records::Item;
use crate::stores::{StoreKind, mongo_database, mysql_database, postgres_database};

/// How many items are written, or read, at a time.
pub const BATCH: usize = 1_000;

/// A table of items, on any of the databases.
#[derive(Debug)]
pub enum Table {
    /// A file.
    Sqlite(sqlite::Items),
    /// A file.
    Redb(redb::Items),
    /// A folder.
    Sled(sled::Items),
    /// A table of a MariaDB.
    Mysql(Box<mysql::Items>),
    /// A table of a PostgreSQL.
    Postgres(Box<postgres::Items>),
    /// A collection of a MongoDB.
    Mongo(mongo::Items),
}

impl Table {
    /// Opens the one at a path; on a server, in the database that is called as the path ends.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(kind: StoreKind, place: &Path) -> Result<Self> {
        Ok(match kind {
            StoreKind::Sqlite => Self::Sqlite(sqlite::Items::open(place)?),
            StoreKind::Redb => Self::Redb(redb::Items::open(place)?),
            StoreKind::Sled => Self::Sled(sled::Items::open(place)?),
            StoreKind::Mysql => {
                Self::Mysql(Box::new(mysql::Items::open(&mysql_database(place).await?).await?))
            }
            StoreKind::Postgres => {
                Self::Postgres(Box::new(postgres::Items::open(&postgres_database(place).await?).await?))
            }
            StoreKind::Mongo => Self::Mongo(mongo::Items::of(&mongo_database(place).await?)),
        })
    }

    /// Stores items, durably and all at once where the database can.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upsert(&mut self, items: &[Item]) -> Result<()> {
        match self {
            Self::Sqlite(table) => table.upsert(items),
            Self::Redb(table) => table.upsert(items),
            Self::Sled(table) => table.upsert(items),
            Self::Mysql(table) => table.upsert(items).await,
            Self::Postgres(table) => table.upsert(items).await,
            Self::Mongo(table) => table.upsert(items).await,
        }
    }

    /// The next [`BATCH`] items by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn page(&mut self, after: &str) -> Result<Vec<Item>> {
        match self {
            Self::Sqlite(table) => table.page(after),
            Self::Redb(table) => table.page(after),
            Self::Sled(table) => table.page(after),
            Self::Mysql(table) => table.page(after).await,
            Self::Postgres(table) => table.page(after).await,
            Self::Mongo(table) => table.page(after).await,
        }
    }

    /// All items, by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all(&mut self) -> Result<Vec<Item>> {
        let mut all = Vec::<Item>::new();
        loop {
            let after = all.last().map(|item| item.id.clone()).unwrap_or_default();
            let page = self.page(&after).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
