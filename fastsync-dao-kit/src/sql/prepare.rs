//! Creating the tables of types, and adopting tables that are there already.
//!
//! Everything is checked before anything is changed, and each step can be repeated: a `prepare` that was ended in the
//! middle goes on when it is called again.

use fastsync_core::TypeSchema;
use fastsync_core::source::rules::{self, NotedType};
use fastsync_core::source::upgrade::FIRST_VERSION;
use fastsync_core::source::{PlannedChange, entry};

use crate::sql::decide::{Decided, Decision};
use crate::sql::driver::{Database, Link};
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::registry::stored_types;
use crate::sql::statement::{Name, Sql};
use crate::sql::store::Store;
use crate::sql::upgrade::{upgrade, version};

/// Creates or verifies the tables of these types; gives what was changed.
pub(crate) async fn prepare<D: Database>(store: &Store<D>, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    // Releasing it gives the lock up, whatever happens.
    let mut link = store.database.alone().await?;
    let result = locked(store, &mut link, types).await;
    let released = link.release(result.is_ok()).await;
    let (kinds, changes) = result?;
    released?;
    store.note_kinds(kinds);
    Ok(changes)
}

async fn locked<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    types: &[TypeSchema],
) -> Run<(Vec<Type>, Vec<PlannedChange>)> {
    let database = &store.database;
    let (decided, changes) = planned(store, link, types).await?;
    upgrade(database, link, store.upgrades).await?;
    let mut kinds = Vec::with_capacity(decided.len());
    for Decided { n, stored, noted, steps } in decided {
        for step in steps {
            let mut sql = Sql::new(step.text);
            sql.add_all(step.values.iter().map(|(kind, value)| (*kind, value)));
            sql.execute(link).await?;
        }
        let n = match n {
            Some(n) if noted.is_empty() => n,
            n => note(link, n, &stored).await?,
        };
        let found = database.columns(link, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, link.dialect()));
    }
    Ok((kinds, changes))
}

/// What [`prepare`] would do.
pub(crate) async fn plan<D: Database>(store: &Store<D>, types: &[TypeSchema]) -> Run<Vec<PlannedChange>> {
    Ok(planned(store, &mut store.database.link().await?, types).await?.1)
}

/// What preparing these types comes to, and what that changes.
async fn planned<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    types: &[TypeSchema],
) -> Run<(Vec<Decided<u64>>, Vec<PlannedChange>)> {
    let found = version(&store.database, link).await?;
    let mut planned = store.upgrades.planned(found.unwrap_or(FIRST_VERSION))?;
    if found.is_none() {
        planned.insert(0, PlannedChange::MakeSyncTables);
    }
    let decided = decide(&store.database, link, types).await?;
    decided.iter().for_each(|decided| decided.add_to(&mut planned));
    Ok((decided, planned))
}

/// What preparing these types comes to, parents first. Nothing is changed.
async fn decide<D: Database>(
    database: &D,
    link: &mut D::Link,
    types: &[TypeSchema],
) -> Run<Vec<Decided<u64>>> {
    let known = stored_types(database, link).await?;
    let mut tables = Vec::with_capacity(types.len());
    for schema in rules::in_order(types)? {
        tables.push((schema, database.table(link, schema.name()).await?));
    }
    let mut decision = Decision::new(link.dialect(), &known, tables);
    while let Some(question) = decision.question() {
        decision.answer(Sql::new(question).first(link).await?.is_some());
    }
    let unnoticed = database.unnoticed(link, &decision.names()).await?;
    Ok(decision.end(unnoticed)?)
}

/// Notes a type as it is prepared now; gives its number.
async fn note<L: Link>(link: &mut L, n: Option<u64>, stored: &NotedType) -> Run<u64> {
    let body = entry::encode_json(stored)?;
    let body = Name(&body);
    if let Some(n) = n {
        let update = "UPDATE fastsync_types SET body = ? WHERE n = ?";
        Sql::new(update).bind(body).bind(n).execute(link).await?;
        return Ok(n);
    }
    let insert =
        "INSERT INTO fastsync_types (name, body) VALUES (?, ?)".to_owned() + &link.dialect().giving("n");
    let name = Name(stored.schema.name().as_str());
    Sql::new(insert).bind(name).bind(body).number(link).await
}
