//! Which writes broke a foreign key. It is checked at the end of a commit, so SQLite does not say.

use std::collections::{BTreeMap, HashSet};

use fastsync_core::source::Conflict;
use rusqlite::OptionalExtension;

use crate::commit::Refused;
use crate::connection::Store;
use crate::error::Run;
use crate::plan::{At, Plan};
use crate::registry::quoted;

/// The writes that are to blame for the broken foreign keys of the open transaction; `None` if it is none of them.
///
/// The written children whose parent is not there; if there are none, the deletions from the parent tables.
pub(crate) fn violators(
    store: &Store,
    plan: &mut Plan,
    text: &str,
    left_out: &BTreeMap<At, String>,
) -> Run<Option<Vec<Refused>>> {
    let (mut orphans, mut parents) = (HashSet::new(), HashSet::new());
    let mut statement = store.connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        if let Some(id) = row_id(store, &table, row.get(1)?)? {
            orphans.insert((table, id));
        }
        parents.insert(parent.to_ascii_lowercase());
        if orphans.len() >= Conflict::MAX_PER_OUTCOME {
            break;
        }
    }
    drop(rows);
    let mut children = Vec::new();
    let mut deletions = Vec::new();
    plan.each(store, None, &mut |kind, placed| {
        let table = kind.schema.name().as_str();
        for &(at, write) in placed.iter().filter(|(at, _)| !left_out.contains_key(at)) {
            if write.is_deletion() {
                if parents.contains(&table.to_ascii_lowercase())
                    && deletions.len() < Conflict::MAX_PER_OUTCOME
                {
                    deletions.push((at, write.clone(), text.to_owned()));
                }
            } else if orphans.contains(&(table.to_owned(), write.action.key().id.as_str().to_owned())) {
                children.push((at, write.clone(), text.to_owned()));
            }
        }
        Ok(children.len() < Conflict::MAX_PER_OUTCOME)
    })?;
    let refused = if children.is_empty() { deletions } else { children };
    Ok(Some(refused).filter(|refused| !refused.is_empty()))
}

/// The id of a row of a prepared type.
fn row_id(store: &Store, table: &str, row: Option<i64>) -> Run<Option<String>> {
    let Ok(name) = fastsync_core::TypeName::new(table) else { return Ok(None) };
    let (Ok(kind), Some(row)) = (store.kind(&name), row) else { return Ok(None) };
    let sql = format!(
        "SELECT {} FROM {} WHERE rowid = ?1",
        quoted(kind.schema.id_field()),
        quoted(kind.schema.name())
    );
    Ok(store.connection.query_row(&sql, [row], |row| row.get(0)).optional()?)
}
