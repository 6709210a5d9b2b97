//! Statements in the words of a database: what [`Dialect`] has as data, put together.

use fastsync_core::{FieldKind, FieldSchema, IdKind, Value};

use crate::sql::column::Holds;
use crate::sql::dialect::{Defaults, Dialect, Few, Lists, Marks, Numbers, Upsert};
use crate::sql::statement::quoted;

/// How the names of the sync tables begin.
const OURS: &str = "fastsync_";

impl Dialect {
    /// A statement of the kit as this database takes it. `schema`: what stands before the names of tables, if they are
    /// qualified; such as `"shop".`.
    ///
    /// Nothing in a constant or between quotes is taken for a place or a name.
    #[must_use]
    pub fn spell(&self, text: String, schema: &str) -> String {
        if self.marks == Marks::Question && self.quote == '`' && !self.is_qualified {
            return text;
        }
        let mut spelled = String::with_capacity(text.len().saturating_add(text.len() / 2));
        let mut number = 0_u32;
        let mut inside = None;
        let mut is_in_word = false;
        for (at, character) in text.char_indices() {
            match (inside, character) {
                (Some(quote), character) => {
                    inside = Some(quote).filter(|quote| *quote != character);
                    spelled.push(if quote == '`' && inside.is_none() { self.quote } else { character });
                }
                (None, '\'' | '"' | '`') => {
                    inside = Some(character);
                    spelled.push(if character == '`' { self.quote } else { character });
                }
                (None, '?') if self.marks == Marks::Dollar => {
                    number = number.saturating_add(1);
                    spelled.push('$');
                    spelled.push_str(&number.to_string());
                }
                (None, '@') if self.is_qualified => spelled.push_str(schema),
                (None, character) => {
                    let is_ours = || text.get(at..).is_some_and(|rest| rest.starts_with(OURS));
                    if self.is_qualified && !is_in_word && is_ours() {
                        spelled.push_str(schema);
                    }
                    spelled.push(character);
                }
            }
            is_in_word = character.is_alphanumeric() || matches!(character, '_' | '.');
        }
        spelled
    }

    /// The table of this name in a statement; [`Self::spell`] qualifies it.
    #[must_use]
    pub fn table(&self, name: &str) -> String {
        let qualified = if self.is_qualified { "@" } else { "" };
        format!("{qualified}{}", quoted(name))
    }

    /// Whether these are the same name.
    pub(crate) fn is_name(&self, a: &str, b: &str) -> bool {
        if self.folds_names { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    /// The place of a value that is compared with such a column, or written to one.
    #[must_use]
    pub const fn mark(&self, holds: Holds) -> &'static str {
        if matches!(holds, Holds::Decimal(_)) { self.decimal_mark } else { "?" }
    }

    /// Such a column as it is selected.
    #[must_use]
    pub fn read(&self, holds: Holds, column: &str) -> String {
        match holds {
            Holds::Decimal(_) => self.decimal_read.replace("{}", column),
            _ => column.to_owned(),
        }
    }

    /// Such a column as the text of its values, which compares by bytes.
    #[must_use]
    pub fn as_text(&self, holds: Holds, column: &str) -> String {
        let form = match holds {
            Holds::Text(_) | Holds::Padded(_) | Holds::TextOrDecimal => self.by_bytes,
            Holds::Date => self.texts.date,
            Holds::Time(_) => self.texts.time,
            Holds::Local(_) => self.texts.local,
            Holds::Instant(_) => self.texts.instant,
            _ => self.texts.other,
        };
        form.replace("{}", column)
    }

    /// False or true as a condition.
    #[must_use]
    pub const fn truth(&self, is: bool) -> &'static str {
        let [no, yes] = self.literals.truths;
        if is { yes } else { no }
    }

    /// What stands before and after a condition that may be unknown.
    #[must_use]
    pub fn known(&self) -> (&'static str, &'static str) {
        self.known.split_once("{}").unwrap_or_default()
    }

