//! How a database spells what all of them can do: plain data.

use fastsync_core::{FieldKind, FieldSchema, Value};

use crate::sql::statement::quoted;

/// How a database spells what all of them can do.
///
/// The kit writes every statement in one way: `?` for a value, and backticks around names.
/// [`Self::spell`] is the last step, which a driver takes before it sends a text. What differs in
/// more than that is a text with places in it: `{}`, or `{name}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What is around a name: `` ` `` or `"`.
    pub quote: char,
    /// How the place of a value is written.
    pub marks: Marks,
    /// The most values that one statement binds.
    pub most_placeholders: usize,
    /// The types of columns.
    pub columns: ColumnTypes,
    /// Constants in definitions of tables.
    pub literals: Literals,
    /// The collation that compares text by its bytes and pads nothing, by the name that the catalog
    /// has for it.
    pub collation: &'static str,
    /// `{}`: a column with another collation, compared by bytes.
    pub by_bytes: &'static str,
    /// What follows the columns of every table that is made; begins with a space unless it is
    /// empty.
    pub table_options: &'static str,
    /// `{}`: a condition that is unknown where a null is compared, as one that is false then.
    pub known: &'static str,
    /// From the least up and from the greatest down, where null is less than all.
    pub orders: [&'static str; 2],
    /// The place of a decimal number that is compared with a column.
    pub decimal_mark: &'static str,
    /// `{}`: a column of decimal numbers, compared by their size.
    pub by_size: &'static str,
    /// `{}`: a column of text. A condition that binds a text and holds where the text is part of it; `None` if `LIKE` tells
    /// upper case from lower case.
    pub contains: Option<&'static str>,
    /// The forms of statements.
    pub forms: Forms,
}

/// How the place of a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `?`, as the kit writes it.
    Question,
    /// `$1`, `$2`, ...
    Dollar,
}

/// The types that columns of a new table have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnTypes {
    /// `{}`: the most characters. Of the id and the zone, which compare by bytes.
    pub key: &'static str,
    /// Of a truth.
    pub boolean: &'static str,
    /// Of a whole number of any width: 64 bits.
    pub integer: &'static str,
    /// Of a floating point number of 64 bits.
    pub real: &'static str,
    /// Of a decimal number: 28 digits before the point and 28 behind it.
    pub decimal: &'static str,
    /// Of bytes without a limit.
    pub bytes: &'static str,
    /// Of text and JSON without a limit, compared by bytes.
    pub text: &'static str,
    /// `{}`: the most bytes. Of a text with a limit, compared by bytes.
    pub short_text: &'static str,
}

/// Constants in definitions of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literals {
    /// False and true: as conditions and as values.
    pub truths: [&'static str; 2],
    /// `{}`: the bytes of a text in hexadecimal digits. `{doubled}`: the text with every `'` twice.
    pub text: &'static str,
    /// `{}`: the digits of a decimal number.
    pub decimal: &'static str,
    /// `{}`: bytes in hexadecimal digits.
    pub bytes: &'static str,
    /// How a default is written.
    pub defaults: Defaults,
}

/// How the default of a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// `DEFAULT value`.
    Plain,
    /// `DEFAULT (value)`.
    Expressions,
    /// `DEFAULT value`, but `DEFAULT (value)` of a call.
    ExpressionsOfCalls,
}

/// The forms of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forms {
    /// How a row is written whether it is there or not.
    pub upsert: Upsert,
    /// How a statement tells the number that it gave.
    pub numbers: Numbers,
    /// `{}`: the name of an index. What follows a table in `FROM` that is to be read by it, with a space before it; or
    /// nothing. The primary key is `PRIMARY`.
    pub index_hint: &'static str,
    /// A join that reads its left side first, if that can be said.
    pub join: &'static str,
    /// Deletes rows of `{table}`, called `u`, by their primary key: `{where}`.
    pub delete: &'static str,
    /// Deletes rows of `{table}`, called `u`, that rows of `{from}` select: `{on}` and `{where}`.
    pub delete_joined: &'static str,
    /// Deletes the tombstones of a zone up to a position with their index rows, unless an edit
    /// waits to be pushed. Binds the zone and the position.
    pub purge: &'static str,
    /// How many rows of a purge one tombstone counts as.
    pub rows_per_purged: u64,
    /// `{}`: a sum that may be of any type, as a whole number of 64 bits.
    pub whole_sum: &'static str,
    /// The schema or database that a connection has chosen.
    pub schema: &'static str,
    /// `{name}` and `{declared}`: part of an `ALTER TABLE` that lets a column be null.
    pub allow_null: &'static str,
    /// `{}`: what follows `UPDATE`. An update whose foreign keys are not looked at, if that can be said.
    pub loose_update: &'static str,
    /// Whether an `ALTER TABLE` has any number of parts; one if not.
    pub alters_together: bool,
    /// Whether a transaction goes on after a statement of it was refused. Otherwise a savepoint is
    /// set before each statement that may be.
    pub survives_refusals: bool,
}

