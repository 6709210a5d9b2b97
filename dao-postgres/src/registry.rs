//! The prepared types and the statements of their tables.

use fastsync_core::source::entry;
use fastsync_core::source::rules::{NotedType, TypeTable};
use fastsync_core::{FieldName, ObjectId, TypeSchema, Value, ZoneRestriction};
use fastsync_dao_kit::sql::Run;
use sqlx::PgConnection;

use crate::columns::{Column, Limit, columns};
use crate::native::{Native, write_id};
use crate::sql::{Array, Schema, bytes, number, quoted};
use crate::upgrade::is_there;

/// A prepared type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) n: u64,
    pub(crate) schema: TypeSchema,
    /// The column types of the fields.
    pub(crate) natives: Vec<Native>,
    /// The table, with its schema.
    pub(crate) table: String,
    /// The column type of the id.
    id: Native,
    /// Writes rows. Parameters: the zone key if the type is restricted, the ids, an array for each field.
    pub(crate) upsert: String,
    /// `, u."a", u."b"`: the columns of the fields with a comma before each.
    pub(crate) selected: String,
    /// The text columns of an adopted table that compare in another way than by bytes.
    folded: Vec<FieldName>,
    /// The columns of an adopted table that hold less than a value may have, with their fields' places.
    narrow: Vec<(usize, Limit)>,
}

