//! Creating the tables of types, and adopting tables that are there already.

use fastsync_core::source::rules::{self, NotedType, Registered};
use fastsync_core::source::upgrade::Upgrades;
use fastsync_core::source::{PlannedChange, entry};
use fastsync_core::{TypeSchema, ZoneRestriction};
use rusqlite::OptionalExtension;

use crate::adopt::adopt;
use crate::connection::Store;
use crate::error::Run;
use crate::registry::{Type, quoted, stored_types};
use crate::schema::{self, Upgrade};
use crate::step::{Step, column};
use crate::unnoticed::unnoticed;

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
    /// Adds what is changed for it.
    fn add_to(&self, changes: &mut Vec<PlannedChange>) {
        PlannedChange::add(changes, self.noted.iter().cloned());
        PlannedChange::add(changes, self.steps.iter().map(|step| step.change.clone()));
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
        let types = decided.into_iter().map(|decided| carry_out(store, decided)).collect::<Run<_>>()?;
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
            is_uncertain |= decided.steps.iter().any(Step::may_be_refused);
            decided.add_to(&mut planned);
        }
        Ok((planned, is_uncertain))
    })?;
    if is_uncertain {
        // What refuses such a step only shows when it is tried.
        store.begin("BEGIN IMMEDIATE")?;
        let tried = decide(store, types).and_then(|decided| {
            decided.iter().flat_map(|decided| &decided.steps).try_for_each(|step| step.run(store))
        });
        store.roll_back();
        tried?;
    }
    Ok(planned)
}

/// What preparing these types comes to, parents first. Nothing is changed.
fn decide(store: &Store, types: &[TypeSchema]) -> Run<Vec<Decided>> {
    let known = stored_types(&store.connection)?;
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
    unnoticed(store, &names.collect(), &mut problems)?;
    rules::refuse(&problems)?;
    Ok(all)
}

fn carry_out(store: &Store, decided: Decided) -> Run<Type> {
    let Decided { n, stored, noted, steps } = decided;
    let n = match n {
        Some(n) if noted.is_empty() => n,
        Some(n) => {
            let update = "UPDATE fastsync_types SET schema = ?2 WHERE n = ?1";
            store.connection.prepare_cached(update)?.execute((n, entry::encode_json(&stored)?))?;
            n
        }
        None => {
            let insert = "INSERT INTO fastsync_types (name, schema) VALUES (?1, ?2)";
            let row = (stored.schema.name().as_str(), entry::encode_json(&stored)?);
            store.connection.prepare_cached(insert)?.execute(row)?;
            store.connection.last_insert_rowid()
        }
    };
    steps.iter().try_for_each(|step| step.run(store))?;
    Ok(Type::new(n, stored.schema))
}

/// Decides what brings the user's table to what the type needs.
fn table(
    store: &Store,
    earlier: Option<&NotedType>,
    decided: &mut Decided,
    problems: &mut Vec<String>,
) -> Run<()> {
    let schema = &decided.stored.schema;
    let type_name = || schema.name().clone();
    let name = schema.name().as_str();
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        problems.push(format!("type {name}: SQLite keeps names that begin with `sqlite_` for itself"));
        return Ok(());
    }
    let select = "SELECT type, name FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'";
    let mut statement = store.connection.prepare_cached(select)?;
    let found: Option<(String, String)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => {
            let change = PlannedChange::MakeTable { type_name: type_name() };
            decided.steps = vec![Step::statement(change, create(schema))];
        }
        Some((kind, found)) if kind != "table" => {
            problems
                .push(format!("type {name}: the database has another thing of this name ({kind} {found})"));
        }
        Some((_, found)) if found != name => {
            problems.push(format!("type {name}: the table is called {found}"));
        }
        Some(_) => {
            if earlier.is_none() {
                decided.noted.push(PlannedChange::AdoptTable { type_name: type_name() });
            }
            decided.steps = adopt(store, earlier, schema, problems)?;
        }
    }
    Ok(())
}

fn create(schema: &TypeSchema) -> String {
    let id = quoted(schema.id_field());
    let mut parts = Vec::new();
    let restricted = schema.restriction() == ZoneRestriction::Restricted;
    if restricted {
        parts.push("zone TEXT NOT NULL".to_owned());
    }
    let key = if restricted { "" } else { " PRIMARY KEY" };
    parts.push(format!("{id} TEXT NOT NULL{key}"));
    parts.extend(schema.fields().iter().map(column));
    if restricted {
        parts.push(format!("PRIMARY KEY (zone, {id})"));
    }
    // STRICT: text that looks like a number stays text.
    format!("CREATE TABLE {} ({}) STRICT", quoted(schema.name()), parts.join(", "))
}