    /// What follows a table in `FROM` that is to be read by an index.
    #[must_use]
    pub fn by_index(&self, index: &str) -> String {
        self.forms.index_hint.replace("{}", index)
    }

    /// What locks the rows that a read finds, in the order of `by`.
    pub(crate) fn locking(&self, by: &str) -> String {
        let order = if self.forms.locks_in_order { format!(" ORDER BY {by}") } else { String::new() };
        order + " FOR UPDATE"
    }

    pub(crate) fn has_arrays(&self) -> bool {
        self.lists == Lists::Arrays
    }

    /// Whether the few records that wait, and the tombstones, have tables of their own.
    pub(crate) fn has_few_tables(&self) -> bool {
        self.forms.few == Few::Tables
    }

    /// The type of a column of ids.
    pub(crate) fn id_type(&self, kind: IdKind) -> String {
        let types = &self.columns;
        match kind {
            IdKind::Uuid if !types.uuid_key.is_empty() => types.uuid_key.to_owned(),
            IdKind::Integer if !types.integer_key.is_empty() => types.integer_key.to_owned(),
            _ => types.key.replace("{}", "255"),
        }
    }

    /// The type of a column of a field.
    #[must_use]
    pub fn column_type(&self, kind: FieldKind) -> String {
        let types = &self.columns;
        let form = match kind {
            FieldKind::Boolean => types.boolean,
            kind if kind.is_integer() => {
                let [small, middle, big] = types.integers;
                match Holds::lowest(kind) {
                    Some(lowest) if lowest >= i16::MIN.into() => small,
                    Some(lowest) if lowest >= i32::MIN.into() => middle,
                    _ => big,
                }
            }
            FieldKind::Real => types.real,
            FieldKind::Bytes => types.bytes,
            FieldKind::Decimal => types.decimal,
            FieldKind::Json => types.json,
            FieldKind::Uuid if !types.uuid.is_empty() => types.uuid,
            FieldKind::Date if !types.date.is_empty() => types.date,
            kind => match kind.text_bytes() {
                Some(bytes) => return types.short_text.replace("{}", &bytes.to_string()),
                None => types.text,
            },
        };
        form.to_owned()
    }

    /// The definition of a column of a field. One that has no nulls has the kind's zero if it has
    /// no other default, so that a schema can leave it out later.
    #[must_use]
    pub fn column(&self, field: &FieldSchema) -> String {
        let rule = if field.nullable { "NULL" } else { "NOT NULL" };
        let has_default = match field.default {
            Some(_) => true,
            None => !field.nullable && (self.has_zeros || field.has_zero()),
        };
        let default = if has_default {
            format!(" {}", self.default(&self.literal(&field.initial())))
        } else {
            String::new()
        };
        format!("{} {} {rule}{default}", quoted(&field.name), self.column_type(field.kind))
    }

    fn default(&self, value: &str) -> String {
        match self.literals.defaults {
            Defaults::Plain => format!("DEFAULT {value}"),
            Defaults::ExpressionsOfCalls if !value.ends_with(')') => format!("DEFAULT {value}"),
            Defaults::Expressions | Defaults::ExpressionsOfCalls => format!("DEFAULT ({value})"),
        }
    }

