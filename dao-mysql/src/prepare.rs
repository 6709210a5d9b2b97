//! Creating the tables of types, and adopting tables that are there already.
//!
//! MySQL commits around every change of a table, so everything is checked before anything is changed, and each step
//! can be repeated: a `prepare` that was ended in the middle goes on when it is called again.

use fastsync_core::source::entry;
use fastsync_core::{Error, ErrorKind, FieldKind, FieldSchema, TypeSchema, Value, ZoneRestriction};
use sqlx::MySqlConnection;

use crate::adopt::adopt;
use crate::columns::{DECIMAL, columns};
use crate::error::{BACKEND, Fail, Run};
use crate::registry::{StoredType, Type, check_version, stored_types};
use crate::sql::{Sql, number, quoted, text};
use crate::store::Store;

const DDL: &str = include_str!("schema.sql");

/// How long one `prepare` waits for another one.
const LOCK_SECONDS: u64 = 60;

/// Creates or verifies the tables of these types.
pub(crate) async fn prepare(store: &Store, types: &[TypeSchema]) -> Run<()> {
    // A connection of its own: closing it gives the lock up, whatever happens.
    let mut connection = store.pool.acquire().await?.detach();
    let result = locked(store, &mut connection, types).await;
    let closed = sqlx::Connection::close(connection).await;
    let kinds = result?;
    closed?;
    store.note_kinds(kinds);
    Ok(())
}

async fn locked(store: &Store, connection: &mut MySqlConnection, types: &[TypeSchema]) -> Run<Vec<Type>> {
    let lock = "SELECT COALESCE(GET_LOCK(CONCAT('fastsync.', LEFT(SHA2(DATABASE(), 256), 32)), ?), 0)";
    let row = Sql::new(lock).bind(LOCK_SECONDS).first(connection).await?;
    if row.map_or(Ok(0), |row| number(&row, 0))? != 1 {
        let message =
            format!("another process has prepared this database for more than {LOCK_SECONDS} seconds");
        return Err(Fail::new(ErrorKind::Unavailable, "prepare", message));
    }
    check_version(connection).await?;
    let options = store.server.dialect.table_options();
    for statement in statements() {
        Sql::new(statement.replace("{table}", &options)).execute(connection).await?;
    }

    let mut sorted: Vec<_> = types.iter().collect();
    // Parents get lower numbers, so that they come before their children in the feed.
    sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
    let mut problems = Vec::new();
    let mut known = stored_types(connection).await?;
    let mut changes = Vec::with_capacity(sorted.len());
    for schema in sorted {
        let before = problems.len();
        let earlier = known.iter().find(|(_, stored)| stored.schema.name() == schema.name());
        let earlier = earlier.map(|(_, stored)| stored.clone());
        let (n, stored) = register(&mut known, schema, &mut problems);
        let steps = if problems.len() == before {
            table(store, connection, earlier.as_ref(), schema, &mut problems).await?
        } else {
            Vec::new()
        };
        changes.push((n, stored, steps));
    }
    if !problems.is_empty() {
        let error = Error::new(ErrorKind::Config, "prepare", problems.join("; "));
        return Err(Fail::Core(error.with_backend(BACKEND)));
    }

    let mut kinds = Vec::with_capacity(changes.len());
    for (n, stored, steps) in changes {
        for statement in steps {
            statement.execute(connection).await?;
        }
        let n = note(connection, n, &stored).await?;
        let found = columns(connection, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, &store.server));
    }
    Ok(kinds)
}

/// The statements of the sync tables, without their comments.
fn statements() -> Vec<String> {
    let lines: Vec<_> = DDL.lines().filter(|line| !line.starts_with("--")).collect();
    let text = lines.join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// Compares with what was prepared before; gives the type's number, if it has one, and what to note of it.
fn register(
    known: &mut Vec<(u64, StoredType)>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> (Option<u64>, StoredType) {
    let name = schema.name();
    let Some((n, stored)) = known.iter().find(|(_, stored)| stored.schema.name() == name) else {
        let other = known
            .iter()
            .find(|(_, stored)| stored.schema.name().as_str().eq_ignore_ascii_case(name.as_str()));
        if let Some((_, other)) = other {
            problems.push(format!("type {name} differs from type {} only in case", other.schema.name()));
        }
        let stored = StoredType { schema: schema.clone(), dropped: Vec::new() };
        known.push((0, stored.clone()));
        return (None, stored);
    };
    problems.extend(stored.schema.contradictions(&stored.dropped, schema));
    let dropped = stored.schema.left_by(&stored.dropped, schema);
    (Some(*n).filter(|n| *n > 0), StoredType { dropped, schema: schema.clone() })
}

/// Notes a type as it is prepared now; gives its number.
async fn note(connection: &mut MySqlConnection, n: Option<u64>, stored: &StoredType) -> Run<u64> {
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

/// The statements that bring the user's table to what the type needs.
async fn table(
    store: &Store,
    connection: &mut MySqlConnection,
    earlier: Option<&StoredType>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Run<Vec<Sql>> {
    let name = schema.name().as_str();
    // Without regard to case, whatever the server makes of it: two tables must not differ in it alone.
    let select = "SELECT table_name, table_type, COALESCE(engine, '') FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND LOWER(table_name) = LOWER(?)";
    let Some(row) = Sql::new(select).bind(name).first(connection).await? else {
        return Ok(vec![Sql::new(create(store, schema))]);
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
        return Ok(Vec::new());
    }
    adopt(store, connection, earlier, schema, problems).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_cut_into_statements() {
        let statements = statements();
        assert_eq!(statements.len(), 12, "{statements:#?}");
        assert!(
            statements
                .iter()
                .all(|statement| statement.starts_with("CREATE") || statement.starts_with("INSERT"))
        );
    }
}
