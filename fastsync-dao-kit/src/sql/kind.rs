//! A prepared type, with the statements of its table.

use fastsync_core::{FieldKind, FieldName, TypeSchema, Value, ZoneRestriction};

use crate::sql::column::{Column, Digits, is_text};
use crate::sql::dialect::Dialect;
use crate::sql::statement::quoted;

/// A prepared type, with the statements of its table.
#[derive(Debug)]
pub struct Type {
    /// Its number in the sync tables.
    pub n: u64,
    /// What it looks like.
    pub schema: TypeSchema,
    /// `INSERT INTO table (id, zone?, fields) VALUES `, which rows follow.
    pub insert: String,
    /// What follows the rows of an insert.
    pub upsert: String,
    /// How many columns a row of `insert` has.
    pub columns: usize,
    /// `` , u.`a`, u.`b` ``: the columns of the fields, after a comma each.
    pub selected: String,
    /// The text columns of an adopted table that compare in another way than by bytes.
    folded: Vec<FieldName>,
    /// The decimal columns of an adopted table that hold fewer digits than a number may have, with
    /// their fields' places.
    narrow: Vec<(usize, Digits)>,
    dialect: &'static Dialect,
}

impl Type {
    /// A type with its number, over a table with these columns.
    #[must_use]
    pub fn new(n: u64, schema: TypeSchema, found: &[Column], dialect: &'static Dialect) -> Self {
        let id = quoted(schema.id_field());
        let fields: Vec<_> = schema.fields().iter().map(|field| quoted(&field.name)).collect();
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let zone = restricted.then_some("`zone`");
        let key: Vec<_> = [id.as_str()].into_iter().chain(zone).collect();
        let set: Vec<_> = fields.iter().map(String::as_str).collect();
        let columns = [key.as_slice(), &set].concat();
        let insert = format!("INSERT INTO {} ({}) VALUES ", quoted(schema.name()), columns.join(", "));
        let upsert = dialect.replace_guarded(&key, &set);
        let columns = columns.len();
        let selected = fields.iter().map(|field| format!(", u.{field}")).collect();
        let column = |name: &FieldName| found.iter().find(|column| column.name == name.as_str());
        let texts = schema.fields().iter().filter(|field| is_text(field.kind));
        let folded = texts
            .filter(|field| column(&field.name).is_some_and(|column| column.collation != dialect.collation));
        let folded = folded.map(|field| field.name.clone()).collect();
        let decimals =
            schema.fields().iter().enumerate().filter(|(_, field)| field.kind == FieldKind::Decimal);
        let narrow = decimals.filter_map(|(at, field)| {
            let digits = column(&field.name)?.digits();
            (!digits.hold_all()).then_some((at, digits))
        });
        let narrow = narrow.collect();
        Self { n, schema, insert, upsert, columns, selected, folded, narrow, dialect }
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

    /// The name of its table, as an identifier.
    #[must_use]
    pub fn table(&self) -> String {
        quoted(self.schema.name())
    }

    /// The column of its id, as an identifier.
    #[must_use]
    pub fn id(&self) -> String {
        quoted(self.schema.id_field())
    }

    /// `text` if the type is restricted, and nothing if not.
    #[must_use]
    pub fn if_restricted(&self, text: &'static str) -> &'static str {
        if self.is_restricted() { text } else { "" }
    }

    /// The kind of a field; that of the id is text.
    #[must_use]
    pub fn kind_of(&self, field: &FieldName) -> FieldKind {
        let found = self.schema.fields().iter().find(|candidate| candidate.name == *field);
        found.map_or(FieldKind::Text, |field| field.kind)
    }

    /// What is wrong with a number of a body that a column of an adopted table would round: servers
    /// round without an error.
    #[must_use]
    pub fn would_round(&self, body: &[Value]) -> Option<String> {
        let refused = |(at, digits): &&(usize, Digits)| matches!(body.get(*at), Some(Value::Decimal(number)) if !digits.hold(*number));
        let (at, digits) = self.narrow.iter().find(refused)?;
        let name = self.schema.fields().get(*at).map_or("", |field| field.name.as_str());
        Some(format!(
            "column {}.{name} is {digits}, which does not hold the number exactly",
            self.schema.name()
        ))
    }

    /// A column that compares as its kind does: by bytes, whatever collation an adopted table declares, or by size.
    #[must_use]
    pub fn comparable(&self, field: &FieldName) -> String {
        let column = format!("u.{}", quoted(field));
        if self.kind_of(field) == FieldKind::Decimal {
            return self.dialect.by_size.replace("{}", &column);
        }
        if self.folded.contains(field) { self.dialect.by_bytes.replace("{}", &column) } else { column }
    }
}
