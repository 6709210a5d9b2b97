//! The version of the sync tables, how they are made, and the steps that bring those of an earlier version to today's.
//!
//! MySQL commits around every change of a table, so a step is done while the lock of `prepare` is held and its version is
//! written after it. A process that is killed in the middle leaves the version before: whoever prepares next does the
//! step again, from its beginning.

use std::pin::Pin;

use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};
use sqlx::MySqlConnection;

use crate::checks::Server;
use crate::error::Run;
use crate::sql::{Sql, number, text};

/// How a step is done. It can be repeated, also where a part of it is done already: `ADD COLUMN` only if the column is not
/// there, `UPDATE` of the rows that are still as they were.
pub(crate) type Upgrade =
    for<'a> fn(&'a mut MySqlConnection, &'a Server) -> Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

/// The steps, each with the version that it begins with. A new version of the sync tables is a step here: `schema.sql`
/// stays as it is, and a new database goes through all steps. Types are read before they are done, so a step that changes
/// `fastsync_types` keeps it readable.
pub(crate) const UPGRADES: Upgrades<Upgrade> = Upgrades::new(&[]);

/// The tables of the first version.
const DDL: &str = include_str!("schema.sql");

/// The version of the sync tables; `None` if they are not there, or not all of them.
pub(crate) async fn version(connection: &mut MySqlConnection) -> Run<Option<u32>> {
    let there = "SELECT table_name FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = 'fastsync_meta'";
    let Some(row) = Sql::new(there).first(connection).await? else { return Ok(None) };
    text(&row, 0)?;
    let select = "SELECT value FROM fastsync_meta WHERE name = 'schema_version'";
    let Some(row) = Sql::new(select).first(connection).await? else { return Ok(None) };
    // A number that does not fit is later than every version that we know.
    Ok(Some(u32::try_from(number(&row, 0)?).unwrap_or(u32::MAX)))
}

/// Makes the sync tables where they are not there, and does the steps that are due. The caller has the lock.
pub(crate) async fn upgrade(
    connection: &mut MySqlConnection,
    server: &Server,
    upgrades: Upgrades<Upgrade>,
) -> Run<()> {
    let mut found = version(connection).await?;
    if found.is_none() {
        // The version is the last of it: a `prepare` that was ended on the way begins again here.
        let options = server.dialect.table_options();
        for statement in statements() {
            Sql::new(statement.replace("{table}", &options)).execute(connection).await?;
        }
        found = version(connection).await?;
    }
    for step in upgrades.due(found.unwrap_or(FIRST_VERSION))? {
        (step.action)(connection, server).await?;
        let update = "UPDATE fastsync_meta SET value = ? WHERE name = 'schema_version'";
        Sql::new(update).bind(step.to()).execute(connection).await?;
    }
    Ok(())
}

/// The statements of the sync tables, without their comments.
fn statements() -> Vec<String> {
    let lines: Vec<_> = DDL.lines().filter(|line| !line.starts_with("--")).collect();
    let text = lines.join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
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
