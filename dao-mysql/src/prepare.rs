//! Creating the tables of types, and adopting tables that are there already.
//!
//! MySQL commits around every change of a table, so everything is checked before anything is changed, and each step
//! can be repeated: a `prepare` that was ended in the middle goes on when it is called again.

use fastsync_core::source::rules::{self, NotedType, Registered};
use fastsync_core::source::upgrade::FIRST_VERSION;
use fastsync_core::source::{PlannedChange, entry};
use fastsync_core::{ErrorKind, FieldKind, FieldSchema, TypeSchema, Value, ZoneRestriction};
use sqlx::MySqlConnection;

use crate::adopt::adopt;
use crate::columns::{DECIMAL, columns};
use crate::error::{Fail, Run};
use crate::registry::{Type, stored_types};
use crate::sql::{Sql, number, quoted, text};
use crate::store::Store;
use crate::unnoticed::unnoticed;
use crate::upgrade::{upgrade, version};

/// How long one `prepare` waits for another one.
const LOCK_SECONDS: u64 = 60;

/// Creates or verifies the tables of these types.
pub(crate) async fn prepare(store: &Store, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    // A connection of its own: closing it gives the lock up, whatever happens.
    let mut connection = store.pool.acquire().await?.detach();
    let result = locked(store, &mut connection, types).await;
    let closed = sqlx::Connection::close(connection).await;
    let (kinds, changes) = result?;
    closed?;
    store.note_kinds(kinds);
    Ok(changes)
}

async fn locked(
    store: &Store,
    connection: &mut MySqlConnection,
    types: &[TypeSchema],
) -> Run<(Vec<Type>, Vec<PlannedChange>)> {
    let lock = "SELECT COALESCE(GET_LOCK(CONCAT('fastsync.', LEFT(SHA2(DATABASE(), 256), 32)), ?), 0)";
    let row = Sql::new(lock).bind(LOCK_SECONDS).first(connection).await?;
    if row.map_or(Ok(0), |row| number(&row, 0))? != 1 {
        let message =
            format!("another process has prepared this database for more than {LOCK_SECONDS} seconds");
        return Err(Fail::new(ErrorKind::Unavailable, "prepare", message));
    }
    let (decided, changes) = planned(store, connection, types).await?;
    upgrade(connection, &store.server, store.upgrades).await?;
    let mut kinds = Vec::with_capacity(decided.len());
    for Decided { n, stored, noted, steps } in decided {
        for step in steps {
            step.sql.execute(connection).await?;
        }
        let n = match n {
            Some(n) if noted.is_empty() => n,
            n => note(connection, n, &stored).await?,
        };
        let found = columns(connection, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, &store.server));
    }
    Ok((kinds, changes))
}

/// What [`prepare`] would do.
pub(crate) async fn plan(store: &Store, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    Ok(planned(store, &mut *store.pool.acquire().await?, types).await?.1)
}

/// What preparing these types comes to, and what that changes.
async fn planned(
    store: &Store,
    connection: &mut MySqlConnection,
    types: &[TypeSchema],
) -> Run<(Vec<Decided>, Vec<PlannedChange>)> {
    let found = version(connection).await?;
    let mut planned = store.upgrades.planned(found.unwrap_or(FIRST_VERSION))?;
    if found.is_none() {
        planned.insert(0, PlannedChange::MakeSyncTables);
    }
    let decided = decide(store, connection, types).await?;
    for Decided { noted, steps, .. } in &decided {
        PlannedChange::add(&mut planned, noted.iter().cloned());
        PlannedChange::add(&mut planned, steps.iter().flat_map(|step| step.changes.iter().cloned()));
    }
    Ok((decided, planned))
}

/// What one type needs: how it is noted, and the steps that its table goes through.
struct Decided {
    /// Its number, if it is known.
    n: Option<u64>,
    stored: NotedType,
    /// Why the note of the type changes; empty if it stays.
    noted: Vec<PlannedChange>,
    steps: Vec<Step>,
}

/// A statement, and what it changes.
pub(crate) struct Step {
    pub(crate) changes: Vec<PlannedChange>,
    pub(crate) sql: Sql,
}

/// What preparing these types comes to, parents first. Nothing is changed.
async fn decide(store: &Store, connection: &mut MySqlConnection, types: &[TypeSchema]) -> Run<Vec<Decided>> {
    let mut problems = Vec::new();
    let known = stored_types(connection).await?;
    let mut all: Vec<Decided> = Vec::with_capacity(types.len());
    for schema in rules::in_order(types)? {
        let before = problems.len();
        let new = all.iter().map(|decided| &decided.stored);
        let Registered { number: n, before: earlier, noted: stored, changes: noted } =
            Registered::new(&known, new, schema, &mut problems);
        let mut decided = Decided { n, stored, noted, steps: Vec::new() };
        if problems.len() == before {
            table(store, connection, earlier, &mut decided, &mut problems).await?;
        }
        all.push(decided);
    }
    let noted = known.iter().map(|(_, stored)| stored);
    let names =
        noted.chain(all.iter().map(|decided| &decided.stored)).map(|stored| stored.schema.name().as_str());
    unnoticed(connection, &names.collect(), &mut problems).await?;
    rules::refuse(&problems)?;
    Ok(all)
}

