//! The pure parts, without a database.

mod adopt;
mod adoption;
mod dialect;
mod embedded;
mod filter;
mod sizes;
mod swap;

use fastsync_core::Value;

use crate::sql::{
    Arguments, Column, ColumnTypes, Defaults, Dialect, Few, Forms, Holds, Lists, Literals, Marks, Numbers,
    Sql, Texts, Upsert,
};

/// A database like MySQL.
pub(crate) const WITH_BACKTICKS: Dialect = Dialect {
    quote: '`',
    marks: Marks::Question,
    lists: Lists::Places(65_535),
    is_qualified: false,
    most_keys: 512,
    most_rows: 250,
    folds_names: true,
    columns: ColumnTypes {
        key: "VARCHAR({})",
        uuid_key: "",
        integer_key: "",
        boolean: "TINYINT(1)",
        integers: ["BIGINT"; 3],
        real: "DOUBLE",
        decimal: "DECIMAL(56,28)",
        bytes: "LONGBLOB",
        json: "LONGTEXT COLLATE bin",
        uuid: "",
        date: "",
        text: "LONGTEXT COLLATE bin",
        short_text: "VARCHAR({}) COLLATE bin",
    },
    literals: Literals {
        truths: ["0", "1"],
        text: "CONVERT(X'{hex}' USING utf8mb4)",
        bytes: "X'{}'",
        real: "{}",
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
    decimal_read: "{}",
    texts: Texts { date: "{}", time: "{}", local: "{}", instant: "{}", other: "{}" },
    has_zeros: true,
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
        allow_null: "MODIFY COLUMN {name} {declared} NULL",
        change_type: "",
        loose_update: "UPDATE {}",
        alters_together: true,
        survives_refusals: true,
        few: Few::Tables,
        compares_rows: false,
        locks_in_order: false,
    },
};

/// A database like PostgreSQL.
pub(crate) const WITH_NUMBERS: Dialect = Dialect {
    quote: '"',
    marks: Marks::Dollar,
    lists: Lists::Arrays,
    is_qualified: true,
    most_keys: 1_000,
    most_rows: 1_000,
    folds_names: false,
    columns: ColumnTypes {
        key: "text COLLATE \"C\"",
        uuid_key: "uuid",
        integer_key: "bigint",
        boolean: "boolean",
        integers: ["smallint", "integer", "bigint"],
        real: "double precision",
        decimal: "numeric",
        bytes: "bytea",
        json: "json",
        uuid: "uuid",
        date: "date",
        text: "text COLLATE \"C\"",
        short_text: "text COLLATE \"C\"",
    },
    literals: Literals {
        truths: ["FALSE", "TRUE"],
        text: "'{doubled}'",
        bytes: "'\\x{}'::bytea",
        real: "'{}'::double precision",
        decimal: "'{}'::numeric",
        defaults: Defaults::Plain,
    },
    collation: "C",
    by_bytes: "{} COLLATE \"C\"",
    table_options: "",
    known: "COALESCE({}, FALSE)",
    orders: ["ASC NULLS FIRST", "DESC NULLS LAST"],
    decimal_mark: "?::numeric",
    by_size: "{}",
    contains: None,
    decimal_read: "{}::text",
    texts: Texts {
        date: "day({})",
        time: "time({})",
        local: "local({})",
        instant: "instant({})",
        other: "{}::text COLLATE \"C\"",
    },
    has_zeros: false,
    forms: Forms {
        upsert: Upsert::OnConflict,
        numbers: Numbers::Returning,
        index_hint: "",
        join: "JOIN",
        delete: "DELETE FROM {table} AS u WHERE {where}",
        delete_joined: "DELETE FROM {table} AS u USING {from} WHERE {on} AND {where}",
        purge: "",
        rows_per_purged: 1,
        whole_sum: "{}",
        allow_null: "ALTER COLUMN {name} DROP NOT NULL",
        change_type: "ALTER COLUMN {name} TYPE {type}",
        loose_update: "UPDATE {}",
        alters_together: true,
        survives_refusals: false,
        few: Few::Indexes,
        compares_rows: true,
        locks_in_order: true,
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

    fn value(&mut self, _: Holds, value: &Value) {
        self.0.push(format!("{value:?}"));
    }

    fn begin_arrays(&mut self, columns: usize) {
        self.0.push(format!("{columns} arrays:"));
    }

    fn end_arrays(&mut self) {
        self.0.push("end".to_owned());
    }
}

/// A statement as it is sent.
pub(crate) fn sent(sql: Sql<Bound>, dialect: &Dialect) -> (String, Vec<String>) {
    let (text, Bound(values)) = sql.into_parts(dialect, "\"shop\".");
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
