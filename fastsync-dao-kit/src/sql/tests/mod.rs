//! The pure parts, without a database.

mod adopt;
mod adoption;
mod dialect;
mod embedded;
mod filter;
mod sizes;
mod swap;

use fastsync_core::{FieldKind, Value};

use crate::sql::{
    Arguments, Column, ColumnTypes, Defaults, Dialect, Forms, Holds, Literals, Marks, Numbers, Sql, Upsert,
};

/// A database like MySQL.
pub(crate) const WITH_BACKTICKS: Dialect = Dialect {
    quote: '`',
    marks: Marks::Question,
    most_placeholders: 65_535,
    columns: ColumnTypes {
        key: "VARCHAR({})",
        boolean: "TINYINT(1)",
        integer: "BIGINT",
        real: "DOUBLE",
        decimal: "DECIMAL(56,28)",
        bytes: "LONGBLOB",
        text: "LONGTEXT COLLATE bin",
        short_text: "VARCHAR({}) COLLATE bin",
    },
    literals: Literals {
        truths: ["0", "1"],
        text: "CONVERT(X'{}' USING utf8mb4)",
        bytes: "X'{}'",
        decimal: "{}",
        defaults: Defaults::Expressions,
    },
    collation: "bin",
    by_bytes: "CONVERT({} USING utf8mb4) COLLATE bin",
    table_options: " ENGINE = InnoDB",
    known: "IFNULL({}, 0)",
    orders: ["ASC", "DESC"],
    decimal_mark: "CAST(? AS DECIMAL(56,28))",
    by_size: "{}",
    contains: None,
    forms: Forms {
        upsert: Upsert::OnDuplicateKey,
        numbers: Numbers::LastInsertId,
        index_hint: " FORCE INDEX ({})",
        join: "STRAIGHT_JOIN",
        delete: "DELETE u FROM {table} AS u FORCE INDEX (PRIMARY) WHERE {where}",
        delete_joined: "DELETE u FROM {from} STRAIGHT_JOIN {table} AS u ON {on} WHERE {where}",
        purge: "",
        rows_per_purged: 2,
        whole_sum: "CAST({} AS UNSIGNED)",
        schema: "DATABASE()",
        allow_null: "MODIFY COLUMN {name} {declared} NULL",
        loose_update: "UPDATE {}",
        alters_together: true,
        survives_refusals: true,
    },
};

/// A database like PostgreSQL.
pub(crate) const WITH_NUMBERS: Dialect = Dialect {
    quote: '"',
    marks: Marks::Dollar,
    most_placeholders: 65_535,
    columns: ColumnTypes {
        key: "VARCHAR({}) COLLATE \"C\"",
        boolean: "BOOLEAN",
        integer: "BIGINT",
        real: "DOUBLE PRECISION",
        decimal: "NUMERIC(56,28)",
        bytes: "BYTEA",
        text: "TEXT COLLATE \"C\"",
        short_text: "VARCHAR({}) COLLATE \"C\"",
    },
    literals: Literals {
        truths: ["FALSE", "TRUE"],
        text: "convert_from('\\x{}', 'UTF8')",
        bytes: "'\\x{}'::bytea",
        decimal: "{}",
        defaults: Defaults::Plain,
    },
    collation: "C",
    by_bytes: "{} COLLATE \"C\"",
    table_options: "",
    known: "COALESCE({}, FALSE)",
    orders: ["ASC NULLS FIRST", "DESC NULLS LAST"],
    decimal_mark: "?",
    by_size: "{}",
    contains: None,
    forms: Forms {
        upsert: Upsert::OnConflict,
        numbers: Numbers::Returning,
        index_hint: "",
        join: "JOIN",
        delete: "DELETE FROM {table} AS u WHERE {where}",
        delete_joined: "DELETE FROM {table} AS u USING {from} WHERE {on} AND {where}",
        purge: "",
        rows_per_purged: 1,
        whole_sum: "CAST({} AS BIGINT)",
        schema: "current_schema()",
        allow_null: "ALTER COLUMN {name} DROP NOT NULL",
        loose_update: "UPDATE {}",
        alters_together: true,
        survives_refusals: false,
    },
};

/// What is bound, as text.
#[derive(Debug, Default)]
pub(crate) struct Bound(pub(crate) Vec<String>);

impl Arguments for Bound {
    fn number(&mut self, number: u64) {
        self.0.push(number.to_string());
    }

    fn text(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.0.push(format!("{bytes:?}"));
    }

    fn value(&mut self, _: FieldKind, value: &Value) {
        self.0.push(format!("{value:?}"));
    }
}

/// A statement as it is sent.
pub(crate) fn sent(sql: Sql<Bound>, dialect: &Dialect) -> (String, Vec<String>) {
    let (text, Bound(values)) = sql.into_parts(dialect);
    (text, values)
}

/// A column as it should be.
pub(crate) fn column(name: &str, holds: Holds) -> Column {
    Column {
        name: name.to_owned(),
        stored: name.to_owned(),
        holds,
        full_type: "something".to_owned(),
        declared: "something".to_owned(),
        key_type: None,
        text_problem: None,
        collation: "bin".to_owned(),
        nullable: false,
        has_default: false,
        is_generated: false,
        is_primary: false,
    }
}
