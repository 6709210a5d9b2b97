//! A table that is there already: what is missing is added, what contradicts is named.

use fastsync_core::source::PlannedChange;
use fastsync_core::source::rules::NotedType;
use fastsync_core::{FieldSchema, IdKind, TypeName, TypeSchema, ZoneRestriction};

use crate::sql::column::{Column, Holds, is_text};
use crate::sql::ddl::Step;
use crate::sql::dialect::Dialect;
use crate::sql::statement::quoted;

/// What came of comparing a table with a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// They contradict each other.
    Problem(String),
    /// What brings the table nearer to the type.
    Step(Step),
}

/// A finding, which may depend on the rows of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// A condition on rows, as the table is before all steps: the finding counts only if a row
    /// meets it.
    pub only_if: Option<String>,
    /// The finding.
    pub finding: Finding,
}

/// Compares a table with a type; gives all contradictions, and the steps in their order.
///
/// `earlier`: the type as it was prepared before; `noted`: as it is to be. `columns`: those of the table.
#[must_use]
pub fn adopt(
    dialect: &Dialect,
    earlier: Option<&NotedType>,
    noted: &NotedType,
    mut columns: Vec<Column>,
) -> Vec<Found> {
    let NotedType { schema, dropped } = noted;
    let table = schema.name();
    let mut steps = Vec::new();
    for (stored, name) in earlier.into_iter().flat_map(|earlier| earlier.renamed(schema)) {
        // It has its new name already if a `prepare` was cut off.
        if let Some(column) = columns.iter_mut().find(|column| column.name == stored.as_str()) {
            column.name = name.as_str().to_owned();
            steps.push(Found::step(Step::rename(dialect, table, stored, name)));
        }
    }
    let mut adoption =
        Adoption { dialect, table, earlier, problems: Vec::new(), alters: Vec::new(), fills: Vec::new() };
    let mut keys = vec![schema.id_field().as_str()];
    if schema.restriction() == ZoneRestriction::Restricted {
        keys.insert(0, "zone");
    }
    adoption.keys(schema, &keys, &columns);
    for field in schema.fields() {
        match columns.iter().find(|column| dialect.is_name(&column.name, field.name.as_str())) {
            Some(column) => adoption.field(field, column),
            None => adoption.missing(field),
        }
    }
    for extra in &columns {
        let fields = schema.fields().iter().map(|field| field.name.as_str());
        let is_ours = keys.iter().copied().chain(fields).any(|name| dialect.is_name(&extra.name, name));
        if !is_ours && !extra.nullable && !extra.has_default && !extra.is_generated {
            adoption.extra(extra, dropped);
        }
    }
    let Adoption { problems, alters, fills, .. } = adoption;
    let at_once = if dialect.forms.alters_together { alters.len() } else { 1 };
    for alters in alters.chunks(at_once.max(1)) {
        let (parts, changes): (Vec<_>, Vec<_>) = alters.iter().cloned().unzip();
        let changes = changes.into_iter().flatten().collect();
        steps.push(Found::step(Step::alter(dialect, table, &parts, changes)));
    }
    problems.into_iter().chain(steps).chain(fills).collect()
}

impl Found {
    const fn step(step: Step) -> Self {
        Self { only_if: None, finding: Finding::Step(step) }
    }
}

struct Adoption<'a> {
    dialect: &'a Dialect,
    table: &'a TypeName,
    earlier: Option<&'a NotedType>,
    problems: Vec<Found>,
    /// Parts of an `ALTER TABLE`, and what each changes.
    alters: Vec<(String, Option<PlannedChange>)>,
    fills: Vec<Found>,
}