/// Notes a type as it is prepared now; gives its number.
async fn note(connection: &mut MySqlConnection, n: Option<u64>, stored: &NotedType) -> Run<u64> {
    let body = entry::encode_json(stored)?;
    if let Some(n) = n {
        let update = "UPDATE fastsync_types SET body = ? WHERE n = ?";
        Sql::new(update).bind(body).bind(n).execute(connection).await?;
        return Ok(n);
    }
    let insert = "INSERT INTO fastsync_types (name, body) VALUES (?, ?)";
    let name = stored.schema.name().as_str().as_bytes();
    Ok(Sql::new(insert).bind(name).bind(body).execute(connection).await?.last_insert_id())
}

/// Decides what brings the user's table to what the type needs.
async fn table(
    store: &Store,
    connection: &mut MySqlConnection,
    earlier: Option<&NotedType>,
    decided: &mut Decided,
    problems: &mut Vec<String>,
) -> Run<()> {
    let schema = &decided.stored.schema;
    let (name, type_name) = (schema.name().as_str(), || schema.name().clone());
    // Without regard to case, whatever the server makes of it: two tables must not differ in it alone.
    let select = "SELECT table_name, table_type, COALESCE(engine, '') FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND LOWER(table_name) = LOWER(?)";
    let Some(row) = Sql::new(select).bind(name).first(connection).await? else {
        let changes = vec![PlannedChange::MakeTable { type_name: type_name() }];
        decided.steps = vec![Step { changes, sql: Sql::new(create(store, schema)) }];
        return Ok(());
    };
    let (found, kind, engine) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
    let before = problems.len();
    if kind != "BASE TABLE" {
        problems.push(format!("type {name}: the database has another thing of this name ({kind} {found})"));
    } else if found != name && store.server.case_sensitive {
        problems.push(format!("type {name}: the table is called {found}"));
    } else if !engine.eq_ignore_ascii_case("InnoDB") {
        problems.push(format!("table {name}: the engine is {engine}, which has no transactions; InnoDB has"));
    }
    if problems.len() > before {
        return Ok(());
    }
    if earlier.is_none() {
        decided.noted.push(PlannedChange::AdoptTable { type_name: type_name() });
    }
    decided.steps = adopt(store, connection, earlier, schema, problems).await?;
    Ok(())
}

fn create(store: &Store, schema: &TypeSchema) -> String {
    let dialect = store.server.dialect;
    let id = quoted(schema.id_field());
    let mut parts = Vec::new();
    let restricted = schema.restriction() == ZoneRestriction::Restricted;
    if restricted {
        parts.push("`zone` VARCHAR(128) NOT NULL".to_owned());
    }
    parts.push(format!("{id} VARCHAR(255) NOT NULL"));
    parts.extend(schema.fields().iter().map(|field| column(store, field)));
    parts.push(if restricted {
        format!("PRIMARY KEY (`zone`, {id})")
    } else {
        format!("PRIMARY KEY ({id})")
    });
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({}) {}",
        quoted(schema.name()),
        parts.join(", "),
        dialect.table_options()
    )
}

/// A column. One that has no nulls has the kind's zero if it has no other default, so that a schema can leave it out later.
/// JSON is text here: the native type of MySQL reorders members and changes numbers.
pub(crate) fn column(store: &Store, field: &FieldSchema) -> String {
    let dialect = store.server.dialect;
    let text = |name: &str| format!("{name} CHARACTER SET utf8mb4 COLLATE {}", dialect.collation());
    let kind = match field.kind {
        FieldKind::Boolean => "TINYINT(1)".to_owned(),
        kind if kind.is_integer() => "BIGINT".to_owned(),
        FieldKind::Real => "DOUBLE".to_owned(),
        FieldKind::Bytes => "LONGBLOB".to_owned(),
        FieldKind::Decimal => DECIMAL.to_owned(),
        kind => text(&kind.text_bytes().map_or("LONGTEXT".to_owned(), |bytes| format!("VARCHAR({bytes})"))),
    };
    let rule = if field.nullable { "NULL" } else { "NOT NULL" };
    let default = if field.nullable && field.default.is_none() {
        String::new()
    } else {
        format!(" {}", dialect.default(&literal(&field.initial())))
    };
    format!("{} {kind} {rule}{default}", quoted(&field.name))
}

/// A value in SQL, whatever the server takes for an escape.
fn literal(value: &Value) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => i64::from(*value).to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("{value:e}"),
        Value::Decimal(number) => number.to_string(),
        Value::Text(text) | Value::Json(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("'{text}'")
        }
        Value::Text(text) | Value::Json(text) => {
            format!("CONVERT(X'{}' USING utf8mb4)", hex(text.as_bytes()))
        }
        Value::Bytes(bytes) => format!("X'{}'", hex(bytes)),
    }
}
