//! A table that is there already: what is missing is added, what contradicts is named.

use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::NotedType;
use fastsync_core::{FieldKind, FieldSchema, TypeName, TypeSchema, Value, ZoneRestriction};
use sqlx::MySqlConnection;

use crate::codec::add_value;
use crate::columns::{Column, columns};
use crate::error::Run;
use crate::prepare::{Step, column};
use crate::registry::is_text;
use crate::sql::{Sql, quoted};
use crate::store::Store;

/// The statements that bring a table to what the type needs; what cannot be reconciled goes into `problems`. `earlier`: the
/// type as it was prepared before.
pub(crate) async fn adopt(
    store: &Store,
    connection: &mut MySqlConnection,
    earlier: Option<&NotedType>,
    schema: &TypeSchema,
    problems: &mut Vec<String>,
) -> Run<Vec<Step>> {
    let table = schema.name();
    let mut found = columns(connection, table.as_str()).await?;
    let mut steps = Vec::new();
    for (stored, name) in earlier.into_iter().flat_map(|earlier| earlier.renamed(schema)) {
        // It has its new name already if a `prepare` was cut off.
        if let Some(column) = found.iter_mut().find(|column| column.name == stored.as_str()) {
            column.name = name.as_str().to_owned();
            let (type_name, from, to) = (table.clone(), stored.clone(), name.clone());
            let (table, stored, name) = (quoted(table), quoted(stored), quoted(name));
            let sql = Sql::new(format!("ALTER TABLE {table} RENAME COLUMN {stored} TO {name}"));
            steps.push(Step { changes: vec![PlannedChange::RenameField { type_name, from, to }], sql });
        }
    }
    let find = |name: &str| found.iter().find(|column| column.name.eq_ignore_ascii_case(name));

    let mut keys = vec![schema.id_field().as_str()];
    if schema.restriction() == ZoneRestriction::Restricted {
        keys.insert(0, "zone");
    }
    for key in &keys {
        match find(key) {
            None => problems.push(format!("table {table}: column {key} is missing")),
            Some(column) => check_key(store, table.as_str(), column, problems),
        }
    }
    let mut primary: Vec<_> = found
        .iter()
        .filter(|column| column.is_primary)
        .map(|column| column.name.to_ascii_lowercase())
        .collect();
    primary.sort_unstable();
    let mut wanted: Vec<_> = keys.iter().map(|key| key.to_ascii_lowercase()).collect();
    wanted.sort_unstable();
    if primary != wanted {
        problems.push(format!("table {table}: the primary key is not ({})", keys.join(", ")));
    }

    let (mut alters, mut changes) = (Vec::new(), Vec::new());
    let mut fills = Vec::new();
    for field in schema.fields() {
        let name = &field.name;
        let Some(found) = find(name.as_str()) else {
            if !field.has_initial() && has_rows(connection, table, "TRUE").await? {
                problems.push(format!("field {table}.{name} needs a default, for the rows that are there"));
            }
            alters.push(format!("ADD COLUMN {}", column(store, field)));
            changes.push(PlannedChange::AddField { type_name: table.clone(), field: name.clone() });
            continue;
        };
        check_field(table.as_str(), field, found, problems);
        let is_lacking = earlier.is_some_and(|earlier| earlier.schema.lacks(&earlier.dropped, field));
        if field.nullable && !found.nullable {
            if earlier.is_some() {
                alters.push(format!("MODIFY COLUMN {}", found.with_nulls()));
                changes.push(PlannedChange::AllowNull { type_name: table.clone(), field: name.clone() });
                // What was written while the field was left out has the column's own default.
                if is_lacking && !field.has_zero() {
                    fills.push(fill(table, field));
                }
            } else {
                problems.push(format!("column {table}.{name} is NOT NULL, the field may be null"));
            }
        } else if !field.nullable && (is_lacking || field.default.is_some() && found.nullable) {
            if is_lacking || has_nulls(connection, table, found).await? {
                fills.push(fill(table, field));
            }
        } else if !field.nullable && found.nullable && has_nulls(connection, table, found).await? {
            problems.push(format!("column {table}.{name} holds nulls, the field always has a value"));
        }
    }
    for extra in &found {
        let is_ours = keys.iter().any(|key| key.eq_ignore_ascii_case(&extra.name))
            || schema.fields().iter().any(|field| field.name.as_str().eq_ignore_ascii_case(&extra.name));
        if !is_ours && !extra.nullable && !extra.has_default && !extra.is_generated {
            let name = &extra.name;
            problems.push(format!("column {table}.{name} is no field, and needs a value in every row"));
        }
    }
    if !alters.is_empty() {
        let sql = Sql::new(format!("ALTER TABLE {} {}", quoted(table), alters.join(", ")));
        steps.push(Step { changes, sql });
    }
    steps.append(&mut fills);
    Ok(steps)
}

