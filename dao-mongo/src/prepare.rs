//! Creating the sync collections, and creating or adopting the collections of types.

use std::collections::HashMap;

use fastsync_core::source::entry;
use fastsync_core::{ErrorKind, TypeSchema};
use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::results::CollectionType;

use crate::codec::value_ref;
use crate::error::{Fail, Run, code, codes};
use crate::registry::{StoredType, Type};
use crate::store::{META, RECORDS, SESSIONS, STAGED, STATE, Store, WRITERS, ZONES, whole};

/// The version of the sync collections that this crate writes.
const VERSION: i64 = 1;

/// How long a session of a writer is remembered: longer than the server keeps it.
const WRITERS_SECONDS: u64 = 30 * 24 * 3600;

/// Makes the sync collections and their indexes if they are not there, and refuses those of a later version.
pub(crate) async fn set_up(store: &Store) -> Run<()> {
    let meta = store.database.collection::<Document>(META);
    let version = doc! { "$setOnInsert": { "version": VERSION } };
    meta.update_one(doc! { "_id": "schema" }, version).upsert(true).await?;
    let found = meta.find_one(doc! { "_id": "schema" }).await?.unwrap_or_default();
    let found = whole(found.get("version"));
    if found != Some(VERSION) {
        let found = found.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
        let message = format!("the sync collections have {found}; this program knows version {VERSION}");
        return Err(Fail::new(ErrorKind::Config, "connect", message));
    }
    for name in [ZONES, STATE, STAGED] {
        create(store, name).await?;
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
    store.collection(RECORDS).create_indexes(records).await?;
    let mut positions =
        index("positions", doc! { "positions.zone": 1, "positions.position": 1 }, some("positions.position"));
    if let Some(options) = &mut positions.options {
        // No position is ever given twice, whatever happens to the lock of a zone.
        options.unique = Some(true);
    }
    store.collection(SESSIONS).create_index(positions).await?;
    let options = IndexOptions::builder()
        .name("seen".to_owned())
        .expire_after(std::time::Duration::from_secs(WRITERS_SECONDS))
        .build();
    let seen = IndexModel::builder().keys(doc! { "seen": 1 }).options(options).build();
    store.collection(WRITERS).create_index(seen).await?;
    Ok(())
}

/// The order of the feed within a zone.
pub(crate) fn feed_index() -> Document {
    doc! { "_id.zone": 1, "position": 1, "_id.type": 1, "_id.id": 1 }
}

/// Makes a collection beforehand: making it within a transaction locks more.
async fn create(store: &Store, name: &str) -> Run<()> {
    match store.database.create_collection(name).await {
        Err(error) if code(&error) != Some(codes::NAMESPACE_EXISTS) => Err(error.into()),
        _ => Ok(()),
    }
}

/// The types that were prepared, by number, and how often they were changed.
pub(crate) async fn stored_types(store: &Store) -> Run<(Vec<StoredType>, i64)> {
    let found = store.database.collection::<Document>(META).find_one(doc! { "_id": "types" }).await?;
    let Some(found) = found else { return Ok((Vec::new(), 0)) };
    let types = found.get_array("types").map_err(|_| unreadable())?;
    let read = |stored: &Bson| -> Run<StoredType> {
        Ok(entry::decode_json(stored.as_str().ok_or_else(unreadable)?.as_bytes())?)
    };
    let types = types.iter().map(read).collect::<Run<Vec<_>>>()?;
    Ok((types, whole(found.get("changes")).unwrap_or(0)))
}

fn unreadable() -> Fail {
    Fail::corrupt("fastsync_meta holds a type that cannot be read")
}

/// Creates or verifies the collections of these types; gives them with their numbers.
pub(crate) async fn prepare(store: &Store, types: &[TypeSchema]) -> Run<Vec<Type>> {
    let mut sorted: Vec<_> = types.iter().collect();
    // Parents get lower numbers, so that they come before their children in the feed.
    sorted.sort_by_key(|schema| (schema.priority(), schema.name()));
    loop {
        let (before, changes) = stored_types(store).await?;
        let mut after = before.clone();
        let mut problems = Vec::new();
        let mut prepared = Vec::with_capacity(sorted.len());
        for schema in &sorted {
            prepared.push(Type::new(register(&mut after, schema, &mut problems), (*schema).clone()));
        }
        check_collections(store, &sorted, &mut problems).await?;
        if !problems.is_empty() {
            return Err(Fail::new(ErrorKind::Config, "prepare", problems.join("; ")));
        }
        for schema in &sorted {
            create(store, schema.name().as_str()).await?;
            let known = before.iter().find(|stored| stored.schema.name() == schema.name());
            fill(store, schema, known).await?;
        }
        if after == before || replace(store, &after, changes).await? {
            return Ok(prepared);
        }
        // Another process prepared types meanwhile.
    }
}

/// Compares with what was prepared before, and notes the schema; gives the type's number.
fn register(known: &mut Vec<StoredType>, schema: &TypeSchema, problems: &mut Vec<String>) -> i32 {
    let name = schema.name();
    let count = i32::try_from(known.len()).unwrap_or(i32::MAX);
    let Some(stored) = known.iter_mut().find(|stored| stored.schema.name() == name) else {
        let is_alike = |other: &&StoredType| other.schema.name().as_str().eq_ignore_ascii_case(name.as_str());
        if let Some(other) = known.iter().find(is_alike) {
            problems.push(format!("type {name} differs from type {} only in case", other.schema.name()));
        }
        if name.as_str().eq_ignore_ascii_case("system") {
            problems.push(format!("type {name}: MongoDB keeps this name for itself"));
        }
        known.push(StoredType { n: count, schema: schema.clone(), dropped: Vec::new() });
        return count;
    };
    problems.extend(stored.schema.contradictions(&stored.dropped, schema));
    if stored.schema != *schema {
        stored.dropped = stored.schema.left_by(&stored.dropped, schema);
        stored.schema = schema.clone();
    }
    stored.n
}

/// Refuses what is there under the name of a type and is no plain collection that compares by bytes.
async fn check_collections(store: &Store, types: &[&TypeSchema], problems: &mut Vec<String>) -> Run<()> {
    let found: Vec<_> = store.database.list_collections().await?.try_collect().await?;
    let found: HashMap<_, _> = found.iter().map(|found| (found.name.as_str(), found)).collect();
    for name in types.iter().map(|schema| schema.name().as_str()) {
        let Some(found) = found.get(name) else { continue };
        if found.collection_type != CollectionType::Collection {
            problems.push(format!("type {name}: the database has something else of this name"));
        } else if found.options.collation.is_some() {
            problems.push(format!("collection {name} has a collation: ids would not compare by bytes"));
        } else if found.options.capped == Some(true) {
            problems.push(format!("collection {name} is capped: it would drop objects by itself"));
        }
    }
    Ok(())
}

/// Gives the objects that are there the fields that they lack, so that queries see them as reads do. Each step can be
/// repeated: nothing is noted before all are done.
async fn fill(store: &Store, schema: &TypeSchema, known: Option<&StoredType>) -> Run<()> {
    let Some(known) = known else { return Ok(()) };
    let collection = store.collection(schema.name().as_str());
    for field in schema.fields() {
        let name = field.name.as_str();
        let is_missing = || doc! { name: { "$exists": false } };
        let stored = known.schema.continued(&known.dropped, field);
        if let Some(stored) = stored.filter(|stored| stored.name != field.name) {
            let stored = stored.name.as_str();
            let selected = doc! { "_id.zone": { "$exists": true }, stored: { "$exists": true }, name: { "$exists": false } };
            collection.update_many(selected, doc! { "$rename": { stored: name } }).await?;
        }
        let earlier = stored.filter(|stored| known.schema.position_of(&stored.name).is_some());
        let (without, value) = match earlier {
            // What is not there is null, too.
            _ if known.schema.lacks(&known.dropped, field) && !field.nullable => {
                (doc! { name: null }, field.initial())
            }
            None if field.default.is_some() => (is_missing(), field.initial()),
            // Objects without the field keep what it was until now.
            Some(earlier) if earlier.has_initial() && earlier.initial() != field.initial() => {
                (is_missing(), earlier.initial())
            }
            _ => continue,
        };
        let value = Bson::try_from(value_ref(&value).to_raw_bson()).map_err(|_| unreadable())?;
        let mut selected = doc! { "_id.zone": { "$exists": true } };
        selected.extend(without);
        collection.update_many(selected, doc! { "$set": { name: value } }).await?;
    }
    Ok(())
}

/// Stores the types unless another process did so since they were read.
async fn replace(store: &Store, types: &[StoredType], changes: i64) -> Run<bool> {
    let types = types.iter().map(entry::encode_json).collect::<fastsync_core::Result<Vec<_>>>()?;
    let meta = store.database.collection::<Document>(META);
    let next = doc! { "_id": "types", "changes": changes.saturating_add(1), "types": types };
    if changes == 0 {
        return match meta.insert_one(next).await {
            Err(error) if code(&error) == Some(codes::DUPLICATE_KEY) => Ok(false),
            other => Ok(other.map(|_| true)?),
        };
    }
    let replaced = meta.replace_one(doc! { "_id": "types", "changes": changes }, next).await?;
    Ok(replaced.matched_count == 1)
}
