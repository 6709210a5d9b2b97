//! How SQLite spells what the kit writes, and what is bound to it.

use fastsync_core::Value;
use fastsync_dao_kit::sql::{
    Arguments, ColumnTypes, Defaults, Dialect, Few, Forms, Holds, Lists, Literals, Marks, Numbers, Sql,
    Texts, Upsert,
};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use crate::connection::Store;
use crate::error::Run;

/// The forms of server statements are empty: those that go over the sync tables are written here.
pub(crate) static SQLITE: Dialect = Dialect {
    quote: '"',
    marks: Marks::Question,
    lists: Lists::Places(32_766),
    is_qualified: false,
    most_keys: 512,
    most_rows: 32,
    folds_names: true,
    columns: ColumnTypes {
        key: "TEXT",
        uuid_key: "",
        integer_key: "",
        boolean: "INTEGER",
        integers: ["INTEGER"; 3],
        real: "REAL",
        decimal: "TEXT",
        bytes: "BLOB",
        json: "TEXT",
        uuid: "",
        date: "",
        text: "TEXT",
        short_text: "TEXT",
    },
    literals: Literals {
        truths: ["0", "1"],
        text: "'{doubled}'",
        bytes: "x'{}'",
        real: "{}",
        decimal: "'{}'",
        // A column that is added takes no expression.
        defaults: Defaults::Plain,
    },
    collation: "BINARY",
    by_bytes: "{} COLLATE BINARY",
    // Text that looks like a number stays text.
    table_options: " STRICT",
    known: "IFNULL({}, 0)",
    orders: ["ASC", "DESC"],
    decimal_mark: "?",
    by_size: "{} COLLATE fastsync_decimal",
    contains: Some("instr(CAST({} AS BLOB), CAST(? AS BLOB)) > 0"),
    decimal_read: "{}",
    texts: Texts { date: "{}", time: "{}", local: "{}", instant: "{}", other: "{}" },
    has_zeros: true,
    forms: Forms {
        upsert: Upsert::OnConflict,
        numbers: Numbers::LastInsertId,
        index_hint: "",
        join: "CROSS JOIN",
        delete: "",
        delete_joined: "",
        purge: "",
        rows_per_purged: 1,
        whole_sum: "{}",
        // SQLite cannot; `alter.rs` puts another column in its place.
        allow_null: "",
        change_type: "",
        loose_update: "UPDATE {}",
        alters_together: false,
        survives_refusals: true,
        few: Few::Indexes,
        compares_rows: true,
        locks_in_order: false,
    },
};

/// What is bound to a statement.
#[derive(Debug, Default)]
pub(crate) struct Bound(pub(crate) Vec<SqlValue>);

impl Arguments for Bound {
    fn number(&mut self, number: u64) {
        // A limit may be beyond every number that is stored.
        self.0.push(SqlValue::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn text(&mut self, text: &str) {
        self.0.push(SqlValue::Text(text.to_owned()));
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.0.push(bytes.map_or(SqlValue::Null, |bytes| SqlValue::Blob(bytes.to_vec())));
    }

    fn value(&mut self, _: Holds, value: &Value) {
        self.0.push(match value {
            Value::Null => SqlValue::Null,
            Value::Bool(value) => SqlValue::Integer((*value).into()),
            Value::Integer(value) => SqlValue::Integer(*value),
            Value::Real(value) => SqlValue::Real(*value),
            Value::Text(text) | Value::Json(text) => SqlValue::Text(text.clone()),
            Value::Bytes(bytes) => SqlValue::Blob(bytes.clone()),
            Value::Decimal(number) => SqlValue::Text(number.to_string()),
        });
    }
}

/// Runs a statement of the kit's that changes rows. `OR ABORT` stands above any `ON CONFLICT REPLACE` in the user's table:
/// no other row is overwritten.
pub(crate) fn execute(store: &Store, sql: Sql<Bound>) -> Run<()> {
    let (text, Bound(values)) = sql.into_parts(&SQLITE, "");
    store.run(&text.replacen("UPDATE ", "UPDATE OR ABORT ", 1), params_from_iter(values))?;
    Ok(())
}

/// A statement of the kit's as SQLite takes it.
pub(crate) fn spelled(text: String) -> String {
    SQLITE.spell(text, "")
}