    /// A constant, whatever the server takes for an escape.
    #[must_use]
    pub fn literal(&self, value: &Value) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match value {
            Value::Null => "NULL".to_owned(),
            Value::Bool(value) => self.truth(*value).to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => self.literals.real.replace("{}", &format!("{value:e}")),
            Value::Decimal(number) => self.literals.decimal.replace("{}", &number.to_string()),
            Value::Text(text) | Value::Json(text)
                if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                format!("'{text}'")
            }
            Value::Text(text) | Value::Json(text) => {
                let form = self.literals.text.replace("{hex}", &hex(text.as_bytes()));
                form.replace("{doubled}", &text.replace('\'', "''"))
            }
            Value::Bytes(bytes) => self.literals.bytes.replace("{}", &hex(bytes)),
        }
    }

    /// What stands before and after the rows of an insert that passes over rows that are there already.
    #[must_use]
    pub fn insert_missing(&self, table: &str, columns: &str) -> (String, &'static str) {
        let ignore = match self.forms.upsert {
            Upsert::OnDuplicateKey => "IGNORE ",
            Upsert::OnConflict => "",
        };
        (format!("INSERT {ignore}INTO {table} ({columns}) "), self.passing_over())
    }

    /// What follows the rows of an insert that somebody else may have been faster with. It either fails as a duplicate or
    /// writes fewer rows, where a failure would end the transaction.
    pub(crate) const fn passing_over(&self) -> &'static str {
        match self.forms.upsert {
            Upsert::OnDuplicateKey => "",
            Upsert::OnConflict => " ON CONFLICT DO NOTHING",
        }
    }

    /// What follows the rows of an insert into a table whose only unique key is `key`: the row that
    /// is there gets the new values of these columns.
    #[must_use]
    pub fn replace(&self, key: &[&str], columns: &[&str]) -> String {
        let (begin, new) = match self.forms.upsert {
            Upsert::OnDuplicateKey => (" ON DUPLICATE KEY UPDATE ".to_owned(), "VALUES({})"),
            Upsert::OnConflict => {
                (format!(" ON CONFLICT ({}) DO UPDATE SET ", key.join(", ")), "EXCLUDED.{}")
            }
        };
        let set = columns.iter().map(|column| format!("{column} = {}", new.replace("{}", column)));
        begin + &set.collect::<Vec<_>>().join(", ")
    }

    /// What follows the rows of an insert into a user's table: the row with this key gets the new
    /// values, another row that has one of its unique values is left alone, and the statement
    /// fails.
    #[must_use]
    pub fn replace_guarded(&self, key: &[&str], columns: &[&str]) -> String {
        match self.forms.upsert {
            // The statement updates the row of whatever unique key is in its way. If that is another row, the first
            // assignment asks for one value of a subquery that has two.
            Upsert::OnDuplicateKey => {
                let same: Vec<_> = key.iter().map(|key| format!("{key} = VALUES({key})")).collect();
                let id = key.first().copied().unwrap_or_default();
                let guard = format!("{id} = IF({}, {id}, (SELECT 1 UNION ALL SELECT 2))", same.join(" AND "));
                let updates = columns.iter().map(|column| format!(", {column} = VALUES({column})"));
                format!(" ON DUPLICATE KEY UPDATE {guard}{}", updates.collect::<String>())
            }
            // A row that is there is named also where no field changes it, so that every row counts as written.
            Upsert::OnConflict => self.replace(key, if columns.is_empty() { key } else { columns }),
        }
    }

    /// A statement that deletes rows of a table, called `u`, by their primary key.
    #[must_use]
    pub fn delete(&self, table: &str, condition: &str) -> String {
        self.forms.delete.replace("{table}", table).replace("{where}", condition)
    }

    /// A statement that deletes the rows of a table, called `u`, that belong to rows of another
    /// one.
    #[must_use]
    pub fn delete_joined(&self, table: &str, from: &str, on: &str, condition: &str) -> String {
        let text = self.forms.delete_joined.replace("{table}", table).replace("{from}", from);
        text.replace("{on}", on).replace("{where}", condition)
    }

    /// A statement that raises a number and gives it.
    #[must_use]
    pub fn raise(&self, table: &str, column: &str, and_set: &str, condition: &str) -> String {
        match self.forms.numbers {
            Numbers::LastInsertId => {
                format!(
                    "UPDATE {table} SET {column} = LAST_INSERT_ID({column} + 1){and_set} WHERE {condition}"
                )
            }
            Numbers::Returning => {
                format!(
                    "UPDATE {table} SET {column} = {column} + 1{and_set} WHERE {condition} RETURNING {column}"
                )
            }
        }
    }

    /// What follows an insert whose automatic number, in this column, is asked for.
    #[must_use]
    pub fn giving(&self, column: &str) -> String {
        match self.forms.numbers {
            Numbers::LastInsertId => String::new(),
            Numbers::Returning => format!(" RETURNING {column}"),
        }
    }
}
