//! The types that a store knows.

use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable};

use crate::sql::driver::{Database, Link, Row as _};
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::statement::Sql;

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<u64, Type>;

/// The types as they were prepared last.
pub(crate) async fn load<D: Database>(database: &D, link: &mut D::Link) -> Run<Vec<Type>> {
    let stored = stored_types(database, link).await?;
    let mut kinds = Vec::with_capacity(stored.len());
    for (n, stored) in stored {
        let found = database.columns(link, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, link.dialect()));
    }
    Ok(kinds)
}

/// The types as they are noted; none in a database that nothing was prepared in.
pub(crate) async fn stored_types<D: Database>(
    database: &D,
    link: &mut D::Link,
) -> Run<Vec<(u64, NotedType)>> {
    if !database.is_there(link, "fastsync_types").await? {
        return Ok(Vec::new());
    }
    let mut types = Vec::new();
    for row in Sql::new("SELECT n, body FROM fastsync_types ORDER BY n").all(link).await? {
        types.push((row.number(0)?, entry::decode_json(row.bytes(1)?.unwrap_or_default())?));
    }
    Ok(types)
}
