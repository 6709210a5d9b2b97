//! How PostgreSQL spells statements.

use fastsync_dao_kit::sql::{
    ColumnTypes, Defaults, Dialect, Few, Forms, Lists, Literals, Marks, Numbers, Texts, Upsert,
};

/// A day or moment as text, whatever `DateStyle` is; the year before 1 is 0.
macro_rules! dated {
    ($moment:literal, $rest:literal) => {
        concat!(
            "(CASE WHEN {} < DATE '0001-01-01' THEN '0000' || to_char(",
            $moment,
            ", '",
            $rest,
            "') ELSE to_char(",
            $moment,
            ", 'YYYY",
            $rest,
            "') END) COLLATE \"C\""
        )
    };
}

pub(crate) static POSTGRES: Dialect = Dialect {
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
        // `jsonb` reorders members and respells numbers.
        json: "json",
        uuid: "uuid",
        date: "date",
        text: "text COLLATE \"C\"",
        // Moments have nine digits of a second, where the server's types have six.
        short_text: "text COLLATE \"C\"",
    },
    literals: Literals {
        truths: ["false", "true"],
        text: "'{doubled}'",
        bytes: "'\\x{}'::bytea",
        real: "'{}'::double precision",
        decimal: "'{}'::numeric",
        defaults: Defaults::Plain,
    },
    collation: "C",
    by_bytes: "{} COLLATE \"C\"",
    texts: Texts {
        date: dated!("{}", "-MM-DD"),
        time: "to_char({}, 'HH24:MI:SS.US\"000\"') COLLATE \"C\"",
        local: dated!("{}", "-MM-DD\"T\"HH24:MI:SS.US\"000\""),
        instant: dated!("({} AT TIME ZONE 'UTC')", "-MM-DD\"T\"HH24:MI:SS.US\"000Z\""),
        other: "{}::text COLLATE \"C\"",
    },
    table_options: "",
    known: "COALESCE({}, FALSE)",
    orders: ["ASC NULLS FIRST", "DESC NULLS LAST"],
    decimal_mark: "?::numeric",
    by_size: "{}",
    contains: None,
    decimal_read: "{}::text",
    has_zeros: false,
    forms: Forms {
        upsert: Upsert::OnConflict,
        numbers: Numbers::Returning,
        index_hint: "",
        join: "JOIN",
        delete: "DELETE FROM {table} AS u WHERE {where}",
        delete_joined: "DELETE FROM {table} AS u USING {from} WHERE {on} AND {where}",
        purge: "DELETE FROM fastsync_records WHERE zone = ? AND deleted AND position > 0 AND position <= ? \
                AND `change` = 0",
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
