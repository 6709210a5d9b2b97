//! Creating the tables of types, and adopting tables that are there already: all in one transaction, or nothing.

use std::collections::BTreeSet;

use fastsync_core::source::rules::{self, NotedType, Registered};
use fastsync_core::source::upgrade::FIRST_VERSION;
use fastsync_core::source::{PlannedChange, entry};
use fastsync_core::{ErrorKind, FieldSchema, TypeSchema, Value, ZoneRestriction};
use fastsync_dao_kit::sql::{Fail, Run};
use sqlx::PgConnection;

use crate::adopt::adopt;
use crate::columns::columns;
use crate::error::{failed, is_lock_timeout};
use crate::native::Native;
use crate::registry::{Type, stored_types};
use crate::sql::{Schema, literal, number, quoted, text, truth};
use crate::store::Store;
use crate::unnoticed::unnoticed;
use crate::upgrade::{upgrade, version};

/// How long one `prepare` waits for another one.
const LOCK_SECONDS: u64 = 60;

/// Creates or verifies the tables of these types.
pub(crate) async fn prepare(store: &Store, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    let mut transaction = store.write().await?;
    let (kinds, changes) = locked(store, &mut transaction, types).await?;
    transaction.commit().await.map_err(failed)?;
    store.note_kinds(kinds);
    Ok(changes)
}

async fn locked(
    store: &Store,
    connection: &mut PgConnection,
    types: &[TypeSchema],
) -> Run<(Vec<Type>, Vec<PlannedChange>)> {
    let schema = &store.schema;
    lock(schema, connection).await?;
    let (decided, changes) = planned(store, connection, types).await?;
    upgrade(connection, schema, store.upgrades).await?;
    let mut kinds = Vec::with_capacity(decided.len());
    for Decided { n, stored, noted, steps } in decided {
        for step in steps {
            schema.run(connection, &step.sql).await?;
        }
        let n = match n {
            Some(n) if noted.is_empty() => n,
            n => note(schema, connection, n, &stored).await?,
        };
        let found = columns(connection, schema, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, schema));
    }
    Ok((kinds, changes))
}

/// One `prepare` of a schema at a time, until the transaction ends.
async fn lock(schema: &Schema, connection: &mut PgConnection) -> Run<()> {
    let wait = |limit: &str| format!("SET LOCAL lock_timeout = {limit}");
    schema.run(connection, &wait(&format!("'{LOCK_SECONDS}s'"))).await?;
    let lock = schema.sql("SELECT pg_advisory_xact_lock(hashtextextended('fastsync.' || ?, 0))");
    match lock.bind(schema.name()).execute(connection).await {
        Err(fail) if is_lock_timeout(&fail) => {
            let message =
                format!("another process has prepared this schema for more than {LOCK_SECONDS} seconds");
            return Err(Fail::new(ErrorKind::Unavailable, "prepare", message));
        }
        done => done?,
    };
    schema.run(connection, &wait("DEFAULT")).await
}

/// What [`prepare`] would do.
pub(crate) async fn plan(store: &Store, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    Ok(planned(store, &mut *store.connection().await?, types).await?.1)
}

/// What preparing these types comes to, and what that changes.
async fn planned(
    store: &Store,
    connection: &mut PgConnection,
    types: &[TypeSchema],
) -> Run<(Vec<Decided>, Vec<PlannedChange>)> {
    let found = version(connection, &store.schema).await?;
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
    pub(crate) sql: String,
}

/// What preparing these types comes to, parents first. Nothing is changed.
async fn decide(store: &Store, connection: &mut PgConnection, types: &[TypeSchema]) -> Run<Vec<Decided>> {
    let mut problems = Vec::new();
    let known = stored_types(connection, &store.schema).await?;
    let mut all: Vec<Decided> = Vec::with_capacity(types.len());
    for schema in rules::in_order(types)? {
        let before = problems.len();
        let new = all.iter().map(|decided| &decided.stored);
        let Registered { number: n, before: earlier, noted: stored, changes: noted } =
            Registered::new(&known, new, schema, &mut problems);
        let mut decided = Decided { n, stored, noted, steps: Vec::new() };
        if problems.len() == before {
            table(&store.schema, connection, earlier, &mut decided, &mut problems).await?;
        }
        all.push(decided);
    }
    let noted = known.iter().map(|(_, stored)| stored);
    let names: BTreeSet<_> = noted
        .chain(all.iter().map(|decided| &decided.stored))
        .map(|stored| stored.schema.name().as_str())
        .collect();
    unnoticed(connection, &store.schema, &names, &mut problems).await?;
    rules::refuse(&problems)?;
    Ok(all)
}

