//! The prepared types and the statements of their tables.

use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable};
use fastsync_core::{FieldKind, FieldName, TypeSchema, Value, ZoneRestriction};
use sqlx::MySqlConnection;

use crate::checks::Server;
use crate::columns::{Column, DECIMAL_MARK, Digits, columns};
use crate::error::Run;
use crate::sql::{Sql, bytes, number, quoted};

/// A prepared type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) n: u64,
    pub(crate) schema: TypeSchema,
    /// `INSERT INTO table (id, zone?, fields) VALUES ` and what follows the rows.
    pub(crate) insert: String,
    pub(crate) on_duplicate: String,
    /// How many columns a row of `insert` has.
    pub(crate) columns: usize,
    /// `` `a`, `b` ``: the columns of the fields with `u.` before each, after a comma each.
    pub(crate) selected: String,
    /// The text columns of an adopted table that compare in another way than by bytes.
    folded: Vec<FieldName>,
    /// The decimal columns of an adopted table that hold fewer digits than a number may have, with their fields' places.
    narrow: Vec<(usize, Digits)>,
    collation: &'static str,
}

impl Type {
    pub(crate) fn new(n: u64, schema: TypeSchema, found: &[Column], server: &Server) -> Self {
        let collation = server.dialect.collation();
        let table = quoted(schema.name());
        let id = quoted(schema.id_field());
        let restricted = schema.restriction() == ZoneRestriction::Restricted;
        let fields: Vec<_> = schema.fields().iter().map(|field| quoted(&field.name)).collect();
        let keys: Vec<_> = if restricted { vec![id.clone(), "`zone`".to_owned()] } else { vec![id.clone()] };
        let columns: Vec<_> = keys.iter().chain(&fields).map(String::as_str).collect();
        let insert = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
        // The statement updates the row of whatever unique key is in its way. If that is another row, the first
        // assignment asks for one value of a subquery that has two, and the statement fails.
        let same: Vec<_> = keys.iter().map(|key| format!("{key} = VALUES({key})")).collect();
        let guard = format!("{id} = IF({}, {id}, (SELECT 1 UNION ALL SELECT 2))", same.join(" AND "));
        let updates = fields.iter().map(|field| format!(", {field} = VALUES({field})"));
        let on_duplicate = format!(" ON DUPLICATE KEY UPDATE {guard}{}", updates.collect::<String>());
        let folded = schema
            .fields()
            .iter()
            .filter(|field| is_text(field.kind))
            .filter(|field| {
                let column = found.iter().find(|column| column.name == field.name.as_str());
                column.is_some_and(|column| column.collation != collation)
            })
            .map(|field| field.name.clone())
            .collect();
        let narrow = schema.fields().iter().enumerate().filter(|(_, field)| field.kind == FieldKind::Decimal);
        let narrow = narrow.filter_map(|(at, field)| {
            let column = found.iter().find(|column| column.name == field.name.as_str())?;
            (!column.digits.hold_all()).then_some((at, column.digits))
        });
        let narrow = narrow.collect();
        let columns = columns.len();
        let selected = fields.iter().map(|field| format!(", u.{field}")).collect();
        Self { n, schema, insert, on_duplicate, columns, selected, folded, narrow, collation }
    }

    pub(crate) fn is_restricted(&self) -> bool {
        self.schema.restriction() == ZoneRestriction::Restricted
    }

    pub(crate) fn table(&self) -> String {
        quoted(self.schema.name())
    }

    pub(crate) fn id(&self) -> String {
        quoted(self.schema.id_field())
    }

    /// What is wrong with a number of a body that a column of an adopted table would round: the server rounds without an
    /// error.
    pub(crate) fn would_round(&self, body: &[Value]) -> Option<String> {
        let refused = |(at, digits): &&(usize, Digits)| matches!(body.get(*at), Some(Value::Decimal(number)) if !digits.hold(*number));
        let (at, digits) = self.narrow.iter().find(refused)?;
        let name = self.schema.fields().get(*at).map_or("", |field| field.name.as_str());
        Some(format!(
            "column {}.{name} is {digits}, which does not hold the number exactly",
            self.schema.name()
        ))
    }

    /// The placeholder of a value that a field is compared with. A decimal number and a text would be compared as floating
    /// point numbers.
    pub(crate) fn mark(&self, field: &FieldName) -> &'static str {
        let found = self.schema.fields().iter().find(|candidate| candidate.name == *field);
        if found.is_some_and(|field| field.kind == FieldKind::Decimal) { DECIMAL_MARK } else { "?" }
    }

    /// A column that compares by bytes, whatever collation an adopted table declares.
    pub(crate) fn comparable(&self, field: &FieldName) -> String {
        let column = format!("u.{}", quoted(field));
        if self.folded.contains(field) {
            return format!("CONVERT({column} USING utf8mb4) COLLATE {}", self.collation);
        }
        column
    }
}

pub(crate) const fn is_text(kind: FieldKind) -> bool {
    kind.is_text() || matches!(kind, FieldKind::Json)
}

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<u64, Type>;

/// The types as they were prepared last.
pub(crate) async fn load(connection: &mut MySqlConnection, server: &Server) -> Run<Vec<Type>> {
    let stored = stored_types(connection).await?;
    let mut kinds = Vec::with_capacity(stored.len());
    for (n, stored) in stored {
        let found = columns(connection, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, server));
    }
    Ok(kinds)
}

/// The types as they are noted; none in a database that nothing was prepared in.
pub(crate) async fn stored_types(connection: &mut MySqlConnection) -> Run<Vec<(u64, NotedType)>> {
    const NO_SUCH_TABLE: u16 = 1146;
    let rows = match Sql::new("SELECT n, body FROM fastsync_types ORDER BY n").all(connection).await {
        Err(fail) if fail.number() == Some(NO_SUCH_TABLE) => return Ok(Vec::new()),
        rows => rows?,
    };
    let mut types = Vec::new();
    for row in rows {
        types.push((number(&row, 0)?, entry::decode_json(bytes(&row, 1)?.unwrap_or_default())?));
    }
    Ok(types)
}
