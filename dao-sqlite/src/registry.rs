//! The prepared types and the statements of their tables.

use std::fmt::Write as _;

use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable};
use fastsync_core::{TypeSchema, ZoneRestriction};
use rusqlite::Connection;

use crate::error::Run;
use crate::put::values;

/// A prepared type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) n: i64,
    pub(crate) schema: TypeSchema,
    /// The upsert before and after the values of its rows: id, then the zone key if the type is restricted, then the
    /// fields.
    upsert: (String, String),
    /// Parameters: id, then the zone key if the type is restricted. So has `body`.
    pub(crate) delete: String,
    pub(crate) body: String,
}

/// A registered name as an identifier. Names are letters, digits and `_`, so nothing has to be escaped.
pub(crate) fn quoted(name: impl std::fmt::Display) -> String {
    format!("\"{name}\"")
}

impl Type {
    pub(crate) fn new(n: i64, schema: TypeSchema) -> Self {
        let table = quoted(schema.name());
        let id = quoted(schema.id_field());
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let fields: Vec<_> = schema.fields().iter().map(|field| quoted(&field.name)).collect();
        let keys: Vec<_> = if restricted { vec![&*id, "zone"] } else { vec![&*id] };
        let columns: Vec<_> = keys.iter().copied().chain(fields.iter().map(String::as_str)).collect();
        let updates: Vec<_> = fields.iter().map(|field| format!("{field} = excluded.{field}")).collect();
        let action = if updates.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", updates.join(", "))
        };
        // `OR ABORT` stands above any `ON CONFLICT REPLACE` in the user's table: no other row is overwritten.
        let upsert = (
            format!("INSERT OR ABORT INTO {table} ({}) VALUES ", columns.join(", ")),
            format!(" ON CONFLICT ({}) DO {action}", keys.join(", ")),
        );
        let zone = if restricted { " AND zone = ?2" } else { "" };
        let delete = format!("DELETE FROM {table} WHERE {id} = ?1{zone}");
        let selected = if fields.is_empty() { "1".to_owned() } else { fields.join(", ") };
        let body = format!("SELECT {selected} FROM {table} WHERE {id} = ?1{zone}");
        Self { n, schema, upsert, delete, body }
    }

    /// How many columns a row has here.
    pub(crate) fn columns(&self) -> usize {
        1 + usize::from(self.is_restricted()) + self.schema.fields().len()
    }

    /// Writes so many rows.
    pub(crate) fn upsert(&self, rows: usize) -> String {
        let (before, after) = &self.upsert;
        format!("{before}{}{after}", values(rows, self.columns()))
    }

    pub(crate) fn is_restricted(&self) -> bool {
        self.schema.restriction() == ZoneRestriction::Restricted
    }

    /// Removes the rows of this type in a zone whose index row has a change up to `?3`. `?1`, `?2`: zone and type;
    /// `?4`: the zone key.
    pub(crate) fn clear(&self) -> String {
        let (table, id) = (quoted(self.schema.name()), quoted(self.schema.id_field()));
        let mut sql = format!(
            "DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM fastsync_records AS r WHERE r.zone = ?1 \
             AND r.type = ?2 AND r.id = fastsync_key({table}.{id}) AND r.change <= ?3)"
        );
        if self.is_restricted() {
            let _ = write!(sql, " AND {table}.zone = ?4");
        }
        sql
    }
}

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<i64, Type>;

/// Adds the stored types that are not known here yet.
pub(crate) fn load(registry: &mut Registry, connection: &Connection) -> Run<()> {
    for (n, stored) in stored_types(connection)? {
        if registry.at(n).is_none() {
            registry.insert(n, stored.schema.name().clone(), Type::new(n, stored.schema));
        }
    }
    Ok(())
}

pub(crate) fn stored_types(connection: &Connection) -> Run<Vec<(i64, NotedType)>> {
    let mut statement = connection.prepare_cached("SELECT n, schema FROM fastsync_types ORDER BY n")?;
    let mut rows = statement.query([])?;
    let mut types = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        types.push((row.get(0)?, entry::decode_json(text.as_bytes())?));
    }
    Ok(types)
}
