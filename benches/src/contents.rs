//! What a store holds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};
use fastsync_core::source::Preparation;
use fastsync_core::{Query, Record, SyncableObject, Zone};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::raw::Table;
use crate::records::{Item, Made, make_many, table_of};
use crate::role::Side;
use crate::stores::StoreKind;

/// The number and a digest of records: two stores with the same records in all fields have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// How many records there are.
    pub rows: u64,
    digest: u64,
}

impl Contents {
    /// Of the table of a type's records in a SQLite database of either side.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of<T: Made>(database: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("opening {}", database.display()))?;
        let mut statement = connection.prepare(&format!("SELECT * FROM {} ORDER BY id", table_of::<T>()?))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut digest = DefaultHasher::new();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => 0_u8.hash(&mut digest),
                    ValueRef::Integer(value) => value.hash(&mut digest),
                    ValueRef::Real(value) => value.to_bits().hash(&mut digest),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut digest),
                }
            }
            count += 1;
        }
        Ok(Self { rows: count, digest: digest.finish() })
    }

    /// Of the items in a closed store of either side, read through that side.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn of_items(side: Side, kind: StoreKind, place: &Path) -> Result<Self> {
        match (side, kind) {
            (_, StoreKind::Sqlite) => Self::of::<Item>(place),
            (Side::Floor, _) => Ok(digest(&Table::open(kind, place).await?.all().await?)),
            // Of the source itself: a store would insist on being opened as what it is, a client's or a server's.
            (Side::Ours, _) => {
                let (source, schema) = (kind.open(place).await?, Item::schema()?);
                source.prepare(std::slice::from_ref(&schema), Preparation::Apply).await?;
                let records = source.find(&Query::all(schema.name().clone(), Zone::Global)).await?.records;
                let items = records.into_iter().map(|record| {
                    let Record { key, body, .. } = record;
                    Item::from_body(&key.id, body.context("a deleted record")?).map_err(Into::into)
                });
                Ok(digest(&items.collect::<Result<Vec<_>>>()?))
            }
        }
    }

    /// Of the first items, as they were made.
    #[must_use]
    pub fn expected(count: u64) -> Self {
        let mut items = make_many::<Item>(0, count);
        items.sort_by(|a, b| a.id.cmp(&b.id));
        digest(&items)
    }
}

/// As [`Contents::of`] finds them in a table.
fn digest(items: &[Item]) -> Contents {
    let mut digest = DefaultHasher::new();
    for Item { id, name, description, quantity, updated_at } in items {
        for text in [id, name, description] {
            text.as_bytes().hash(&mut digest);
        }
        quantity.hash(&mut digest);
        updated_at.hash(&mut digest);
    }
    Contents { rows: items.len() as u64, digest: digest.finish() }
}
