//! Rows that exchange unique values: each is refused as long as another one has what it is to get.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastsync_core::source::Action;
use fastsync_core::{FieldKind, FieldSchema, TypeName};
use rusqlite::types::Value;

use crate::apply::refusal;
use crate::commit::Attempt;
use crate::connection::Store;
use crate::error::Run;
use crate::registry::{Type, quoted};

impl Attempt<'_> {
    /// Takes the unique values of the refused rows away: null where a column may be null, else a value that nothing else has.
    /// What is refused after that rolls the transaction back, so that no such value is ever seen.
    pub(crate) fn vacate(&self) -> Run<()> {
        let mut statements: BTreeMap<TypeName, Option<Vacating>> = BTreeMap::new();
        for (n, (_, write, _)) in (0_i32..).zip(&self.refused) {
            let Action::Put { record, .. } = &write.action else { continue };
            if record.is_deleted() {
                continue;
            }
            let name = &record.key.type_name;
            if !statements.contains_key(name) {
                let kind = self.store.kind(name)?;
                statements.insert(name.clone(), Vacating::of(self.store, &kind)?);
            }
            let Some(Some(vacating)) = statements.get(name) else { continue };
            let mut statement = self.store.connection.prepare_cached(&vacating.sql)?;
            let mut next = 0;
            for column in &vacating.columns {
                next += 1;
                statement.raw_bind_parameter(next, column.value(n))?;
            }
            statement.raw_bind_parameter(next + 1, record.key.id.as_str())?;
            if let Some(key) = record.key.zone.key() {
                statement.raw_bind_parameter(next + 2, key)?;
            }
            // A check of the user's may want other values; then the row keeps what it has.
            refusal(statement.raw_execute().map(drop).map_err(Into::into))?;
            if !self.is_open() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How the unique values of a type's rows are taken away.
struct Vacating {
    /// Parameters: the columns, the id, then the zone key if the type is restricted.
    sql: String,
    columns: Vec<Column>,
}

struct Column {
    may_be_null: bool,
    kind: FieldKind,
}

impl Vacating {
    /// None if the table has no unique column that is a field.
    fn of(store: &Store, kind: &Arc<Type>) -> Run<Option<Self>> {
        let table = kind.schema.name().as_str();
        let unique = names(
            store,
            "SELECT i.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i \
             WHERE l.\"unique\" = 1 AND i.name IS NOT NULL",
            table,
        )?;
        let nullable = names(store, "SELECT name FROM pragma_table_info(?1) WHERE \"notnull\" = 0", table)?;
        let is_in = |names: &BTreeSet<String>, field: &FieldSchema| {
            names.contains(&field.name.as_str().to_ascii_lowercase())
        };
        let fields: Vec<_> = kind.schema.fields().iter().filter(|field| is_in(&unique, field)).collect();
        if fields.is_empty() {
            return Ok(None);
        }
        let set: Vec<_> = fields.iter().map(|field| format!("{} = ?", quoted(&field.name))).collect();
        let zone = if kind.is_restricted() { " AND zone = ?" } else { "" };
        let (table, id) = (quoted(table), quoted(kind.schema.id_field()));
        let sql = format!("UPDATE OR ABORT {table} SET {} WHERE {id} = ?{zone}", set.join(", "));
        let columns = fields
            .into_iter()
            .map(|field| Column { may_be_null: is_in(&nullable, field), kind: field.kind })
            .collect();
        Ok(Some(Self { sql, columns }))
    }
}

/// Names of columns, in lower case: SQLite does not tell cases apart.
fn names(store: &Store, sql: &str, table: &str) -> Run<BTreeSet<String>> {
    let mut statement = store.connection.prepare_cached(sql)?;
    let mut rows = statement.query([table])?;
    let mut names = BTreeSet::new();
    while let Some(row) = rows.next()? {
        names.insert(row.get::<_, String>(0)?.to_ascii_lowercase());
    }
    Ok(names)
}

impl Column {
    /// What the `n`th row gets.
    fn value(&self, n: i32) -> Value {
        let text = format!("\u{1}fastsync {n}");
        match self.kind {
            _ if self.may_be_null => Value::Null,
            FieldKind::Boolean
            | FieldKind::I8
            | FieldKind::I16
            | FieldKind::I32
            | FieldKind::U8
            | FieldKind::U16
            | FieldKind::U32
            | FieldKind::Integer => Value::Integer(i64::MIN + i64::from(n)),
            FieldKind::Real => Value::Real(f64::MIN / (2.0 + f64::from(n))),
            FieldKind::Bytes => Value::Blob(text.into_bytes()),
            _ => Value::Text(text),
        }
    }
}
