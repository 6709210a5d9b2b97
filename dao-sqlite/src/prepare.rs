//! Creating the tables of types, and adopting tables that are there already.

use fastsync_core::TypeSchema;
use fastsync_core::source::rules::{self, NotedType, Registered};
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{PlannedChange, entry};
use fastsync_dao_kit::sql::{Finding, Found, Step, adopt, quoted};

use crate::alter::{carry_out, may_be_refused};
use crate::catalog;
use crate::connection::Store;
use crate::dialect::{SQLITE, spelled};
use crate::error::Run;
use crate::registry::{Type, stored_types};
use crate::schema::{self, Upgrade};

/// What one type needs: how it is noted, and the steps that its table goes through.
struct Decided {
    /// Its number, if it is known.
    n: Option<i64>,
    stored: NotedType,
    /// Why the note of the type changes; empty if it stays.
    noted: Vec<PlannedChange>,
    steps: Vec<Step>,
}

impl Decided {
    fn run(&self, store: &Store) -> Run<()> {
        self.steps.iter().try_for_each(|step| carry_out(store, &self.stored.schema, step))
    }

    /// Adds what is changed for it.
    fn add_to(&self, changes: &mut Vec<PlannedChange>) {
        PlannedChange::add(changes, self.noted.iter().cloned());
        PlannedChange::add(changes, self.steps.iter().flat_map(|step| step.changes.clone()));
    }
}

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
            .and_then(|decided| decided.iter().try_for_each(|decided| decided.run(store)));
        store.roll_back();
        tried?;
    }
    Ok(planned)
}

/// What preparing these types comes to, parents first. Nothing is changed.
fn decide(store: &Store, types: &[TypeSchema]) -> Run<Vec<Decided>> {
    let known = stored_types(store)?;
    let mut problems = Vec::new();
    let mut all: Vec<Decided> = Vec::with_capacity(types.len());
    for schema in rules::in_order(types)? {
        let before = problems.len();
        let new = all.iter().map(|decided| &decided.stored);
        let Registered { number: n, before: earlier, noted: stored, changes: noted } =
            Registered::new(&known, new, schema, &mut problems);
        let decided = Decided { n, stored, noted, steps: Vec::new() };
        all.push(decided);
        if let Some(decided) = all.last_mut().filter(|_| problems.len() == before) {
            table(store, earlier, decided, &mut problems)?;
        }
    }
    let noted = known.iter().map(|(_, stored)| stored);
    let names =
        noted.chain(all.iter().map(|decided| &decided.stored)).map(|stored| stored.schema.name().as_str());
    problems.extend(catalog::unnoticed(store, &names.collect())?);
    rules::refuse(&problems)?;
    Ok(all)
}

fn note(store: &Store, decided: Decided) -> Run<Type> {
    decided.run(store)?;
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

/// Decides what brings the user's table to what the type needs.
fn table(
    store: &Store,
    earlier: Option<&NotedType>,
    decided: &mut Decided,
    problems: &mut Vec<String>,
) -> Run<()> {
    let schema = &decided.stored.schema;
    let Some(table) = catalog::table(store, schema.name())? else {
        decided.steps = vec![Step::create(&SQLITE, schema)];
        return Ok(());
    };
    if let Some(problem) = table.problem {
        problems.push(problem);
        return Ok(());
    }
    if earlier.is_none() {
        decided.noted.push(PlannedChange::AdoptTable { type_name: schema.name().clone() });
    }
    for Found { only_if, finding } in adopt(&SQLITE, earlier, &decided.stored, table.columns) {
        if let Some(condition) = only_if {
            let rows = format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", quoted(schema.name()));
            if store.one(&spelled(rows), [], |_| Ok(()))?.is_none() {
                continue;
            }
        }
        match finding {
            Finding::Problem(problem) => problems.push(problem),
            Finding::Step(step) => decided.steps.push(step),
        }
    }
    Ok(())
}
