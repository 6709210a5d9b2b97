//! A table that is there already: what is missing is added, what may grow grows, what contradicts is named.

use fastsync_core::source::rules::NotedType;
use fastsync_core::{FieldKind, FieldSchema, TypeName, TypeSchema, ZoneRestriction};
use rusqlite::OptionalExtension;

use crate::connection::Store;
use crate::error::Run;
use crate::registry::quoted;
use crate::step::Step;

/// A column of a table that is there already.
struct Found {
    /// As it is called once the steps are done, and as it is called until then.
    name: String,
    stored: String,
    affinity: &'static str,
    not_null: bool,
    has_default: bool,
    key: i64,
    generated: bool,
}

/// The steps that bring a table to what the type needs; what cannot be reconciled goes into `problems`. `earlier`: the
/// type as it was prepared before.
pub(crate) fn adopt(
    store: &Store,
    earlier: Option<&NotedType>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Run<Vec<Step>> {
    let type_name = schema.name();
    let mut found = columns(store, type_name.as_str())?;
    let mut steps = Vec::new();
    for (stored, name) in earlier.into_iter().flat_map(|earlier| earlier.renamed(schema)) {
        if let Some(column) = found.iter_mut().find(|column| column.name == stored.as_str()) {
            column.name = name.as_str().to_owned();
            steps.push(Step::rename(type_name, stored, name));
        }
    }
    let has_nulls =
        |column: &Found| has_rows(store, type_name, &format!("{} IS NULL", quoted(&column.stored)));
    let find = |name: &str| found.iter().find(|column| column.name.eq_ignore_ascii_case(name));

    let mut keys = vec![schema.id_field().as_str()];
    if schema.restriction() == ZoneRestriction::Restricted {
        keys.push("zone");
    }
    for key in &keys {
        match find(key) {
            None => problems.push(format!("table {type_name}: column {key} is missing")),
            Some(column) if column.affinity != "TEXT" || column.generated => {
                problems.push(format!("column {type_name}.{key} is not a plain TEXT column"));
            }
            Some(_) => {}
        }
    }
    let mut primary: Vec<_> =
        found.iter().filter(|column| column.key > 0).map(|column| &*column.name).collect();
    primary.sort_unstable();
    let mut wanted = keys.clone();
    wanted.sort_unstable();
    if primary.len() != wanted.len() || !primary.iter().zip(&wanted).all(|(a, b)| a.eq_ignore_ascii_case(b)) {
        problems.push(format!("table {type_name}: the primary key is not ({})", wanted.join(", ")));
    } else if !key_is_binary(store, type_name.as_str())? {
        problems
            .push(format!("table {type_name}: the primary key does not compare by bytes (COLLATE BINARY)"));
    }

    for field in schema.fields() {
        let Some(found) = find(field.name.as_str()) else {
            if !field.has_initial() && has_rows(store, type_name, "TRUE")? {
                let name = &field.name;
                problems
                    .push(format!("field {type_name}.{name} needs a default, for the rows that are there"));
            }
            steps.push(Step::add(type_name, field));
            if field.kind == FieldKind::Real && field.default.is_some() {
                steps.push(Step::exact(type_name, field));
            }
            continue;
        };
        check_field(type_name.as_str(), field, found, problems);
        let is_lacking = earlier.is_some_and(|earlier| earlier.schema.lacks(&earlier.dropped, field));
        if field.nullable && found.not_null {
            if earlier.is_some() {
                steps.push(Step::allow_null(type_name, &field.name));
                // What was written while the field was left out has the column's own default.
                if is_lacking && !field.has_zero() {
                    steps.push(Step::fill(type_name, field));
                }
            } else {
                let name = &field.name;
                problems.push(format!("column {type_name}.{name} is NOT NULL, the field may be null"));
            }
        } else if !field.nullable && (is_lacking || field.default.is_some() && !found.not_null) {
            if is_lacking || has_nulls(found)? {
                steps.push(Step::fill(type_name, field));
            }
        } else if !field.nullable && !found.not_null {
            let name = &field.name;
            if has_nulls(found)? {
                problems.push(format!("column {type_name}.{name} holds nulls, the field always has a value"));
            }
        }
    }
    for extra in found.iter().filter(|column| column.not_null && !column.has_default && !column.generated) {
        let is_ours = keys.iter().any(|key| key.eq_ignore_ascii_case(&extra.name))
            || schema.fields().iter().any(|field| field.name.as_str().eq_ignore_ascii_case(&extra.name));
        if !is_ours {
            let name = &extra.name;
            problems.push(format!("column {type_name}.{name} is no field, and needs a value in every row"));
        }
    }
    Ok(steps)
}

fn has_rows(store: &Store, table: &TypeName, condition: &str) -> Run<bool> {
    let sql = format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", quoted(table));
    Ok(store.connection.query_row(&sql, [], |_| Ok(())).optional()?.is_some())
}

fn check_field(table: &str, field: &FieldSchema, found: &Found, problems: &mut Vec<String>) {
    let fits = match field.kind {
        FieldKind::Boolean => matches!(found.affinity, "INTEGER" | "NUMERIC"),
        kind if kind.is_integer() => found.affinity == "INTEGER",
        FieldKind::Real => found.affinity == "REAL",
        FieldKind::Bytes => found.affinity == "BLOB",
        _ => found.affinity == "TEXT",
    };
    let name = &field.name;
    if found.name != name.as_str() {
        problems.push(format!("column {table}.{name} is called {}", found.name));
    }
    if !fits {
        let (affinity, kind) = (found.affinity, field.kind);
        problems.push(format!("column {table}.{name} has affinity {affinity}, which does not fit {kind:?}"));
    }
    if found.generated {
        problems.push(format!("column {table}.{name} is generated"));
    }
    if found.key > 0 {
        problems.push(format!("column {table}.{name} is part of the primary key"));
    }
}

fn columns(store: &Store, table: &str) -> Run<Vec<Found>> {
    let sql =
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut statement = store.connection.prepare_cached(sql)?;
    let rows = statement.query_map([table], |row| {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Found {
            stored: name.clone(),
            name,
            affinity: affinity(&declared),
            not_null: row.get(2)?,
            has_default: row.get(3)?,
            key: row.get(4)?,
            generated: row.get::<_, i64>(5)? != 0,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// SQLite's rules for the affinity of a declared type.
fn affinity(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if declared.is_empty() || has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

fn key_is_binary(store: &Store, table: &str) -> Run<bool> {
    let sql = "SELECT count(*) FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c \
               WHERE i.origin = 'pk' AND c.key = 1 AND c.coll <> 'BINARY'";
    let others: i64 = store.connection.prepare_cached(sql)?.query_row([table], |row| row.get(0))?;
    Ok(others == 0)
}
