//! The version of the sync tables, how they are made, and the steps that bring those of an earlier version to today's.
//!
//! Tables are made and changed in the transaction of `prepare`: a step that fails, or a process that is killed, leaves the
//! version before with all that it had.

use std::pin::Pin;

use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};
use fastsync_dao_kit::sql::Run;
use sqlx::PgConnection;

use crate::sql::{Schema, number};

/// How a step is done.
pub(crate) type Upgrade =
    for<'a> fn(&'a mut PgConnection, &'a Schema) -> Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

/// The steps, each with the version that it begins with. A new version of the sync tables is a step here: `schema.sql`
/// stays as it is, and a new database goes through all steps. Types are read before they are done, so a step that changes
/// `fastsync_types` keeps it readable.
pub(crate) const UPGRADES: Upgrades<Upgrade> = Upgrades::new(&[]);

/// The tables of the first version.
const DDL: &str = include_str!("schema.sql");

/// Whether a table of the schema is there.
pub(crate) async fn is_there(connection: &mut PgConnection, schema: &Schema, table: &str) -> Run<bool> {
    let select = "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE n.nspname = ? AND c.relname = ?";
    let row = schema.sql(select).bind(schema.name()).bind(table).first(connection).await?;
    Ok(row.is_some())
}

/// The version of the sync tables; `None` if they are not there.
pub(crate) async fn version(connection: &mut PgConnection, schema: &Schema) -> Run<Option<u32>> {
    if !is_there(connection, schema, "fastsync_meta").await? {
        return Ok(None);
    }
    let sql = schema.sql("SELECT value FROM @meta WHERE name = 'schema_version'");
    let Some(row) = sql.first(connection).await? else { return Ok(None) };
    // A number that does not fit is later than every version that we know.
    Ok(Some(u32::try_from(number(&row, 0)?).unwrap_or(u32::MAX)))
}

/// Makes the sync tables where they are not there, and does the steps that are due. The caller has the lock.
pub(crate) async fn upgrade(
    connection: &mut PgConnection,
    schema: &Schema,
    upgrades: Upgrades<Upgrade>,
) -> Run<()> {
    let found = version(connection, schema).await?;
    if found.is_none() {
        let name = schema.name();
        let select = schema.sql("SELECT 1 FROM pg_namespace WHERE nspname = ?").bind(name);
        if select.first(connection).await?.is_none() {
            schema.run(connection, &format!("CREATE SCHEMA \"{name}\"")).await?;
        }
        schema.run(connection, &DDL.replace("{schema}", &format!("\"{name}\"."))).await?;
    }
    for step in upgrades.due(found.unwrap_or(FIRST_VERSION))? {
        (step.action)(connection, schema).await?;
        let update = schema.sql("UPDATE @meta SET value = ? WHERE name = 'schema_version'");
        update.bind(u64::from(step.to())).execute(connection).await?;
    }
    Ok(())
}