/// How a row is written whether it is there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert {
    /// `ON DUPLICATE KEY UPDATE`, which takes any unique key: the row of another id is guarded by a statement that fails.
    OnDuplicateKey,
    /// `ON CONFLICT (key) DO UPDATE`.
    OnConflict,
}

/// How a statement tells the number that it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// The driver has it, of an automatic number or `LAST_INSERT_ID(value)`.
    LastInsertId,
    /// In a row: `RETURNING`.
    Returning,
}

impl Dialect {
    /// A statement of the kit as this database takes it.
    ///
    /// What is between single quotes stays as it is.
    #[must_use]
    pub fn spell(&self, text: String) -> String {
        if self.marks == Marks::Question && self.quote == '`' {
            return text;
        }
        let mut spelled = String::with_capacity(text.len().saturating_add(text.len() / 4));
        let mut number = 0_u32;
        let mut is_constant = false;
        for character in text.chars() {
            is_constant ^= character == '\'';
            match character {
                '`' if !is_constant => spelled.push(self.quote),
                '?' if self.marks == Marks::Dollar && !is_constant => {
                    number = number.saturating_add(1);
                    spelled.push('$');
                    spelled.push_str(&number.to_string());
                }
                character => spelled.push(character),
            }
        }
        spelled
    }

    /// The place of a value that a field of this kind is compared with.
    #[must_use]
    pub fn mark(&self, kind: FieldKind) -> &'static str {
        if kind == FieldKind::Decimal { self.decimal_mark } else { "?" }
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

    /// The type of a column of a field.
    ///
    /// JSON is text: native types reorder members and change numbers.
    #[must_use]
    pub fn column_type(&self, kind: FieldKind) -> String {
        let types = &self.columns;
        match kind {
            FieldKind::Boolean => types.boolean.to_owned(),
            kind if kind.is_integer() => types.integer.to_owned(),
            FieldKind::Real => types.real.to_owned(),
            FieldKind::Bytes => types.bytes.to_owned(),
            FieldKind::Decimal => types.decimal.to_owned(),
            kind => match kind.text_bytes() {
                Some(bytes) => types.short_text.replace("{}", &bytes.to_string()),
                None => types.text.to_owned(),
            },
        }
    }

    /// The definition of a column of a field. One that has no nulls has the kind's zero if it has
    /// no other default, so that a schema can leave it out later.
    #[must_use]
    pub fn column(&self, field: &FieldSchema) -> String {
        let rule = if field.nullable { "NULL" } else { "NOT NULL" };
        let default = if field.nullable && field.default.is_none() {
            String::new()
        } else {
            format!(" {}", self.default(&self.literal(&field.initial())))
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
            Value::Real(value) => format!("{value:e}"),
            Value::Decimal(number) => self.literals.decimal.replace("{}", &number.to_string()),
            Value::Text(text) | Value::Json(text)
                if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                format!("'{text}'")
            }
            Value::Text(text) | Value::Json(text) => match self.literals.text.split_once("{doubled}") {
                Some((before, after)) => format!("{before}{}{after}", text.replace('\'', "''")),
                None => self.literals.text.replace("{}", &hex(text.as_bytes())),
            },
            Value::Bytes(bytes) => self.literals.bytes.replace("{}", &hex(bytes)),
        }
    }

    /// An insert of rows, of which those that are there already are passed over. `rows`: `(?, ...),
    /// ...`.
    #[must_use]
    pub fn insert_missing(&self, table: &str, columns: &str, rows: &str) -> String {
        match self.forms.upsert {
            Upsert::OnDuplicateKey => format!("INSERT IGNORE INTO {table} ({columns}) VALUES {rows}"),
            Upsert::OnConflict => {
                format!("INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT DO NOTHING")
            }
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
            Upsert::OnConflict if columns.is_empty() => {
                format!(" ON CONFLICT ({}) DO NOTHING", key.join(", "))
            }
            Upsert::OnConflict => self.replace(key, columns),
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
