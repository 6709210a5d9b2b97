//! Creating or adopting the collections of types.

use std::collections::{HashMap, HashSet};

use fastsync_core::TypeSchema;
use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::{self, NotedType, Registered};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::results::CollectionType;

use crate::codec::bson;
use crate::error::Run;
use crate::registry::{StoredType, Type, replace_types, stored_types};
use crate::store::Store;
use crate::upgrade::{create, found, upgrade};

/// What preparing types comes to.
struct Decided {
    /// The types as they are noted then, and how often they were changed until now.
    types: Vec<StoredType>,
    changes: i64,
    /// Why the note of the types changes; empty if it stays.
    noted: Vec<PlannedChange>,
    steps: Vec<Step>,
    prepared: Vec<Type>,
}

impl Decided {
    /// Adds what is changed.
    fn add_to(&self, changes: &mut Vec<PlannedChange>) {
        PlannedChange::add(changes, self.noted.iter().cloned());
        PlannedChange::add(changes, self.steps.iter().map(|step| step.change.clone()));
    }
}

/// What is done to the collection of a type, and what it changes. It can be repeated.
struct Step {
    change: PlannedChange,
    collection: String,
    action: Action,
}

enum Action {
    Create,
    /// Which documents, and what becomes of them.
    Update(Document, Document),
}

/// Creates or verifies the collections of these types; gives them with their numbers.
pub(crate) async fn prepare(store: &Store, types: &[TypeSchema]) -> Run<(Vec<Type>, Vec<PlannedChange>)> {
    let mut changes = store.upgrades.planned(found(&store.database).await?)?;
    loop {
        let decided = decide(store, types).await?;
        // What is refused is refused before anything is changed.
        upgrade(&store.database, &store.upgrades).await?;
        for step in &decided.steps {
            step.run(store).await?;
        }
        // Nothing is noted before all is done.
        if decided.noted.is_empty() || replace_types(&store.database, &decided.types, decided.changes).await?
        {
            decided.add_to(&mut changes);
            return Ok((decided.prepared, changes));
        }
        // Another process prepared types meanwhile.
    }
}

/// What [`prepare`] would do.
pub(crate) async fn plan(store: &Store, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    let mut planned = store.upgrades.planned(found(&store.database).await?)?;
    let decided = decide(store, types).await?;
    decided.add_to(&mut planned);
    Ok(planned)
}

/// Parents first. Nothing is changed.
async fn decide(store: &Store, types: &[TypeSchema]) -> Run<Decided> {
    let sorted = rules::in_order(types)?;
    let (before, changes) = stored_types(&store.database).await?;
    let known: Vec<_> = before.iter().map(|stored| (stored.n, stored.noted.clone())).collect();
    let mut new: Vec<NotedType> = Vec::new();
    let mut decided = Decided {
        types: before,
        changes,
        noted: Vec::new(),
        steps: Vec::new(),
        prepared: Vec::with_capacity(sorted.len()),
    };
    let mut problems = Vec::new();
    for schema in &sorted {
        let name = schema.name();
        if name.as_str().eq_ignore_ascii_case("system") {
            problems.push(format!("type {name}: MongoDB keeps this name for itself"));
        }
        let Registered { number, noted, changes, .. } = Registered::new(&known, &new, schema, &mut problems);
        decided.noted.extend(changes);
        let next = known.len().saturating_add(new.len());
        let n = number.unwrap_or(i32::try_from(next).unwrap_or(i32::MAX));
        decided.prepared.push(Type::new(n, (*schema).clone()));
        match decided.types.iter_mut().find(|stored| stored.n == n) {
            Some(stored) => stored.noted = noted,
            None => {
                decided.types.push(StoredType { n, noted: noted.clone() });
                new.push(noted);
            }
        }
    }
    let there = check_collections(store, &sorted, &mut problems).await?;
    rules::refuse(&problems)?;
    for schema in &sorted {
        let known = known.iter().map(|(_, noted)| noted).find(|noted| noted.schema.name() == schema.name());
        let type_name = schema.name().clone();
        if !there.contains(schema.name().as_str()) {
            let collection = schema.name().to_string();
            let change = PlannedChange::MakeTable { type_name };
            decided.steps.push(Step { change, collection, action: Action::Create });
        } else if known.is_none() {
            decided.noted.push(PlannedChange::AdoptTable { type_name });
        }
        if let Some(known) = known {
            fill(schema, known, &mut decided.steps)?;
        }
    }
    Ok(decided)
}

impl Step {
    async fn run(&self, store: &Store) -> Run<()> {
        match &self.action {
            Action::Create => create(&store.database, &self.collection).await?,
            Action::Update(selected, update) => {
                let collection = store.collection(&self.collection);
                collection.update_many(selected.clone(), update.clone()).await?;
            }
        }
        Ok(())
    }
}

/// Refuses what is there under the name of a type and is no plain collection that compares by bytes; gives the names of
/// what is there.
async fn check_collections(
    store: &Store,
    types: &[&TypeSchema],
    problems: &mut Vec<String>,
) -> Run<HashSet<String>> {
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
    Ok(found.into_keys().map(str::to_owned).collect())
}

/// Gives the objects that are there the fields that they lack, so that queries see them as reads do.
fn fill(schema: &TypeSchema, known: &NotedType, steps: &mut Vec<Step>) -> Run<()> {
    for field in schema.fields() {
        let name = field.name.as_str();
        let mut add = |change, selected: Document, update| {
            let mut of_ours = doc! { "_id.zone": { "$exists": true } };
            of_ours.extend(selected);
            let action = Action::Update(of_ours, update);
            steps.push(Step { change, collection: schema.name().to_string(), action });
        };
        let type_name = || schema.name().clone();
        let is_missing = || doc! { name: { "$exists": false } };
        let stored = known.schema.continued(&known.dropped, field);
        if let Some(stored) = stored.filter(|stored| stored.name != field.name) {
            let (from, to) = (stored.name.clone(), field.name.clone());
            let stored = stored.name.as_str();
            let selected = doc! { stored: { "$exists": true }, name: { "$exists": false } };
            let change = PlannedChange::RenameField { type_name: type_name(), from, to };
            add(change, selected, doc! { "$rename": { stored: name } });
        }
        let earlier = stored.filter(|stored| known.schema.position_of(&stored.name).is_some());
        let field_name = field.name.clone();
        let fills = PlannedChange::FillField { type_name: type_name(), field: field_name.clone() };
        let (change, without, value) = match earlier {
            // What is not there is null, too.
            _ if known.schema.lacks(&known.dropped, field) && !field.nullable => {
                (fills, doc! { name: null }, field.initial())
            }
            None if field.default.is_some() => {
                let adds = PlannedChange::AddField { type_name: type_name(), field: field_name };
                (adds, is_missing(), field.initial())
            }
            // Objects without the field keep what it was until now.
            Some(earlier) if earlier.has_initial() && earlier.initial() != field.initial() => {
                (fills, is_missing(), earlier.initial())
            }
            _ => continue,
        };
        add(change, without, doc! { "$set": { name: bson(&value)? } });
    }
    Ok(())
}