impl Adoption<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(Found { only_if: None, finding: Finding::Problem(text) });
    }

    fn problem_if(&mut self, condition: String, text: String) {
        self.problems.push(Found { only_if: Some(condition), finding: Finding::Problem(text) });
    }

    /// The id and the zone are compared by bytes, and trailing spaces count.
    fn keys(&mut self, schema: &TypeSchema, keys: &[&str], columns: &[Column]) {
        let table = self.table;
        for key in keys {
            match columns.iter().find(|column| self.dialect.is_name(&column.name, key)) {
                None => self.problem(format!("table {table}: column {key} is missing")),
                Some(column) => {
                    self.key(column, (*key == schema.id_field().as_str()).then(|| schema.id_kind()))
                }
            }
        }
        let primary: Vec<_> = columns.iter().filter(|column| column.is_primary).collect();
        let is_wanted = |column: &&Column| keys.iter().any(|key| self.dialect.is_name(&column.name, key));
        if primary.len() != keys.len() || !primary.iter().all(is_wanted) {
            self.problem(format!("table {table}: the primary key is not ({})", keys.join(", ")));
        }
    }

    /// `ids`: of which kind the ids are, if it is the column of these.
    fn key(&mut self, column: &Column, ids: Option<IdKind>) {
        let table = self.table;
        let Column { name, full_type, collation, .. } = column;
        let wanted = self.dialect.collation;
        if let Some(key_type) = column.key_type {
            self.problem(format!("column {table}.{name} is {full_type}, not {key_type}"));
        } else {
            match (column.holds, ids) {
                (Holds::Text(_) | Holds::TextOrDecimal, _) if collation == wanted => {}
                (Holds::Text(_) | Holds::TextOrDecimal, _) => self.problem(format!(
                    "column {table}.{name} has collation {collation}, only {wanted} compares by bytes"
                )),
                (Holds::Uuid, Some(IdKind::Uuid)) | (Holds::Whole(_), Some(IdKind::Integer)) => {}
                // Ids of any form are allowed now.
                (_, Some(kind)) if self.earlier.is_some_and(|earlier| earlier.schema.id_kind() != kind) => {
                    self.change_type(column, &self.dialect.id_type(kind));
                }
                _ => {
                    self.problem(format!("column {table}.{name} is {full_type}, which does not fit its ids"))
                }
            }
        }
        if column.is_generated {
            self.problem(format!("column {table}.{name} is generated"));
        }
    }

    /// A column that is no field and needs a value: one of a field that is left out may be null from now on.
    fn extra(&mut self, column: &Column, dropped: &[FieldSchema]) {
        let (table, name) = (self.table, &column.name);
        let was_field = || dropped.iter().any(|field| self.dialect.is_name(name, field.name.as_str()));
        if !self.dialect.has_zeros && was_field() {
            self.alters.push((self.allowing_null(column), None));
        } else {
            self.problem(format!("column {table}.{name} is no field, and needs a value in every row"));
        }
    }

    fn allowing_null(&self, column: &Column) -> String {
        let part = self.dialect.forms.allow_null.replace("{name}", &quoted(&column.name));
        part.replace("{declared}", &column.declared)
    }

    fn change_type(&mut self, column: &Column, to: &str) {
        let part = self.dialect.forms.change_type.replace("{name}", &quoted(&column.name));
        self.alters.push((part.replace("{type}", to), None));
    }

    /// A field without a column.
    fn missing(&mut self, field: &FieldSchema) {
        let (table, name) = (self.table, &field.name);
        if !field.has_initial() {
            let problem = format!("field {table}.{name} needs a default, for the rows that are there");
            self.problem_if("TRUE".to_owned(), problem);
        }
        let change = PlannedChange::AddField { type_name: table.clone(), field: name.clone() };
        self.alters.push((format!("ADD COLUMN {}", self.dialect.column(field)), Some(change)));
    }

    fn field(&mut self, field: &FieldSchema, column: &Column) {
        self.check(field, column);
        let (table, name) = (self.table, &field.name);
        if let (Holds::Whole(held), Some(lowest)) = (column.holds, Holds::lowest(field.kind))
            && lowest < held
            && self.earlier.is_some()
            && !self.dialect.forms.change_type.is_empty()
        {
            self.change_type(column, &self.dialect.column_type(field.kind));
        }
        let lacks = |earlier: &NotedType| earlier.schema.lacks(&earlier.dropped, field);
        let is_lacking = self.earlier.is_some_and(lacks);
        // Under the name that it has until the steps are done.
        let has_nulls = || format!("{} IS NULL", quoted(&column.stored));
        let fill = || Finding::Step(Step::fill(self.dialect, table, field, column.holds));
        if field.nullable && !column.nullable {
            if self.earlier.is_none() {
                return self.problem(format!("column {table}.{name} is NOT NULL, the field may be null"));
            }
            let change = PlannedChange::AllowNull { type_name: table.clone(), field: name.clone() };
            self.alters.push((self.allowing_null(column), Some(change)));
            // What was written while the field was left out has the column's own default.
            if is_lacking && self.dialect.has_zeros && !field.has_zero() {
                self.fills.push(Found { only_if: None, finding: fill() });
            }
        } else if !field.nullable && is_lacking && self.dialect.has_zeros {
            self.fills.push(Found { only_if: None, finding: fill() });
        } else if !field.nullable && column.nullable && (is_lacking || field.default.is_some()) {
            self.fills.push(Found { only_if: Some(has_nulls()), finding: fill() });
        } else if !field.nullable && column.nullable {
            let problem = format!("column {table}.{name} holds nulls, the field always has a value");
            self.problem_if(has_nulls(), problem);
        }
    }

    fn check(&mut self, field: &FieldSchema, column: &Column) {
        let (table, name, full_type, kind) = (self.table, &field.name, &column.full_type, field.kind);
        if column.name != name.as_str() {
            self.problem(format!("column {table}.{name} is called {}", column.name));
        }
        if !column.holds.fits(kind) {
            self.problem(format!("column {table}.{name} is {full_type}, which does not fit {kind:?}"));
        } else if let Some(problem) = column.text_problem.as_ref().filter(|_| is_text(kind)) {
            self.problem(format!("column {table}.{name} {problem}"));
        }
        if field.default.as_ref().is_some_and(|default| !column.holds.keeps(default)) {
            self.problem(format!("column {table}.{name} is {full_type}, which would change the default"));
        }
        if column.is_generated {
            self.problem(format!("column {table}.{name} is generated"));
        }
        if column.is_primary {
            self.problem(format!("column {table}.{name} is part of the primary key"));
        }
    }
}
