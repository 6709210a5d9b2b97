//! The prepared types and the statements of their tables.

use std::ops::Deref;

use fastsync_core::TypeSchema;
use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable};
use fastsync_dao_kit::sql::{self, Column};

use crate::catalog;
use crate::codec::unsigned;
use crate::connection::Store;
use crate::dialect::{SQLITE, spelled};
use crate::error::Run;
use crate::put::values;

/// A prepared type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) n: i64,
    common: sql::Type,
    /// The upsert before and after the values of its rows: id, then the zone key if the type is restricted, then the
    /// fields.
    upsert: (String, String),
    /// Parameters: id, then the zone key if the type is restricted. So has `body`.
    pub(crate) delete: String,
    pub(crate) body: String,
}

impl Deref for Type {
    type Target = sql::Type;

    fn deref(&self) -> &sql::Type {
        &self.common
    }
}

impl Type {
    /// A type over a table with these columns.
    pub(crate) fn new(n: i64, schema: TypeSchema, found: &[Column]) -> Self {
        let common = sql::Type::new(unsigned(n), schema, found, &SQLITE);
        let (table, id) = (common.table(), common.id());
        let zone = common.if_restricted(" AND u.zone = ?2");
        let selected = common.selected.strip_prefix(", ").unwrap_or("1");
        // `OR ABORT` stands above any `ON CONFLICT REPLACE` in the user's table: no other row is overwritten.
        let insert = common.insert.replacen("INSERT", "INSERT OR ABORT", 1);
        Self {
            n,
            upsert: (spelled(insert), spelled(common.upsert.clone())),
            delete: spelled(format!("DELETE FROM {table} AS u WHERE u.{id} = ?1{zone}")),
            body: spelled(format!("SELECT {selected} FROM {table} AS u WHERE u.{id} = ?1{zone}")),
            common,
        }
    }

    /// Writes so many rows.
    pub(crate) fn upsert(&self, rows: usize) -> String {
        let (before, after) = &self.upsert;
        format!("{before}{}{after}", values(rows, self.columns))
    }

    /// Removes the rows of this type in a zone whose index row has a change up to `?3`. `?1`, `?2`: zone and type;
    /// `?4`: the zone key.
    pub(crate) fn clear(&self) -> String {
        spelled(format!(
            "DELETE FROM {} AS u WHERE EXISTS (SELECT 1 FROM fastsync_records AS r WHERE r.zone = ?1 \
             AND r.type = ?2 AND r.id = fastsync_key(u.{}) AND r.change <= ?3){}",
            self.table(),
            self.id(),
            self.if_restricted(" AND u.zone = ?4")
        ))
    }
}

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<i64, Type>;

/// Adds the stored types that are not known here yet.
pub(crate) fn load(registry: &mut Registry, store: &Store) -> Run<()> {
    for (n, stored) in stored_types(store)? {
        if registry.at(n).is_none() {
            let found = catalog::columns(store, stored.schema.name().as_str())?;
            registry.insert(n, stored.schema.name().clone(), Type::new(n, stored.schema, &found));
        }
    }
    Ok(())
}

pub(crate) fn stored_types(store: &Store) -> Run<Vec<(i64, NotedType)>> {
    store.all("SELECT n, schema FROM fastsync_types ORDER BY n", [], |row| {
        let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        Ok((row.get(0)?, entry::decode_json(text.as_bytes())?))
    })
}
