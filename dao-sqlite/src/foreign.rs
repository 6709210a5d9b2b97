//! Which writes broke a foreign key. It is checked at the end of a commit, so SQLite does not say.

use std::collections::{BTreeMap, HashSet};

use fastsync_core::source::{Action, Conflict};
use fastsync_core::{RecordKey, TypeName};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::commit::Refused;
use crate::connection::Store;
use crate::error::Run;
use crate::plan::{At, Plan};

/// The writes that broke the foreign keys of the open transaction: the written children whose parent is not there, or else what
/// removed a parent that a row still refers to. `None` if no write did. It ends the transaction.
pub(crate) fn violators(
    store: &Store,
    plan: &mut Plan,
    text: &str,
    left_out: &BTreeMap<At, String>,
) -> Run<Option<Vec<Refused>>> {
    let broken = Broken::find(store)?;
    // What is gone is there again, and so is what was staged.
    store.roll_back();
    let mut named = Vec::new();
    name(store, plan, left_out, text, &mut named, |key, _| broken.children.contains(&Row::of(key)))?;
    if named.is_empty() {
        let parents = broken.parents(store)?;
        name(store, plan, left_out, text, &mut named, |key, is_deletion| {
            let table = key.type_name.as_str().to_ascii_lowercase();
            parents.contains(&Row::of(key)) || is_deletion && broken.unknown.contains(&table)
        })?;
    }
    Ok(Some(named).filter(|named| !named.is_empty()))
}

/// Names the writes that are to blame, up to the limit.
fn name(
    store: &Store,
    plan: &mut Plan,
    left_out: &BTreeMap<At, String>,
    text: &str,
    named: &mut Vec<Refused>,
    is_to_blame: impl Fn(&RecordKey, bool) -> bool,
) -> Run<()> {
    plan.each(store, None, &mut |_, placed| {
        for &(at, write) in placed.iter().filter(|(at, _)| !left_out.contains_key(at)) {
            let Action::Put { record, .. } = &write.action else { continue };
            if named.len() < Conflict::MAX_PER_OUTCOME && is_to_blame(&record.key, record.is_deleted()) {
                named.push((at, write.clone(), text.to_owned()));
            }
        }
        Ok(named.len() < Conflict::MAX_PER_OUTCOME)
    })
}

/// A row of a prepared type: its table, its id and the key of its zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Row(String, String, Option<String>);

impl Row {
    fn of(key: &RecordKey) -> Self {
        Self(key.type_name.as_str().to_owned(), key.id.as_str().to_owned(), key.zone.key().map(str::to_owned))
    }
}

/// A table, and the values of some of its columns.
type Wanted = (String, Vec<(String, Value)>);

/// What the foreign keys of a transaction lack.
#[derive(Default)]
struct Broken {
    children: HashSet<Row>,
    wanted: Vec<Wanted>,
    /// Parent tables, in lower case, of rows that cannot be read by their number.
    unknown: HashSet<String>,
}

impl Broken {
    fn find(store: &Store) -> Run<Self> {
        let mut broken = Self::default();
        let mut statement = store.connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            // A table without row numbers gives none.
            let Some(number) = row.get::<_, Option<i64>>(1)? else {
                broken.unknown.insert(parent.to_ascii_lowercase());
                continue;
            };
            broken.children.extend(of_type(store, &table, "rowid = ?1", &[Value::Integer(number)])?);
            let wanted = wanted(store, &table, number, parent, row.get(3)?)?;
            if !broken.wanted.contains(&wanted) {
                broken.wanted.push(wanted);
            }
            if broken.children.len().max(broken.wanted.len()) >= Conflict::MAX_PER_OUTCOME {
                break;
            }
        }
        Ok(broken)
    }

    /// The rows that have what is wanted.
    fn parents(&self, store: &Store) -> Run<HashSet<Row>> {
        let mut found = HashSet::new();
        for (table, wanted) in &self.wanted {
            let condition: Vec<_> =
                wanted.iter().map(|(column, _)| format!("{} = ?", escaped(column))).collect();
            let values: Vec<_> = wanted.iter().map(|(_, value)| value.clone()).collect();
            found.extend(of_type(store, table, &condition.join(" AND "), &values)?);
        }
        Ok(found)
    }
}

/// What the foreign key `key` of a row refers to.
fn wanted(store: &Store, table: &str, number: i64, parent: String, key: i64) -> Run<Wanted> {
    let select = "SELECT \"from\", \"to\" FROM pragma_foreign_key_list(?1) WHERE id = ?2 ORDER BY seq";
    let columns: Vec<(String, Option<String>)> =
        store.all(select, (table, key), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let select = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
    let primary: Vec<String> = store.all(select, [&parent], |row| Ok(row.get(0)?))?;
    let mut wanted = Vec::with_capacity(columns.len());
    for (at, (from, to)) in columns.into_iter().enumerate() {
        let select = format!("SELECT {} FROM {} WHERE rowid = ?1", escaped(&from), escaped(table));
        let value = store.connection.query_row(&select, [number], |row| row.get(0))?;
        // Without names it refers to the primary key.
        if let Some(column) = to.or_else(|| primary.get(at).cloned()) {
            wanted.push((column, value));
        }
    }
    Ok((parent, wanted))
}

/// The rows of a table that fulfil a condition, if it is that of a prepared type.
fn of_type(store: &Store, table: &str, condition: &str, values: &[Value]) -> Run<Vec<Row>> {
    let select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1)";
    let name: Option<String> = store.one(select, [table], |row| row.get(0))?;
    let Some(name) = name.and_then(|name| TypeName::new(name).ok()) else { return Ok(Vec::new()) };
    let Ok(kind) = store.kind(&name) else { return Ok(Vec::new()) };
    let zone = if kind.is_restricted() { "zone" } else { "NULL" };
    let (id, table) = (escaped(kind.schema.id_field().as_str()), escaped(name.as_str()));
    let select = format!("SELECT {id}, {zone} FROM {table} WHERE {condition}");
    let row = |row: &rusqlite::Row<'_>| Ok(Row(name.as_str().to_owned(), row.get(0)?, row.get(1)?));
    store.all(&select, params_from_iter(values), row)
}

/// A name of the user's own as an identifier.
fn escaped(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
