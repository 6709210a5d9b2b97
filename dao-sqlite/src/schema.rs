//! The sync tables and their version.

use fastsync_core::ErrorKind;
use rusqlite::OptionalExtension;

use crate::connection::Store;
use crate::error::{Fail, Run};

/// The version of the sync tables that this crate writes.
pub(crate) const VERSION: i64 = 1;

const DDL: &str = include_str!("schema.sql");

/// Makes the sync tables if they are not there, and refuses those of a later version.
pub(crate) fn set_up(store: &Store) -> Run<()> {
    if version(store)?.is_none() {
        store.write(|store| {
            // Another process may have made them meanwhile.
            if version(store)?.is_none() {
                store.connection.execute_batch(DDL)?;
            }
            Ok(())
        })?;
    }
    match version(store)? {
        Some(VERSION) => Ok(()),
        found => {
            let found = found.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
            let message = format!("the sync tables have {found}; this program knows version {VERSION}");
            Err(Fail::new(ErrorKind::Config, "open", message))
        }
    }
}

fn version(store: &Store) -> Run<Option<i64>> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'fastsync_meta'";
    if store.connection.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let select = "SELECT value FROM fastsync_meta WHERE key = 'schema_version'";
    let version = store.connection.query_row(select, [], |row| row.get(0)).optional()?;
    // A table of this name without a version is not ours to touch.
    Ok(Some(version.unwrap_or(0)))
}
