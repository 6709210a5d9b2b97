//! Rows that exchange unique values: each is refused as long as another one has what it is to get.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastsync_core::source::Action;
use fastsync_core::{FieldKind, Record, TypeName, Value};
use rusqlite::types::Value as SqlValue;

use crate::apply::refusal;
use crate::commit::Attempt;
use crate::connection::Store;
use crate::error::Run;
use crate::registry::{Type, quoted};

impl Attempt<'_> {
    /// Takes the unique values of the refused rows away: null where a column may be null, else a value that nothing else has.
    /// What is refused after that rolls the transaction back, so that no such value is ever seen.
    pub(crate) fn vacate(&self) -> Run<()> {
        let mut ways: BTreeMap<TypeName, Option<Vacating>> = BTreeMap::new();
        for (n, (_, write, _)) in (0_i32..).zip(&self.refused) {
            let Action::Put { record, .. } = &write.action else { continue };
            if record.is_deleted() {
                continue;
            }
            let name = &record.key.type_name;
            if !ways.contains_key(name) {
                let kind = self.store.kind(name)?;
                ways.insert(name.clone(), Vacating::of(self.store, &kind)?);
            }
            let Some(Some(way)) = ways.get(name) else { continue };
            for stand_in in [StandIn::Odd, StandIn::Alike] {
                // A check of the user's may want other values; in the end the row keeps what it has.
                let is_refused = refusal(way.run(self.store, record, n, stand_in))?.is_some();
                if !self.is_open() {
                    return Ok(());
                }
                if !is_refused {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What a column that cannot be null has in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StandIn {
    /// A value that hardly anybody has.
    Odd,
    /// One that resembles what the row is to get, for checks that want such values.
    Alike,
}

/// How the unique values of a type's rows are taken away.
struct Vacating {
    /// Parameters: the columns, the id, then the zone key if the type is restricted.
    sql: String,
    columns: Vec<Column>,
}

/// A column with a field.
#[derive(Clone, Copy)]
struct Column {
    /// The field's place in a body.
    at: usize,
    kind: FieldKind,
    may_be_null: bool,
    /// Whether other rows refer to its values.
    is_referred: bool,
}

impl Vacating {
    /// None if no unique key has a field.
    fn of(store: &Store, kind: &Arc<Type>) -> Run<Option<Self>> {
        let schema = &kind.schema;
        let table = schema.name().as_str();
        let nullable = names(store, "SELECT name FROM pragma_table_info(?1) WHERE \"notnull\" = 0", table)?;
        let referred = "SELECT f.\"to\" FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f \
                        WHERE s.type = 'table' AND f.\"to\" IS NOT NULL AND lower(f.\"table\") = lower(?1)";
        let referred = names(store, referred, table)?;
        let mut fields = BTreeMap::new();
        for (at, field) in schema.fields().iter().enumerate() {
            let name = field.name.as_str().to_ascii_lowercase();
            let is_referred = referred.contains(&name);
            let may_be_null = nullable.contains(&name) && !is_referred;
            fields.insert(name, Column { at, kind: field.kind, may_be_null, is_referred });
        }
        let of_the_id =
            |name: &String| *name == schema.id_field().as_str().to_ascii_lowercase() || name == "zone";
        let mut chosen = BTreeMap::new();
        for key in unique_keys(store, table)?.iter().filter(|key| !key.iter().all(of_the_id)) {
            let of_key = key.iter().filter_map(|name| fields.get(name));
            match of_key.min_by_key(|column| column.cost()) {
                // One column is enough.
                Some(column) => {
                    chosen.insert(column.at, *column);
                }
                // It is over an expression, which can be of any field.
                None => {
                    chosen
                        .extend(fields.values().filter(|c| c.cost() < 3).map(|column| (column.at, *column)));
                }
            }
        }
        let columns: Vec<_> = chosen.into_values().collect();
        let set: Vec<_> = columns
            .iter()
            .filter_map(|column| schema.fields().get(column.at))
            .map(|field| format!("{} = ?", quoted(&field.name)))
            .collect();
        if set.is_empty() {
            return Ok(None);
        }
        let zone = if kind.is_restricted() { " AND zone = ?" } else { "" };
        let (table, id) = (quoted(table), quoted(schema.id_field()));
        let sql = format!("UPDATE OR ABORT {table} SET {} WHERE {id} = ?{zone}", set.join(", "));
        Ok(Some(Self { sql, columns }))
    }

    /// Takes the values of the `n`th row away.
    fn run(&self, store: &Store, record: &Record, n: i32, stand_in: StandIn) -> Run<()> {
        let mut statement = store.connection.prepare_cached(&self.sql)?;
        let mut next = 0;
        for column in &self.columns {
            next += 1;
            let wanted = record.body.as_ref().and_then(|body| body.get(column.at));
            statement.raw_bind_parameter(next, column.in_between(wanted, n, stand_in))?;
        }
        statement.raw_bind_parameter(next + 1, record.key.id.as_str())?;
        if let Some(key) = record.key.zone.key() {
            statement.raw_bind_parameter(next + 2, key)?;
        }
        statement.raw_execute()?;
        Ok(())
    }
}

/// The columns of each unique key but the primary one, in lower case: SQLite does not tell cases apart. A part that is an
/// expression has no name.
fn unique_keys(store: &Store, table: &str) -> Run<Vec<BTreeSet<String>>> {
    let select = "SELECT l.name, ifnull(i.name, '') FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i \
                  WHERE l.\"unique\" = 1 AND l.origin <> 'pk'";
    let mut statement = store.connection.prepare_cached(select)?;
    let mut rows = statement.query([table])?;
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        keys.entry(row.get(0)?).or_default().insert(row.get::<_, String>(1)?.to_ascii_lowercase());
    }
    Ok(keys.into_values().collect())
}

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
    /// How much speaks against taking its values away.
    fn cost(&self) -> u8 {
        match self.kind {
            _ if self.is_referred => 4,
            _ if self.may_be_null => 0,
            FieldKind::Boolean | FieldKind::Json => 3,
            kind if kind.is_integer() || matches!(kind, FieldKind::Real | FieldKind::Decimal) => 2,
            _ => 1,
        }
    }

    /// What the `n`th row has, which is to get `wanted`.
    fn in_between(&self, wanted: Option<&Value>, n: i32, stand_in: StandIn) -> SqlValue {
        let is_odd = stand_in == StandIn::Odd;
        let text = match wanted {
            Some(Value::Text(text)) if !is_odd => format!("{text}~{n:x}"),
            _ => format!("\u{1}fastsync {n}"),
        };
        match self.kind {
            _ if self.may_be_null => SqlValue::Null,
            kind if kind.is_integer() || kind == FieldKind::Boolean => {
                SqlValue::Integer(if is_odd { i64::MIN + i64::from(n) } else { i64::MAX - i64::from(n) })
            }
            FieldKind::Real => {
                let far = f64::MAX / (2.0 + f64::from(n));
                SqlValue::Real(if is_odd { -far } else { far })
            }
            FieldKind::Decimal if !is_odd => SqlValue::Text((i64::MAX - i64::from(n)).to_string()),
            FieldKind::Bytes => SqlValue::Blob(text.into_bytes()),
            _ => SqlValue::Text(text),
        }
    }
}
