//! How a database spells what all of them can do: plain data.

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
    /// How a statement has many values.
    pub lists: Lists,
    /// Whether the names of tables are qualified: their schema stands before them, so that nothing depends on what a
    /// connection has chosen.
    pub is_qualified: bool,
    /// The most rows that one statement asks for by their keys, and the most keys that one removes.
    pub most_keys: usize,
    /// The most rows that one statement writes.
    pub most_rows: usize,
    /// Whether names that differ only in case are one name.
    pub folds_names: bool,
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
    /// The place of a decimal number that is compared with a column, or written to one.
    pub decimal_mark: &'static str,
    /// `{}`: a column of decimal numbers, compared by their size.
    pub by_size: &'static str,
    /// `{}`: a column of text. A condition that binds a text and holds where the text is part of it; `None` if `LIKE` tells
    /// upper case from lower case.
    pub contains: Option<&'static str>,
    /// `{}`: a column of decimal numbers, as it is selected.
    pub decimal_read: &'static str,
    /// Columns of native types as the text of their values.
    pub texts: Texts,
    /// Whether a required field without a zero has the empty text in its place, in rows that are written while the schema
    /// leaves it out. Otherwise its column may be null from then on.
    pub has_zeros: bool,
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

/// How a statement has many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// A place for each value: `IN (?, ...)`, `VALUES (?, ...), ...`; a statement has at most so many.
    Places(usize),
    /// An array for each column: `= ANY (?)`, `SELECT * FROM UNNEST(?, ...)`.
    Arrays,
}

/// The types that columns of a new table have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnTypes {
    /// `{}`: the most characters. Of the zone and of ids, which compare by bytes.
    pub key: &'static str,
    /// Of ids that are UUIDs; as other ids if it is empty.
    pub uuid_key: &'static str,
    /// Of ids that are whole numbers; as other ids if it is empty.
    pub integer_key: &'static str,
    /// Of a truth.
    pub boolean: &'static str,
    /// Of a whole number of 16, 32 and 64 bits.
    pub integers: [&'static str; 3],
    /// Of a floating point number of 64 bits.
    pub real: &'static str,
    /// Of a decimal number: 28 digits before the point and 28 behind it.
    pub decimal: &'static str,
    /// Of bytes without a limit.
    pub bytes: &'static str,
    /// Of JSON, whose text is kept as it is.
    pub json: &'static str,
    /// Of a UUID; as a text of its length if it is empty.
    pub uuid: &'static str,
    /// Of a day; as a text of its length if it is empty.
    pub date: &'static str,
    /// Of text without a limit, compared by bytes.
    pub text: &'static str,
    /// `{}`: the most bytes. Of a text with a limit, compared by bytes.
    pub short_text: &'static str,
}

/// Columns of native types as the text of their values, which compares by bytes. `{}`: the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// Of days.
    pub date: &'static str,
    /// Of times of day.
    pub time: &'static str,
    /// Of days with a time.
    pub local: &'static str,
    /// Of moments.
    pub instant: &'static str,
    /// Of other types that are not text.
    pub other: &'static str,
}

/// Constants in definitions of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literals {
    /// False and true: as conditions and as values.
    pub truths: [&'static str; 2],
    /// `{hex}`: the bytes of a text in hexadecimal digits. `{doubled}`: the text with every `'` twice.
    pub text: &'static str,
    /// `{}`: bytes in hexadecimal digits.
    pub bytes: &'static str,
    /// `{}`: the digits of a floating point number.
    pub real: &'static str,
    /// `{}`: the digits of a decimal number.
    pub decimal: &'static str,
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
    /// `{name}` and `{declared}`: part of an `ALTER TABLE` that lets a column be null.
    pub allow_null: &'static str,
    /// `{name}` and `{type}`: part of an `ALTER TABLE` that gives a column a wider type; empty if columns have the widest
    /// from the start.
    pub change_type: &'static str,
    /// `{}`: what follows `UPDATE`. An update whose foreign keys are not looked at, if that can be said.
    pub loose_update: &'static str,
    /// Whether an `ALTER TABLE` has any number of parts; one if not.
    pub alters_together: bool,
    /// Whether a transaction goes on after a statement of it was refused. Otherwise a commit is tried without savepoints
    /// first, and with one before each statement that may be refused if one was.
    pub survives_refusals: bool,
    /// How the few records are found that wait to be pushed, and the tombstones.
    pub few: Few,
    /// Whether rows are compared as such, `(a, b) > (?, ?)`, with the help of an index.
    pub compares_rows: bool,
    /// Whether rows have to be locked in one order, since the server takes long to find out that two transactions wait for
    /// each other.
    pub locks_in_order: bool,
}

/// How the few records are found that wait to be pushed, and the tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Few {
    /// By tables of their keys, `fastsync_pending` and `fastsync_tombstones`.
    Tables,
    /// By indexes with a condition, `change > 0` and `deleted AND position > 0`. The feed has `position > 0`.
    Indexes,
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
