//! The version of the sync collections, how they are made, and the steps that bring those of an earlier version to today's.
//!
//! A step is too large for a transaction, and there is no lock: several processes may be in it at once, and its version is
//! written after it, by whoever is first. A process that is killed in the middle leaves the version before: whoever
//! prepares next does the step again, from its beginning.

use std::pin::Pin;

use fastsync_core::ErrorKind;
use fastsync_core::source::upgrade::{FIRST_VERSION, Upgrades};
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use crate::command::{META, RECORDS, SESSIONS, STAGED, STATE, WRITERS, ZONES, whole};
use crate::error::{Fail, Run, codes};

/// How a step is done. It can be repeated, beside itself and also after it is done and others write: it selects only what
/// is still as it was.
pub(crate) type Upgrade = for<'a> fn(&'a Database) -> Pin<Box<dyn Future<Output = Run<()>> + Send + 'a>>;

/// The steps, each with the version that it begins with. A new version of the sync collections is a step here: `set_up`
/// stays as it is, and a new database goes through all steps. Types are read before they are done, so a step that changes
/// how those are stored keeps them readable.
pub(crate) const UPGRADES: Upgrades<Upgrade> = Upgrades::new(&[]);

/// How long a session of a writer is remembered: longer than the server keeps it.
const WRITERS_SECONDS: u64 = 30 * 24 * 3600;

/// Makes the sync collections of the first version if they are not there, and refuses those of a later one; gives the
/// version that they have.
pub(crate) async fn set_up(database: &Database, upgrades: &Upgrades<Upgrade>) -> Run<u32> {
    let meta = database.collection::<Document>(META);
    let version = doc! { "$setOnInsert": { "version": i64::from(FIRST_VERSION) } };
    meta.update_one(doc! { "_id": "schema" }, version).upsert(true).await?;
    let found = found(database).await?;
    upgrades.due(found)?;
    if found == FIRST_VERSION {
        // Also where a process was ended on the way. What a later version has may not go with these indexes.
        set_up_first(database).await?;
    }
    Ok(found)
}

/// Makes a collection beforehand: making it within a transaction locks more.
pub(crate) async fn create(database: &Database, name: &str) -> Run<()> {
    match database.create_collection(name).await.map_err(Fail::from) {
        Err(fail) if fail.code() == Some(codes::NAMESPACE_EXISTS) => Ok(()),
        other => other,
    }
}

/// The version of the sync collections.
pub(crate) async fn found(database: &Database) -> Run<u32> {
    let meta = database.collection::<Document>(META);
    let found = meta.find_one(doc! { "_id": "schema" }).await?.unwrap_or_default();
    whole(found.get("version")).and_then(|version| u32::try_from(version).ok()).ok_or_else(|| {
        let message = "collection fastsync_meta is not one of this library: it has no version";
        Fail::new(ErrorKind::Config, "connect", message)
    })
}

/// Does the steps that are due.
pub(crate) async fn upgrade(database: &Database, upgrades: &Upgrades<Upgrade>) -> Run<()> {
    let meta = database.collection::<Document>(META);
    while let Some(step) = upgrades.due(found(database).await?)?.first() {
        (step.action)(database).await?;
        let before = doc! { "_id": "schema", "version": i64::from(step.from) };
        let after = doc! { "$set": { "version": i64::from(step.to()) } };
        // If another process was first, this finds nothing, and its version is read next.
        meta.update_one(before, after).await?;
    }
    Ok(())
}

async fn set_up_first(database: &Database) -> Run<()> {
    for name in [ZONES, STATE, STAGED] {
        create(database, name).await?;
    }
    let index = |name: &str, keys: Document, only: Document| {
        let options = IndexOptions::builder().name(name.to_owned()).partial_filter_expression(only);
        IndexModel::builder().keys(keys).options(options.build()).build()
    };
    let some = |field: &str| doc! { field: { "$gt": 0_i64 } };
    let records = [
        index("feed", feed_index(), some("position")),
        index("pending", doc! { "change": 1, "_id.type": 1, "_id.zone": 1, "_id.id": 1 }, some("change")),
        index("tombstones", doc! { "_id.zone": 1, "position": 1 }, doc! { "deleted": true }),
    ];
    database.collection::<Document>(RECORDS).create_indexes(records).await?;
    let mut positions =
        index("positions", doc! { "positions.zone": 1, "positions.position": 1 }, some("positions.position"));
    if let Some(options) = &mut positions.options {
        // No position is ever given twice, whatever happens to the lock of a zone.
        options.unique = Some(true);
    }
    database.collection::<Document>(SESSIONS).create_index(positions).await?;
    let options = IndexOptions::builder()
        .name("seen".to_owned())
        .expire_after(std::time::Duration::from_secs(WRITERS_SECONDS))
        .build();
    let seen = IndexModel::builder().keys(doc! { "seen": 1 }).options(options).build();
    database.collection::<Document>(WRITERS).create_index(seen).await?;
    Ok(())
}

/// The order of the feed within a zone.
pub(crate) fn feed_index() -> Document {
    doc! { "_id.zone": 1, "position": 1, "_id.type": 1, "_id.id": 1 }
}
