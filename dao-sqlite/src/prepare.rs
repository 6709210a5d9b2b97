//! Creating the tables of types, and adopting tables that are there already.

use fastsync_core::source::entry;
use fastsync_core::{Error, ErrorKind, FieldKind, FieldSchema, TypeSchema, ZoneRestriction};
use rusqlite::OptionalExtension;

use crate::connection::Store;
use crate::error::{BACKEND, Fail, Run};
use crate::registry::{StoredType, Type, quoted, stored_types};

/// Creates or verifies the tables of these types; gives them with their numbers.
pub(crate) fn prepare(store: &Store, types: &[TypeSchema]) -> Run<Vec<Type>> {
    let mut sorted: Vec<_> = types.iter().collect();
    // Parents get lower numbers, so that they come before their children in the feed.
    sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
    store.write(|store| {
        let mut problems = Vec::new();
        let mut known = stored_types(&store.connection)?;
        let mut prepared = Vec::with_capacity(sorted.len());
        for schema in sorted {
            let before = problems.len();
            let n = register(store, &mut known, schema, &mut problems)?;
            let ddl =
                if problems.len() == before { table(store, schema, &mut problems)? } else { Vec::new() };
            for statement in ddl.into_iter().filter(|_| problems.is_empty()) {
                store.connection.execute_batch(&statement)?;
            }
            prepared.push(Type::new(n, schema.clone()));
        }
        if problems.is_empty() {
            return Ok(prepared);
        }
        let error = Error::new(ErrorKind::Config, "prepare", problems.join("; "));
        Err(Fail::Core(error.with_backend(BACKEND)))
    })
}

/// Compares with what was prepared before, and notes the schema; gives the type's number.
fn register(
    store: &Store,
    known: &mut Vec<(i64, StoredType)>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Run<i64> {
    let name = schema.name();
    let Some((n, stored)) = known.iter_mut().find(|(_, stored)| stored.schema.name() == name) else {
        let other = known
            .iter()
            .find(|(_, stored)| stored.schema.name().as_str().eq_ignore_ascii_case(name.as_str()));
        if let Some((_, other)) = other {
            problems.push(format!("type {name} differs from type {} only in case", other.schema.name()));
        }
        let stored = StoredType { schema: schema.clone(), dropped: Vec::new() };
        store
            .connection
            .prepare_cached("INSERT INTO fastsync_types (name, schema) VALUES (?1, ?2)")?
            .execute((name.as_str(), json(&stored)?))?;
        let n = store.connection.last_insert_rowid();
        known.push((n, stored));
        return Ok(n);
    };
    problems.extend(stored.schema.contradictions(&stored.dropped, schema));
    if stored.schema != *schema {
        let dropped = stored.schema.left_by(&stored.dropped, schema);
        let changed = StoredType { dropped, schema: schema.clone() };
        store
            .connection
            .prepare_cached("UPDATE fastsync_types SET schema = ?2 WHERE n = ?1")?
            .execute((*n, json(&changed)?))?;
        *stored = changed;
    }
    Ok(*n)
}

fn json(stored: &StoredType) -> Run<String> {
    Ok(entry::encode_json(stored)?)
}

/// The statements that bring the user's table to what the type needs.
fn table(store: &Store, schema: &TypeSchema, problems: &mut Vec<String>) -> Run<Vec<String>> {
    let name = schema.name().as_str();
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        problems.push(format!("type {name}: SQLite keeps names that begin with `sqlite_` for itself"));
        return Ok(Vec::new());
    }
    let select = "SELECT type, name FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'";
    let mut statement = store.connection.prepare_cached(select)?;
    let found: Option<(String, String)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => Ok(vec![create(schema)]),
        Some((kind, found)) if kind != "table" => {
            problems
                .push(format!("type {name}: the database has another thing of this name ({kind} {found})"));
            Ok(Vec::new())
        }
        Some((_, found)) if found != name => {
            problems.push(format!("type {name}: the table is called {found}"));
            Ok(Vec::new())
        }
        Some(_) => adopt(store, schema, problems),
    }
}

fn create(schema: &TypeSchema) -> String {
    let id = quoted(schema.id_field());
    let mut parts = Vec::new();
    let restricted = schema.restriction() == ZoneRestriction::Restricted;
    if restricted {
        parts.push("zone TEXT NOT NULL".to_owned());
    }
    let key = if restricted { "" } else { " PRIMARY KEY" };
    parts.push(format!("{id} TEXT NOT NULL{key}"));
    parts.extend(schema.fields().iter().map(column));
    if restricted {
        parts.push(format!("PRIMARY KEY (zone, {id})"));
    }
    // STRICT: text that looks like a number stays text.
    format!("CREATE TABLE {} ({}) STRICT", quoted(schema.name()), parts.join(", "))
}

/// A column; one that has no nulls has the kind's zero as its default, so that a schema can leave it out later.
fn column(field: &FieldSchema) -> String {
    let (kind, zero) = match field.kind {
        FieldKind::Boolean | FieldKind::Integer => ("INTEGER", "0"),
        FieldKind::Real => ("REAL", "0.0"),
        FieldKind::Bytes => ("BLOB", "x''"),
        FieldKind::Json => ("TEXT", "'null'"),
        _ => ("TEXT", "''"),
    };
    let rule = if field.nullable { String::new() } else { format!(" NOT NULL DEFAULT {zero}") };
    format!("{} {kind}{rule}", quoted(&field.name))
}

/// A column of a table that is there already.
struct Found {
    name: String,
    affinity: &'static str,
    not_null: bool,
    has_default: bool,
    key: i64,
    generated: bool,
}

fn adopt(store: &Store, schema: &TypeSchema, problems: &mut Vec<String>) -> Run<Vec<String>> {
    let type_name = schema.name();
    let found = columns(store, type_name.as_str())?;
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

    let mut additions = Vec::new();
    for field in schema.fields() {
        match find(field.name.as_str()) {
            None => additions.push(format!("ALTER TABLE {} ADD COLUMN {}", quoted(type_name), column(field))),
            Some(found) => check_field(store, type_name.as_str(), field, found, problems)?,
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
    Ok(additions)
}

fn check_field(
    store: &Store,
    table: &str,
    field: &FieldSchema,
    found: &Found,
    problems: &mut Vec<String>,
) -> Run<()> {
    let fits = match field.kind {
        FieldKind::Boolean => matches!(found.affinity, "INTEGER" | "NUMERIC"),
        FieldKind::Integer => found.affinity == "INTEGER",
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
    if field.nullable && found.not_null {
        problems.push(format!("column {table}.{name} is NOT NULL, the field may be null"));
    }
    if !field.nullable && !found.not_null {
        let sql = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", quoted(table), quoted(name));
        if store.connection.query_row(&sql, [], |_| Ok(())).optional()?.is_some() {
            problems.push(format!("column {table}.{name} holds nulls, the field always has a value"));
        }
    }
    Ok(())
}

fn columns(store: &Store, table: &str) -> Run<Vec<Found>> {
    let sql =
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut statement = store.connection.prepare_cached(sql)?;
    let rows = statement.query_map([table], |row| {
        let declared: String = row.get(1)?;
        Ok(Found {
            name: row.get(0)?,
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
