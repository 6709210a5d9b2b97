//! A table that is there already: what is missing is added, what contradicts is named.

use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::NotedType;
use fastsync_core::{FieldSchema, TypeName, TypeSchema, ZoneRestriction};
use fastsync_dao_kit::sql::Run;
use sqlx::PgConnection;

use crate::columns::{Column, columns};
use crate::native::Native;
use crate::prepare::{Step, column, value};
use crate::sql::{Schema, quoted, text, truth};

/// The statements that bring a table to what the type needs; what cannot be reconciled goes into `problems`. `earlier`: the
/// type as it was prepared before.
pub(crate) async fn adopt(
    place: &Schema,
    connection: &mut PgConnection,
    earlier: Option<&NotedType>,
    stored: &NotedType,
    problems: &mut Vec<String>,
) -> Run<Vec<Step>> {
    let schema = &stored.schema;
    let (table, full) = (schema.name(), place.table(schema.name()));
    let mut found = columns(connection, place, table.as_str()).await?;
    let mut steps = Vec::new();
    for (before, name) in earlier.into_iter().flat_map(|earlier| earlier.renamed(schema)) {
        if let Some(column) = found.iter_mut().find(|column| column.name == before.as_str()) {
            column.name = name.as_str().to_owned();
            let (type_name, from, to) = (table.clone(), before.clone(), name.clone());
            let sql = format!("ALTER TABLE {full} RENAME COLUMN {} TO {}", quoted(before), quoted(name));
            steps.push(Step { changes: vec![PlannedChange::RenameField { type_name, from, to }], sql });
        }
    }
    let find = |name: &str| found.iter().find(|column| column.name == name);

    let mut keys = vec![schema.id_field().as_str()];
    if schema.restriction() == ZoneRestriction::Restricted {
        keys.insert(0, "zone");
    }
    let (mut alters, mut changes) = (Vec::new(), Vec::new());
    for key in &keys {
        match find(key) {
            None => problems.push(format!("table {table}: column {key} is missing")),
            Some(column) => {
                let becomes_text = check_key(schema, earlier, column, *key == "zone", problems);
                alters.extend(becomes_text.then(|| {
                    let name = quoted(key);
                    format!("ALTER COLUMN {name} TYPE text COLLATE \"C\" USING {name}::text")
                }));
            }
        }
    }
    check_primary(place, connection, table, &found, &keys, problems).await?;

    let mut fills = Vec::new();
    for field in schema.fields() {
        let name = &field.name;
        let Some(found) = find(name.as_str()) else {
            if !field.has_initial() && has_rows(connection, place, table, "TRUE").await? {
                problems.push(format!("field {table}.{name} needs a default, for the rows that are there"));
            }
            alters.push(format!("ADD COLUMN {}", column(field)));
            changes.push(PlannedChange::AddField { type_name: table.clone(), field: name.clone() });
            continue;
        };
        check_field(table, field, found, problems);
        let wanted = Native::for_kind(field.kind);
        if earlier.is_some()
            && found.native.is_some_and(|native| (1..wanted.width()).contains(&native.width()))
        {
            alters.push(format!("ALTER COLUMN {} TYPE {}", quoted(name), wanted.declared()));
        }
        let is_lacking = earlier.is_some_and(|earlier| earlier.schema.lacks(&earlier.dropped, field));
        if field.nullable && !found.nullable {
            if earlier.is_some() {
                alters.push(format!("ALTER COLUMN {} DROP NOT NULL", quoted(name)));
                changes.push(PlannedChange::AllowNull { type_name: table.clone(), field: name.clone() });
            } else {
                problems.push(format!("column {table}.{name} is NOT NULL, the field may be null"));
            }
        } else if !field.nullable && found.nullable && has_nulls(connection, place, table, found).await? {
            if is_lacking || field.default.is_some() {
                fills.push(fill(place, table, field));
            } else {
                problems.push(format!("column {table}.{name} holds nulls, the field always has a value"));
            }
        }
    }
    for extra in &found {
        let is_ours = keys.contains(&extra.name.as_str())
            || schema.fields().iter().any(|field| field.name.as_str() == extra.name);
        if is_ours || extra.nullable || extra.has_default || extra.is_generated {
            continue;
        }
        let name = &extra.name;
        if stored.dropped.iter().any(|field| field.name.as_str() == name) {
            alters.push(format!("ALTER COLUMN {} DROP NOT NULL", quoted(name)));
        } else {
            problems.push(format!("column {table}.{name} is no field, and needs a value in every row"));
        }
    }
    if !alters.is_empty() {
        steps.push(Step { changes, sql: format!("ALTER TABLE {full} {}", alters.join(", ")) });
    }
    steps.append(&mut fills);
    Ok(steps)
}

