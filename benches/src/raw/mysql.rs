//! MariaDB.

use anyhow::Result;
use fastsync_dao_mysql::sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use fastsync_dao_mysql::sqlx::{self, AssertSqlSafe, ConnectOptions};

use crate::records::Item;

/// A table of items, over one connection.
#[derive(Debug)]
pub struct Items(MySqlConnection);

impl Items {
    /// The table in the database of the options.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn open(options: &MySqlConnectOptions) -> Result<Self> {
        let mut connection = options.connect().await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS items (id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, \
             name LONGTEXT NOT NULL, description LONGTEXT NOT NULL, quantity BIGINT NOT NULL, \
             updated_at BIGINT NOT NULL) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        )
        .execute(&mut connection)
        .await?;
        Ok(Self(connection))
    }

    /// Stores the items by one statement, committed by itself.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn upsert(&mut self, items: &[Item]) -> Result<()> {
        let marks = vec!["(?, ?, ?, ?, ?)"; items.len()].join(", ");
        let sql = format!(
            "INSERT INTO items VALUES {marks} ON DUPLICATE KEY UPDATE name = VALUES(name), \
             description = VALUES(description), quantity = VALUES(quantity), updated_at = VALUES(updated_at)"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for item in items {
            query = query.bind(&item.id).bind(&item.name).bind(&item.description);
            query = query.bind(item.quantity).bind(item.updated_at);
        }
        query.execute(&mut self.0).await?;
        Ok(())
    }

    /// The next 1,000 items by id.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn page(&mut self, after: &str) -> Result<Vec<Item>> {
        let select = "SELECT id, name, description, quantity, updated_at FROM items WHERE id > ? ORDER BY id LIMIT 1000";
        let rows: Vec<(String, String, String, i64, i64)> =
            sqlx::query_as(select).bind(after).fetch_all(&mut self.0).await?;
        let item = |(id, name, description, quantity, updated_at)| Item {
            id,
            name,
            description,
            quantity,
            updated_at,
        };
        Ok(rows.into_iter().map(item).collect())
    }
}
