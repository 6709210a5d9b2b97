//! The version of the sync tables, how they are made, and the steps that bring those of an earlier
//! version to today's.
//!
//! A step is done while the lock of `prepare` is held, and its version is written after it. MySQL commits
//! around every change of a table: a process that is killed in the middle leaves the
//! version before, and whoever prepares next does the step again, from its beginning. Where tables
//! are changed in a transaction, a step that fails leaves all as it was.

use std::pin::Pin;

use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};

use crate::sql::driver::{Database, Row as _};
use crate::sql::fail::Run;
use crate::sql::statement::Sql;

/// How a step is done. It can be repeated, also where a part of it is done already: `ADD COLUMN`
/// only if the column is not there, `UPDATE` of the rows that are still as they were.
///
/// Types are read before the steps are done, so one that changes `fastsync_types` keeps it
/// readable.
pub type Upgrade<D> =
    for<'a> fn(&'a mut <D as Database>::Link, &'a D) -> Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

/// The version of the sync tables; `None` if they are not there, or not all of them.
pub(crate) async fn version<D: Database>(database: &D, link: &mut D::Link) -> Run<Option<u32>> {
    if !database.is_there(link, "fastsync_meta").await? {
        return Ok(None);
    }
    let select = "SELECT value FROM fastsync_meta WHERE name = 'schema_version'";
    let Some(row) = Sql::new(select).first(link).await? else { return Ok(None) };
    // A number that does not fit is later than every version that we know.
    Ok(Some(u32::try_from(row.number(0)?).unwrap_or(u32::MAX)))
}

/// Makes the sync tables where they are not there, and does the steps that are due. The caller has
/// the lock.
pub(crate) async fn upgrade<D: Database>(
    database: &D,
    link: &mut D::Link,
    upgrades: Upgrades<Upgrade<D>>,
) -> Run<()> {
    let mut found = version(database, link).await?;
    if found.is_none() {
        // The version is the last of it: a `prepare` that was ended on the way begins again here.
        for statement in database.sync_tables() {
            Sql::new(statement).execute(link).await?;
        }
        found = version(database, link).await?;
    }
    for step in upgrades.due(found.unwrap_or(FIRST_VERSION))? {
        (step.action)(link, database).await?;
        let update = "UPDATE fastsync_meta SET value = ? WHERE name = 'schema_version'";
        Sql::new(update).bind(step.to()).execute(link).await?;
    }
    Ok(())
}

/// The statements of a text, each of which ends with a semicolon, without the comments that are
/// lines of their own.
#[must_use]
pub fn statements(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let text = lines.join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}
