//! What preparing types comes to: no input and no output.

use std::collections::{BTreeSet, VecDeque};

use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::{NotedType, Registered, refuse};
use fastsync_core::{Result, TypeSchema};

use crate::sql::adopt::{Finding, Found, adopt};
use crate::sql::ddl::Step;
use crate::sql::dialect::Dialect;
use crate::sql::driver::Table;

/// What one type needs: how it is noted, and the steps that its table goes through.
#[derive(Debug)]
pub struct Decided<N> {
    /// Its number, if it is known.
    pub n: Option<N>,
    /// How it is noted.
    pub stored: NotedType,
    /// Why the note of the type changes; empty if it stays.
    pub noted: Vec<PlannedChange>,
    /// What its table goes through, in order.
    pub steps: Vec<Step>,
}

impl<N> Decided<N> {
    /// Adds what is changed for it.
    pub fn add_to(&self, changes: &mut Vec<PlannedChange>) {
        PlannedChange::add(changes, self.noted.iter().cloned());
        PlannedChange::add(changes, self.steps.iter().flat_map(|step| step.changes.iter().cloned()));
    }
}

/// What preparing types comes to, while the data source answers [questions](Self::question) about
/// rows.
#[derive(Debug)]
pub struct Decision<N> {
    dialect: &'static Dialect,
    known: BTreeSet<String>,
    all: Vec<Decided<N>>,
    /// What was found and is not decided yet, with the place of its type.
    open: VecDeque<(usize, Found)>,
    problems: Vec<String>,
}

impl<N: Copy> Decision<N> {
    /// `known`: the types that are noted, with their numbers. `types`: those to prepare, [in
    /// order](fastsync_core::source::rules::in_order), each with its table, if that is there.
    #[must_use]
    pub fn new(
        dialect: &'static Dialect,
        known: &[(N, NotedType)],
        types: Vec<(&TypeSchema, Option<Table>)>,
    ) -> Self {
        let names = known.iter().map(|(_, stored)| stored.schema.name().to_string()).collect();
        let (all, open) = (Vec::with_capacity(types.len()), VecDeque::new());
        let mut decision = Self { dialect, known: names, all, open, problems: Vec::new() };
        for (schema, table) in types {
            decision.add(known, schema, table);
        }
        decision
    }

    fn add(&mut self, known: &[(N, NotedType)], schema: &TypeSchema, table: Option<Table>) {
        let before = self.problems.len();
        let new = self.all.iter().map(|decided| &decided.stored);
        let Registered { number: n, before: earlier, noted: stored, changes: noted } =
            Registered::new(known, new, schema, &mut self.problems);
        let mut decided = Decided { n, stored, noted, steps: Vec::new() };
        if self.problems.len() == before {
            match table {
                None => decided.steps.push(Step::create(self.dialect, &decided.stored.schema)),
                Some(Table { problem: Some(problem), .. }) => self.problems.push(problem),
                Some(Table { columns, flaws, .. }) => {
                    self.problems.extend(flaws);
                    if earlier.is_none() {
                        let type_name = schema.name().clone();
                        decided.noted.push(PlannedChange::AdoptTable { type_name });
                    }
                    let found = adopt(self.dialect, earlier, &decided.stored, columns);
                    self.open.extend(found.into_iter().map(|found| (self.all.len(), found)));
                }
            }
        }
        self.all.push(decided);
    }

    /// A statement that [`Self::answer`] is to be told of: whether it finds a row. `None` if there is
    /// no such question left.
    pub fn question(&mut self) -> Option<String> {
        loop {
            let (at, found) = self.open.front()?;
            let Some(condition) = &found.only_if else {
                self.answer(true);
                continue;
            };
            let name = self.all.get(*at).map_or("", |decided| decided.stored.schema.name().as_str());
            return Some(format!("SELECT 1 FROM {} WHERE {condition} LIMIT 1", self.dialect.table(name)));
        }
    }

    /// Answers the last question.
    pub fn answer(&mut self, is_so: bool) {
        match self.open.pop_front().filter(|_| is_so) {
            Some((_, Found { finding: Finding::Problem(problem), .. })) => self.problems.push(problem),
            Some((at, Found { finding: Finding::Step(step), .. })) => {
                if let Some(decided) = self.all.get_mut(at) {
                    decided.steps.push(step);
                }
            }
            None => {}
        }
    }

    /// The names of all types, those that are to be prepared among them.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let new = self.all.iter().map(|decided| decided.stored.schema.name().as_str());
        self.known.iter().map(String::as_str).chain(new).collect()
    }

    /// What each type needs, in order, when no question is left. `unnoticed`: what the database would
    /// do to the tables by itself.
    ///
    /// # Errors
    /// `Config` with everything that is against it.
    pub fn end(mut self, unnoticed: Vec<String>) -> Result<Vec<Decided<N>>> {
        self.problems.extend(unnoticed);
        refuse(&self.problems)?;
        Ok(self.all)
    }
}