impl Type {
    pub(crate) fn new(n: u64, schema: TypeSchema, found: &[Column], place: &Schema) -> Self {
        let column = |name: &str| found.iter().find(|column| column.name == name);
        let native = |name: &str| column(name).and_then(|column| column.native);
        let fields = schema.fields();
        let natives: Vec<_> = fields
            .iter()
            .map(|field| native(field.name.as_str()).unwrap_or(Native::for_kind(field.kind)))
            .collect();
        let id = native(schema.id_field().as_str()).unwrap_or(Native::for_id(schema.id_kind()));
        let id_column = quoted(schema.id_field());
        let is_restricted = schema.restriction() == ZoneRestriction::Restricted;
        let names: Vec<_> = fields.iter().map(|field| quoted(&field.name)).collect();
        let keys =
            if is_restricted { vec![quoted("zone"), id_column.clone()] } else { vec![id_column.clone()] };
        let mut from = vec!["x.c0".to_owned()];
        if is_restricted {
            from.insert(0, "?".to_owned());
        }
        from.extend(natives.iter().zip(1_usize..).map(|(native, n)| format!("x.c{n}{}", native.cast())));
        let into: Vec<_> = keys.iter().chain(&names).map(String::as_str).collect();
        let arrays: Vec<_> = (0..=fields.len()).map(|n| format!("c{n}")).collect();
        // A row that is there is named also where no field changes it, so that every row counts as written.
        let set: Vec<_> = if names.is_empty() { vec![&id_column] } else { names.iter().collect() };
        let set: Vec<_> = set.iter().map(|name| format!("{name} = EXCLUDED.{name}")).collect();
        let table = place.table(schema.name());
        let upsert = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM UNNEST({}) AS x ({}) ON CONFLICT ({}) DO UPDATE SET {}",
            into.join(", "),
            from.join(", "),
            vec!["?"; arrays.len()].join(", "),
            arrays.join(", "),
            keys.join(", "),
            set.join(", "),
        );
        let selected = natives.iter().zip(&names);
        let selected =
            selected.map(|(native, name)| format!(", {}", native.selected(&format!("u.{name}")))).collect();
        let is_folded = |name: &str| {
            native(name).is_some_and(|native| matches!(native, Native::Text | Native::Varchar))
                && column(name).is_some_and(|column| !column.is_exact)
        };
        let folded = fields.iter().map(|field| &field.name).filter(|name| is_folded(name.as_str()));
        let folded = folded.cloned().collect();
        let narrow = fields.iter().enumerate();
        let narrow = narrow.filter_map(|(at, field)| Some((at, column(field.name.as_str())?.limit?)));
        let narrow = narrow.collect();
        Self { n, schema, natives, table, id, upsert, selected, folded, narrow }
    }

    pub(crate) fn is_restricted(&self) -> bool {
        self.schema.restriction() == ZoneRestriction::Restricted
    }

    /// The id column, of the table `u`.
    pub(crate) fn id(&self) -> String {
        format!("u.{}", quoted(self.schema.id_field()))
    }

    /// That the row of `u` is the one of `r`, if this goes from the index to the table.
    pub(crate) fn is_of_entry(&self) -> String {
        format!("{} = r.id{}", self.id(), self.id_cast())
    }

    /// The same from the table to the index.
    pub(crate) fn has_entry(&self) -> String {
        match self.id {
            Native::Text | Native::Varchar => format!("r.id = {}", self.id()),
            _ => format!("r.id = {}::text", self.id()),
        }
    }

    /// What turns the text of an id into the type of the column.
    fn id_cast(&self) -> &'static str {
        match self.id {
            Native::Uuid => "::uuid",
            native if native.width() > 0 => "::bigint",
            _ => "",
        }
    }

    /// Ids as the id column has them.
    pub(crate) fn ids<'i>(&self, ids: impl IntoIterator<Item = &'i ObjectId>) -> Array {
        let mut array = Array::new(self.id.oids());
        for id in ids {
            array.push(|to| {
                write_id(self.id, id.as_str(), to);
                true
            });
        }
        array
    }

    /// What is wrong with a value of a body that a column of an adopted table would change without an error.
    pub(crate) fn would_change(&self, body: &[Value]) -> Option<String> {
        let refused = |(at, limit): &&(usize, Limit)| body.get(*at).is_some_and(|value| !limit.holds(value));
        let (at, limit) = self.narrow.iter().find(refused)?;
        let name = self.schema.fields().get(*at).map_or("", |field| field.name.as_str());
        Some(format!(
            "column {}.{name} is {limit}, which does not hold the value exactly",
            self.schema.name()
        ))
    }

    /// The column type of a field or of the id.
    pub(crate) fn native(&self, field: &FieldName) -> Native {
        let fields = self.schema.fields().iter().zip(&self.natives);
        let found = fields.filter(|(found, _)| found.name == *field).map(|(_, native)| *native).next();
        found.unwrap_or(self.id)
    }

    /// A column that compares as its kind does, whatever collation an adopted table declares.
    pub(crate) fn comparable(&self, field: &FieldName) -> String {
        let (column, native) = (format!("u.{}", quoted(field)), self.native(field));
        let is_number_of_id = field == self.schema.id_field() && native.width() > 0;
        if native == Native::Json || is_number_of_id || self.folded.contains(field) {
            return native.as_text(&column);
        }
        column
    }
}

/// Every type of the store, as this process prepared it or, if it did not, as it was prepared last.
pub(crate) type Registry = TypeTable<u64, Type>;

/// The types as they were prepared last.
pub(crate) async fn load(connection: &mut PgConnection, place: &Schema) -> Run<Vec<Type>> {
    let stored = stored_types(connection, place).await?;
    let mut kinds = Vec::with_capacity(stored.len());
    for (n, stored) in stored {
        let found = columns(connection, place, stored.schema.name().as_str()).await?;
        kinds.push(Type::new(n, stored.schema, &found, place));
    }
    Ok(kinds)
}

/// The types as they are noted; none in a database that nothing was prepared in.
pub(crate) async fn stored_types(
    connection: &mut PgConnection,
    place: &Schema,
) -> Run<Vec<(u64, NotedType)>> {
    if !is_there(connection, place, "fastsync_types").await? {
        return Ok(Vec::new());
    }
    let mut types = Vec::new();
    for row in place.sql("SELECT n, body FROM @types ORDER BY n").all(connection).await? {
        types.push((number(&row, 0)?, entry::decode_json(bytes(&row, 1)?.unwrap_or_default())?));
    }
    Ok(types)
}
