//! The sync tables: how they are made, and the steps that bring those of an earlier version to today's.

use fastsync_core::ErrorKind;
use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};

use crate::connection::Store;
use crate::error::{Fail, Run};

/// How a step is done. All that are due are in one transaction with the version that they lead to.
pub(crate) type Upgrade = fn(&Store) -> Run<()>;

/// The steps, each with the version that it begins with. A new version of the sync tables is a step here: `schema.sql`
/// stays as it is, and a new file goes through all steps. `plan` reads `fastsync_types` before they are done, so a step
/// that changes that table keeps it readable.
pub(crate) const UPGRADES: Upgrades<Upgrade> = Upgrades::new(&[]);

/// The tables of the first version.
const DDL: &str = include_str!("schema.sql");

/// Makes the sync tables if they are not there, and refuses those of a later version; gives the version that they have.
pub(crate) fn set_up(store: &Store, upgrades: Upgrades<Upgrade>) -> Run<u32> {
    if version(store)?.is_none() {
        store.write(|store| {
            // Another process may have made them meanwhile.
            if version(store)?.is_none() {
                store.connection.execute_batch(DDL)?;
                upgrade(store, upgrades)?;
            }
            Ok(())
        })?;
    }
    let found = found(store)?;
    upgrades.due(found)?;
    Ok(found)
}

/// Does the steps that are due, within a transaction of the caller's.
pub(crate) fn upgrade(store: &Store, upgrades: Upgrades<Upgrade>) -> Run<()> {
    let due = upgrades.due(found(store)?)?;
    for step in due {
        (step.action)(store)?;
    }
    if let Some(last) = due.last() {
        let update = "UPDATE fastsync_meta SET value = ?1 WHERE key = 'schema_version'";
        store.run(update, [last.to()])?;
    }
    Ok(())
}

/// The version of the sync tables, which are there.
pub(crate) fn found(store: &Store) -> Run<u32> {
    // A table of this name without a version is not ours to touch.
    version(store)?.flatten().ok_or_else(|| {
        Fail::new(
            ErrorKind::Config,
            "open",
            "table fastsync_meta is not one of this library: it has no version",
        )
    })
}

/// `None` if there are no sync tables, `Some(None)` if they have no version.
fn version(store: &Store) -> Run<Option<Option<u32>>> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'fastsync_meta'";
    if store.one(exists, [], |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let select = "SELECT value FROM fastsync_meta WHERE key = 'schema_version'";
    Ok(Some(store.one(select, [], |row| row.get(0))?.filter(|version| *version >= FIRST_VERSION)))
}
