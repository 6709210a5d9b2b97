//! Creating the tables of types, and adopting tables that are there already.

use fastsync_core::source::entry;
use fastsync_core::{Error, ErrorKind, TypeSchema, ZoneRestriction};
use rusqlite::OptionalExtension;

use crate::adopt::adopt;
use crate::connection::Store;
use crate::error::{BACKEND, Fail, Run};
use crate::registry::{StoredType, Type, quoted, stored_types};
use crate::step::{Step, column};

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
            let earlier = known.iter().find(|(_, stored)| stored.schema.name() == schema.name());
            let earlier = earlier.map(|(_, stored)| stored.clone());
            let n = register(store, &mut known, schema, &mut problems)?;
            let steps = if problems.len() == before {
                table(store, earlier.as_ref(), schema, &mut problems)?
            } else {
                Vec::new()
            };
            for step in steps.into_iter().filter(|_| problems.is_empty()) {
                step.run(store)?;
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
fn table(
    store: &Store,
    earlier: Option<&StoredType>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Run<Vec<Step>> {
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
        None => Ok(vec![Step::Statement(create(schema))]),
        Some((kind, found)) if kind != "table" => {
            problems
                .push(format!("type {name}: the database has another thing of this name ({kind} {found})"));
            Ok(Vec::new())
        }
        Some((_, found)) if found != name => {
            problems.push(format!("type {name}: the table is called {found}"));
            Ok(Vec::new())
        }
        Some(_) => adopt(store, earlier, schema, problems),
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