/// Gives the rows that have no value for a field its initial one.
fn fill(place: &Schema, table: &TypeName, field: &FieldSchema) -> Step {
    let (full, column, initial) = (place.table(table), quoted(&field.name), value(&field.initial()));
    let sql = format!("UPDATE {full} SET {column} = {initial} WHERE {column} IS NULL");
    let change = PlannedChange::FillField { type_name: table.clone(), field: field.name.clone() };
    Step { changes: vec![change], sql }
}

/// The id and the zone are compared by bytes. Answers whether the column becomes text, since ids of any form are allowed now.
fn check_key(
    schema: &TypeSchema,
    earlier: Option<&NotedType>,
    column: &Column,
    is_zone: bool,
    problems: &mut Vec<String>,
) -> bool {
    let (table, name, full_type) = (schema.name(), &column.name, &column.full_type);
    if column.is_generated {
        problems.push(format!("column {table}.{name} is generated"));
    }
    let is_text = matches!(column.native, Some(Native::Text | Native::Varchar));
    let fits = match column.native {
        Some(_) if is_zone => is_text,
        Some(native) => native.fits_id(schema.id_kind()),
        None => false,
    };
    if !fits {
        let was = earlier.filter(|_| !is_zone).map(|earlier| earlier.schema.id_kind());
        if was.is_some_and(|was| was != schema.id_kind()) {
            return true;
        }
        problems.push(format!("column {table}.{name} is {full_type}, which does not fit its ids"));
    } else if is_text && !column.is_exact {
        problems.push(format!("column {table}.{name} does not compare by bytes: it needs COLLATE \"C\""));
    }
    false
}

/// Rows are found by their key, and met there when they are inserted.
async fn check_primary(
    place: &Schema,
    connection: &mut PgConnection,
    table: &TypeName,
    found: &[Column],
    keys: &[&str],
    problems: &mut Vec<String>,
) -> Run<()> {
    let primary = found.iter().filter(|column| column.is_primary).map(|column| column.name.as_str());
    let (mut primary, mut wanted) = (primary.collect::<Vec<_>>(), keys.to_vec());
    primary.sort_unstable();
    wanted.sort_unstable();
    if primary != wanted {
        problems.push(format!("table {table}: the primary key is not ({})", keys.join(", ")));
    }
    let select = "SELECT k.conname::text, k.condeferrable FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid \
                  JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE n.nspname = ? AND c.relname = ? AND k.contype = 'p'";
    let rows = place.sql(select).bind(place.name()).bind(table.as_str()).all(connection).await?;
    for row in &rows {
        if truth(row, 1)? {
            let name = text(row, 0)?;
            problems.push(format!(
                "table {table}: the primary key {name} is DEFERRABLE, and would be checked too late"
            ));
        }
    }
    Ok(())
}

fn check_field(table: &TypeName, field: &FieldSchema, found: &Column, problems: &mut Vec<String>) {
    let (name, full_type, kind) = (&field.name, &found.full_type, field.kind);
    if !found.native.is_some_and(|native| native.fits(kind)) {
        problems.push(format!("column {table}.{name} is {full_type}, which does not fit {kind:?}"));
    }
    let is_held = |default| found.limit.is_none_or(|limit| limit.holds(default));
    if field.default.as_ref().is_some_and(|default| !is_held(default)) {
        problems.push(format!("column {table}.{name} is {full_type}, which would change the default"));
    }
    if found.is_generated {
        problems.push(format!("column {table}.{name} is generated"));
    }
    if found.is_primary {
        problems.push(format!("column {table}.{name} is part of the primary key"));
    }
}

/// Whether a column holds nulls, under the name that it has until the steps are done.
async fn has_nulls(
    connection: &mut PgConnection,
    place: &Schema,
    table: &TypeName,
    column: &Column,
) -> Run<bool> {
    has_rows(connection, place, table, &format!("{} IS NULL", quoted(&column.stored))).await
}

async fn has_rows(
    connection: &mut PgConnection,
    place: &Schema,
    table: &TypeName,
    condition: &str,
) -> Run<bool> {
    let sql = place.sql(format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", place.table(table)));
    Ok(sql.first(connection).await?.is_some())
}
