//! PostgreSQL.

use anyhow::Result;
use fastsync_dao_postgres::sqlx::postgres::{PgConnectOptions, PgConnection};
use fastsync_dao_postgres::sqlx::{self, ConnectOptions};

use crate::records::Item;

/// A table of items, over one connection.
#[derive(Debug)]
pub struct Items(PgConnection);

impl Items {
    /// The table in the database of the options.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn open(options: &PgConnectOptions) -> Result<Self> {
        let mut connection = options.connect().await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS items (id text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, \
             description text NOT NULL, quantity bigint NOT NULL, updated_at bigint NOT NULL)",
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
        let texts = |of: fn(&Item) -> &String| items.iter().map(|item| of(item).as_str()).collect::<Vec<_>>();
        let numbers = |of: fn(&Item) -> i64| items.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO items SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) \
             ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, description = EXCLUDED.description, \
             quantity = EXCLUDED.quantity, updated_at = EXCLUDED.updated_at",
        )
        .bind(texts(|item| &item.id))
        .bind(texts(|item| &item.name))
        .bind(texts(|item| &item.description))
        .bind(numbers(|item| item.quantity))
        .bind(numbers(|item| item.updated_at))
        .execute(&mut self.0)
        .await?;
        Ok(())
    }

    /// The next 1,000 items by id.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn page(&mut self, after: &str) -> Result<Vec<Item>> {
        let select = "SELECT id, name, description, quantity, updated_at FROM items WHERE id > $1 ORDER BY id LIMIT 1000";
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
