//! Creating the tables of types, and adopting tables that are there already.

use fastsync_core::TypeSchema;
use fastsync_core::source::rules;
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{PlannedChange, entry};
use fastsync_dao_kit::sql::{Decided, Decision};

use crate::alter::{self, may_be_refused};
use crate::catalog;
use crate::connection::Store;
use crate::dialect::{SQLITE, spelled};
use crate::error::Run;
use crate::registry::{Type, stored_types};
use crate::schema::{self, Upgrade};

/// Creates or verifies the tables of these types; gives them with their numbers, and what was changed.
pub(crate) fn prepare(
    store: &Store,
    upgrades: Upgrades<Upgrade>,
    types: &[TypeSchema],
) -> Run<(Vec<Type>, Vec<PlannedChange>)> {
    store.write(|store| {
        let mut changes = upgrades.planned(schema::found(store)?)?;
        let decided = decide(store, types)?;
        schema::upgrade(store, upgrades)?;
        decided.iter().for_each(|decided| decided.add_to(&mut changes));
        let types = decided.into_iter().map(|decided| note(store, decided)).collect::<Run<_>>()?;
        Ok((types, changes))
    })
}

/// What [`prepare`] would do.
pub(crate) fn plan(
    store: &Store,
    upgrades: Upgrades<Upgrade>,
    types: &[TypeSchema],
) -> Run<Vec<PlannedChange>> {
    let (planned, is_uncertain) = store.read(|store| {
        let mut planned = upgrades.planned(schema::found(store)?)?;
        let mut is_uncertain = false;
        for decided in decide(store, types)? {
            is_uncertain |= decided.steps.iter().any(may_be_refused);
            decided.add_to(&mut planned);
        }
        Ok((planned, is_uncertain))
    })?;
    if is_uncertain {
        // What refuses such a step only shows when it is tried.
        store.begin("BEGIN IMMEDIATE")?;
        let tried = decide(store, types)
            .and_then(|decided| decided.iter().try_for_each(|decided| carry_out(store, decided)));
        store.roll_back();
        tried?;
    }
    Ok(planned)
}

/// What preparing these types comes to, parents first. Nothing is changed.
fn decide(store: &Store, types: &[TypeSchema]) -> Run<Vec<Decided<i64>>> {
    let mut tables = Vec::with_capacity(types.len());
    for schema in rules::in_order(types)? {
        tables.push((schema, catalog::table(store, schema.name())?));
    }
    let mut decision = Decision::new(&SQLITE, &stored_types(store)?, tables);
    while let Some(question) = decision.question() {
        decision.answer(store.one(&spelled(question), [], |_| Ok(()))?.is_some());
    }
    let unnoticed = catalog::unnoticed(store, &decision.names())?;
    Ok(decision.end(unnoticed)?)
}

fn carry_out(store: &Store, Decided { stored, steps, .. }: &Decided<i64>) -> Run<()> {
    steps.iter().try_for_each(|step| alter::carry_out(store, &stored.schema, step))
}

/// Carries out what a type needs, and notes it.
fn note(store: &Store, decided: Decided<i64>) -> Run<Type> {
    carry_out(store, &decided)?;
    let Decided { n, stored, noted, .. } = decided;
    let name = stored.schema.name().as_str();
    let n = match n {
        Some(n) if noted.is_empty() => n,
        Some(n) => {
            let update = "UPDATE fastsync_types SET schema = ?2 WHERE n = ?1";
            store.run(update, (n, entry::encode_json(&stored)?))?;
            n
        }
        None => {
            let insert = "INSERT INTO fastsync_types (name, schema) VALUES (?1, ?2)";
            store.run(insert, (name, entry::encode_json(&stored)?))?;
            store.connection.last_insert_rowid()
        }
    };
    let found = catalog::columns(store, name)?;
    Ok(Type::new(n, stored.schema, &found))
}
