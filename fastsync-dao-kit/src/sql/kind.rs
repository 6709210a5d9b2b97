//! A prepared type, with the statements of its table.

use fastsync_core::{FieldKind, FieldName, TypeSchema, Value, ZoneRestriction};

use crate::sql::column::{Column, Holds, is_text};
use crate::sql::dialect::{Dialect, Lists};
use crate::sql::statement::{marks, quoted};

/// A prepared type, with the statements of its table.
#[derive(Debug)]
pub struct Type {
    /// Its number in the sync tables.
    pub n: u64,
    /// What it looks like.
    pub schema: TypeSchema,
    /// An insert of rows up to these. With [`Lists::Places`] a row is the id, the zone if the type is restricted, and the
    /// fields; with [`Lists::Arrays`] the zone is bound once, before the arrays of the ids and the fields.
    pub insert: String,
    /// What follows the rows of an insert.
    pub upsert: String,
    /// How many columns a row of `insert` has.
    pub columns: usize,
    /// `` , u.`a`, u.`b` ``: the columns of the fields, after a comma each.
    pub selected: String,
    /// What the columns of the fields hold.
    pub holds: Vec<Holds>,
    /// What the column of the id holds.
    pub id_holds: Holds,
    /// The text columns of an adopted table that compare in another way than by bytes.
    folded: Vec<FieldName>,
    /// The columns of an adopted table that do not keep every value of their field, with the field's place and the type as
    /// messages name it.
    narrow: Vec<(usize, Holds, String)>,
    dialect: &'static Dialect,
}