/// Gives the rows that have no value for a field its initial one.
fn fill(table: &TypeName, field: &FieldSchema) -> Step {
    let column = quoted(&field.name);
    let mut sql = Sql::new(format!("UPDATE {} SET {column} = ? WHERE {column} IS NULL", quoted(table)));
    add_value(&mut sql, &field.initial());
    if !field.has_zero() {
        // Rows that were written while the schema left the field out.
        sql.push(&format!(" OR {column} = ?"));
        add_value(&mut sql, &field.zero());
    }
    let change = PlannedChange::FillField { type_name: table.clone(), field: field.name.clone() };
    Step { changes: vec![change], sql }
}

/// The id and the zone are compared by bytes, and trailing spaces count.
fn check_key(store: &Store, table: &str, column: &Column, problems: &mut Vec<String>) {
    let (name, full_type, wanted) = (&column.name, &column.full_type, store.server.dialect.collation());
    if column.data_type != "varchar" {
        problems.push(format!("column {table}.{name} is {full_type}, not VARCHAR"));
    } else if column.collation != wanted {
        let collation = &column.collation;
        problems.push(format!(
            "column {table}.{name} has collation {collation}, only {wanted} compares by bytes"
        ));
    }
    if column.is_generated {
        problems.push(format!("column {table}.{name} is generated"));
    }
}

fn check_field(table: &str, field: &FieldSchema, found: &Column, problems: &mut Vec<String>) {
    let (name, full_type, kind) = (&field.name, &found.full_type, field.kind);
    if found.name != name.as_str() {
        problems.push(format!("column {table}.{name} is called {}", found.name));
    }
    if !fits(kind, found) {
        problems.push(format!("column {table}.{name} is {full_type}, which does not fit {kind:?}"));
    } else if is_text(kind) && found.charset != "utf8mb4" {
        let charset = &found.charset;
        problems.push(format!("column {table}.{name} has character set {charset}, utf8mb4 is needed"));
    }
    if matches!(&field.default, Some(Value::Decimal(number)) if !found.digits.hold(*number)) {
        problems.push(format!("column {table}.{name} is {full_type}, which would round the default"));
    }
    if found.is_generated {
        problems.push(format!("column {table}.{name} is generated"));
    }
    if found.is_primary {
        problems.push(format!("column {table}.{name} is part of the primary key"));
    }
}

/// Whether a column can hold values of a kind without changing them. A value that is too long, too large or too fine for
/// it is refused when it is written.
fn fits(kind: FieldKind, found: &Column) -> bool {
    const TEXT: [&str; 5] = ["varchar", "tinytext", "text", "mediumtext", "longtext"];
    const WHOLE: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];
    let is_one_of = |types: &[&str]| types.contains(&found.data_type.as_str());
    match kind {
        FieldKind::Boolean => is_one_of(&WHOLE) && !found.full_type.contains("unsigned"),
        kind if kind.is_integer() => is_one_of(&WHOLE) && !found.full_type.contains("unsigned"),
        FieldKind::Real => is_one_of(&["double"]) && !found.full_type.contains("unsigned"),
        FieldKind::Decimal => is_one_of(&["decimal"]) && !found.full_type.contains("unsigned"),
        FieldKind::Bytes => is_one_of(&["varbinary", "tinyblob", "blob", "mediumblob", "longblob"]),
        kind => match kind.text_bytes() {
            // It has no trailing spaces that CHAR would lose.
            Some(bytes) => {
                let fits = u64::try_from(bytes).is_ok_and(|bytes| found.length >= bytes);
                (is_one_of(&TEXT) || is_one_of(&["char"])) && fits
            }
            None => is_one_of(&TEXT),
        },
    }
}

/// Whether a column holds nulls, under the name that it has until the steps are done.
async fn has_nulls(connection: &mut MySqlConnection, table: &TypeName, column: &Column) -> Run<bool> {
    has_rows(connection, table, &format!("{} IS NULL", quoted(&column.stored))).await
}

async fn has_rows(connection: &mut MySqlConnection, table: &TypeName, condition: &str) -> Run<bool> {
    let sql = format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", quoted(table));
    Ok(Sql::new(sql).first(connection).await?.is_some())
}
