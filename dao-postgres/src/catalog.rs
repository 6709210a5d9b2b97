//! What the server says of tables.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_dao_kit::sql::{Column, Link as _, Row as _, Run, Sql, Table, Uniques};

use crate::driver::{PgAnswer, PgLink};
use crate::native::holds;

/// A table of this schema and name, called `c`. Binds both.
const OF: &str = "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relname = ?";

/// The rows that a statement about a table gives, which ends with [`OF`].
async fn about(link: &mut PgLink, select: &str, schema: &str, table: &str) -> Run<Vec<PgAnswer>> {
    link.all(Sql::new(select).bind(schema).bind(table)).await
}

/// Whether a table is there.
pub(crate) async fn is_there(link: &mut PgLink, schema: &str, table: &str) -> Run<bool> {
    Ok(!about(link, &format!("SELECT 1 FROM pg_class AS c {OF}"), schema, table).await?.is_empty())
}

/// The table of a type of this name.
pub(crate) async fn table(link: &mut PgLink, schema: &str, name: &str) -> Run<Option<Table>> {
    let select = format!(
        "SELECT c.relkind::text, c.relpersistence = 'u', c.relhasrules, row_security_active(c.oid) \
         FROM pg_class AS c {OF}"
    );
    let rows = about(link, &select, schema, name).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let kind = row.text(0)?;
    let problem = if !matches!(kind, "r" | "p") {
        Some(format!("type {name}: the schema has another thing of this name (relkind {kind})"))
    } else if row.number(1)? == 1 {
        Some(format!("table {name} is UNLOGGED: a crash of the server would empty it"))
    } else if row.number(2)? == 1 {
        Some(format!("table {name} has rules, which would change what is written"))
    } else if row.number(3)? == 1 {
        Some(format!(
            "table {name}: row-level security is active for this role, and would hide rows; let the role own the \
             table or give it BYPASSRLS"
        ))
    } else {
        None
    };
    if problem.is_some() {
        return Ok(Some(Table { problem, ..Table::default() }));
    }
    // Rows are found by their key, and met there when they are inserted.
    let select = format!(
        "SELECT k.conname::text FROM pg_class AS c JOIN pg_constraint AS k ON k.conrelid = c.oid \
         AND k.contype = 'p' AND k.condeferrable {OF}"
    );
    let deferrable = about(link, &select, schema, name).await?;
    let flaws = deferrable.iter().map(|row| {
        let key = row.text(0)?;
        Ok(format!("table {name}: the primary key {key} is DEFERRABLE, and would be checked too late"))
    });
    let flaws = flaws.collect::<Run<Vec<_>>>()?;
    Ok(Some(Table { problem, columns: columns(link, schema, name).await?, flaws }))
}

/// The columns of a table; none if it is not there.
pub(crate) async fn columns(link: &mut PgLink, schema: &str, table: &str) -> Run<Vec<Column>> {
    let select = format!(
        "SELECT a.attname::text, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text END, \
         format_type(a.atttypid, a.atttypmod), a.atttypmod, \
         CASE WHEN l.collname IN ('POSIX', 'ucs_basic') THEN 'C' ELSE l.collname::text END, \
         NOT a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', \
         COALESCE(a.attnum = ANY (i.indkey), FALSE) \
         FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_collation AS l ON l.oid = a.attcollation \
         LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary {OF} ORDER BY a.attnum"
    );
    about(link, &select, schema, table).await?.iter().map(column).collect()
}

fn column(row: &PgAnswer) -> Run<Column> {
    let is = |at| Run::Ok(row.number(at)? == 1);
    Ok(Column {
        name: row.text(0)?.to_owned(),
        stored: row.text(0)?.to_owned(),
        holds: holds(row.text(1)?, row.integer(3)?.unwrap_or(-1)),
        full_type: row.text(2)?.to_owned(),
        declared: String::new(),
        key_type: None,
        text_problem: None,
        collation: row.text(4)?.to_owned(),
        nullable: is(5)?,
        has_default: is(6)?,
        is_generated: is(7)?,
        is_primary: is(8)?,
    })
}

/// The unique keys of a table, and the columns that foreign keys are about.
pub(crate) async fn uniques(link: &mut PgLink, schema: &str, table: &str) -> Run<Uniques> {
    // One over an expression has a column without a name.
    let select = format!(
        "SELECT i.indexrelid::bigint, a.attname::text FROM pg_class AS c JOIN pg_index AS i ON i.indrelid = c.oid \
         AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary \
         LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND i.indexprs IS NULL {OF}"
    );
    let mut keys: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for row in about(link, &select, schema, table).await? {
        keys.entry(row.number(0)?).or_default().insert(row.text(1)?.to_owned());
    }
    let select = format!(
        "SELECT CASE WHEN k.conrelid = c.oid AND a.attnum = ANY (k.conkey) THEN a.attname::text END, \
         CASE WHEN k.confrelid = c.oid AND a.attnum = ANY (k.confkey) THEN a.attname::text END \
         FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 \
         JOIN pg_constraint AS k ON k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid) {OF}"
    );
    let mut uniques = Uniques { keys: keys.into_values().collect(), ..Uniques::default() };
    for row in about(link, &select, schema, table).await? {
        for (at, names) in [&mut uniques.referring, &mut uniques.referred].into_iter().enumerate() {
            if row.bytes(at)?.is_some() {
                names.insert(row.text(at)?.to_owned());
            }
        }
    }
    Ok(uniques)
}