/// Notes a type as it is prepared now; gives its number.
async fn note(
    schema: &Schema,
    connection: &mut PgConnection,
    n: Option<u64>,
    stored: &NotedType,
) -> Run<u64> {
    let body = entry::encode_json(stored)?;
    if let Some(n) = n {
        let update = schema.sql("UPDATE @types SET body = ? WHERE n = ?");
        update.bind(body).bind(n).execute(connection).await?;
        return Ok(n);
    }
    let insert = schema.sql("INSERT INTO @types (name, body) VALUES (?, ?) RETURNING n");
    let row = insert.bind(stored.schema.name().as_str()).bind(body).first(connection).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

/// Decides what brings the user's table to what the type needs.
async fn table(
    place: &Schema,
    connection: &mut PgConnection,
    earlier: Option<&NotedType>,
    decided: &mut Decided,
    problems: &mut Vec<String>,
) -> Run<()> {
    let schema = &decided.stored.schema;
    let (name, type_name) = (schema.name().as_str(), || schema.name().clone());
    let select = "SELECT c.relkind::text, c.relpersistence = 'u', c.relhasrules, row_security_active(c.oid) \
                  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE n.nspname = ? AND c.relname = ?";
    let Some(row) = place.sql(select).bind(place.name()).bind(name).first(connection).await? else {
        let changes = vec![PlannedChange::MakeTable { type_name: type_name() }];
        decided.steps = vec![Step { changes, sql: create(place, schema) }];
        return Ok(());
    };
    let before = problems.len();
    let kind = text(&row, 0)?;
    if !matches!(kind, "r" | "p") {
        problems.push(format!("type {name}: the schema has another thing of this name (relkind {kind})"));
    } else if truth(&row, 1)? {
        problems.push(format!("table {name} is UNLOGGED: a crash of the server would empty it"));
    } else if truth(&row, 2)? {
        problems.push(format!("table {name} has rules, which would change what is written"));
    } else if truth(&row, 3)? {
        problems.push(format!(
            "table {name}: row-level security is active for this role, and would hide rows; let the role own the \
             table or give it BYPASSRLS"
        ));
    }
    if problems.len() > before {
        return Ok(());
    }
    if earlier.is_none() {
        decided.noted.push(PlannedChange::AdoptTable { type_name: type_name() });
    }
    decided.steps = adopt(place, connection, earlier, &decided.stored, problems).await?;
    Ok(())
}

fn create(place: &Schema, schema: &TypeSchema) -> String {
    let id = quoted(schema.id_field());
    let mut parts = Vec::new();
    let restricted = schema.restriction() == ZoneRestriction::Restricted;
    if restricted {
        parts.push("\"zone\" text COLLATE \"C\" NOT NULL".to_owned());
    }
    parts.push(format!("{id} {} NOT NULL", Native::for_id(schema.id_kind()).declared()));
    parts.extend(schema.fields().iter().map(column));
    parts.push(if restricted {
        format!("PRIMARY KEY (\"zone\", {id})")
    } else {
        format!("PRIMARY KEY ({id})")
    });
    format!("CREATE TABLE {} ({})", place.table(schema.name()), parts.join(", "))
}

/// A column. One that has no nulls has the kind's zero if it has no other default, so that a schema can leave it out later.
/// Where there is no zero either, the column may be null from then on.
pub(crate) fn column(field: &FieldSchema) -> String {
    let kind = Native::for_kind(field.kind).declared();
    let rule = if field.nullable { "" } else { " NOT NULL" };
    let default = match &field.default {
        Some(default) => format!(" DEFAULT {}", value(default)),
        None if !field.nullable && field.has_zero() => format!(" DEFAULT {}", value(&field.zero())),
        None => String::new(),
    };
    format!("{} {kind}{default}{rule}", quoted(&field.name))
}

/// A value in SQL.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("'{value:e}'::double precision"),
        Value::Decimal(number) => format!("'{number}'::numeric"),
        Value::Text(text) | Value::Json(text) => literal(text),
        Value::Bytes(bytes) => {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("'\\x{hex}'::bytea")
        }
    }
}