impl Type {
    /// A type with its number, over a table with these columns.
    #[must_use]
    pub fn new(n: u64, schema: TypeSchema, found: &[Column], dialect: &'static Dialect) -> Self {
        let column = |name: &FieldName| found.iter().find(|column| column.name == name.as_str());
        let holds: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| column(&field.name).map_or(Holds::of(field.kind), |column| column.holds))
            .collect();
        let id_holds = column(schema.id_field()).map_or(Holds::Text(u64::MAX), |column| column.holds);
        let id = quoted(schema.id_field());
        let fields: Vec<_> = schema.fields().iter().map(|field| quoted(&field.name)).collect();
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let zone = restricted.then_some("`zone`");
        let key: Vec<_> = [id.as_str()].into_iter().chain(zone).collect();
        let set: Vec<_> = fields.iter().map(String::as_str).collect();
        let names = [key.as_slice(), &set].concat();
        let into = format!("INSERT INTO {} ({})", dialect.table(schema.name().as_str()), names.join(", "));
        let (insert, columns) = match dialect.lists {
            Lists::Places(_) => (format!("{into} VALUES "), names.len()),
            Lists::Arrays => {
                let columns = fields.len().saturating_add(1);
                (format!("{into} {}", from_arrays(dialect, &holds, restricted)), columns)
            }
        };
        let upsert = dialect.replace_guarded(&key, &set);
        let selected = holds.iter().zip(&fields);
        let selected =
            selected.map(|(holds, field)| format!(", {}", dialect.read(*holds, &format!("u.{field}"))));
        let selected = selected.collect();
        let texts = schema.fields().iter().filter(|field| is_text(field.kind));
        let folded = texts.filter(|field| {
            column(&field.name)
                .is_some_and(|column| column.holds.is_text() && column.collation != dialect.collation)
        });
        let folded = folded.map(|field| field.name.clone()).collect();
        let narrow = schema.fields().iter().enumerate().filter_map(|(at, field)| {
            let column = column(&field.name)?;
            let is_narrow = column.holds.is_narrow(field.kind);
            is_narrow.then(|| (at, column.holds, column.full_type.clone()))
        });
        let narrow = narrow.collect();
        Self { n, schema, insert, upsert, columns, selected, holds, id_holds, folded, narrow, dialect }
    }

    /// How its database spells statements.
    #[must_use]
    pub const fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Whether its table has a column for the zone.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.schema.restriction() == ZoneRestriction::Restricted
    }

    /// The name of its table in a statement.
    #[must_use]
    pub fn table(&self) -> String {
        self.dialect.table(self.schema.name().as_str())
    }

    /// The column of its id, as an identifier.
    #[must_use]
    pub fn id(&self) -> String {
        quoted(self.schema.id_field())
    }

    /// The id of a row of the table `u`, as text.
    pub(crate) fn id_text(&self) -> String {
        let id = format!("u.{}", self.id());
        if self.id_holds.is_text() { id } else { self.dialect.as_text(self.id_holds, &id) }
    }

    /// The id of an index row `r`, as the column of the table has it.
    pub(crate) fn id_of_entry(&self) -> String {
        match self.id_holds {
            Holds::Uuid => format!("CAST(r.id AS {})", self.dialect.columns.uuid_key),
            Holds::Whole(_) => format!("CAST(r.id AS {})", self.dialect.columns.integer_key),
            _ => "r.id".to_owned(),
        }
    }

    /// `text` if the type is restricted, and nothing if not.
    #[must_use]
    pub fn if_restricted(&self, text: &'static str) -> &'static str {
        if self.is_restricted() { text } else { "" }
    }

    /// What the column of a field, or of the id, holds.
    #[must_use]
    pub fn holds(&self, field: &FieldName) -> Holds {
        let fields = self.schema.fields().iter().zip(&self.holds);
        let found = fields.filter(|(found, _)| found.name == *field).map(|(_, holds)| *holds).next();
        found.unwrap_or(self.id_holds)
    }

    /// What is wrong with a value of a body that a column of an adopted table would round or cut: servers
    /// do so without an error.
    #[must_use]
    pub fn would_change(&self, body: &[Value]) -> Option<String> {
        let refused =
            |(at, holds, _): &&(usize, Holds, String)| body.get(*at).is_some_and(|value| !holds.keeps(value));
        let (at, _, full_type) = self.narrow.iter().find(refused)?;
        let name = self.schema.fields().get(*at).map_or("", |field| field.name.as_str());
        Some(format!(
            "column {}.{name} is {full_type}, which does not hold the value exactly",
            self.schema.name()
        ))
    }

    /// Whether the column of a field compares in another way than its values do.
    pub(crate) fn compares_otherwise(&self, field: &FieldName) -> bool {
        let holds = self.holds(field);
        let is_whole_id = field == self.schema.id_field() && matches!(holds, Holds::Whole(_));
        is_whole_id || holds == Holds::Json
    }

    /// A column that compares as its kind does, whatever collation an adopted table declares.
    #[must_use]
    pub fn comparable(&self, field: &FieldName) -> String {
        let column = format!("u.{}", quoted(field));
        let kind = self.schema.position_of(field).and_then(|at| self.schema.fields().get(at));
        if kind.is_some_and(|field| field.kind == FieldKind::Decimal) {
            return self.dialect.by_size.replace("{}", &column);
        }
        if self.compares_otherwise(field) || self.folded.contains(field) {
            self.dialect.as_text(self.holds(field), &column)
        } else {
            column
        }
    }
}

/// Rows from arrays: the zone once, if there is one, and then an array of the ids and one for each field.
fn from_arrays(dialect: &Dialect, holds: &[Holds], restricted: bool) -> String {
    let zone = if restricted { ", ?" } else { "" };
    let names: Vec<_> = (0..=holds.len()).map(|n| format!("c{n}")).collect();
    let values = holds.iter().zip(names.iter().skip(1));
    let values: String = values
        .map(|(holds, name)| format!(", {}", dialect.mark(*holds).replace('?', &format!("x.{name}"))))
        .collect();
    format!("SELECT x.c0{zone}{values} FROM UNNEST{} AS x ({})", marks(names.len()), names.join(", "))
}
