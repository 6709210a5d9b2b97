//! Where MariaDB and MySQL differ: everything that is spelled differently comes from here.

use fastsync_dao_kit::sql::{
    ColumnTypes, Defaults, Dialect, Few, Forms, Lists, Literals, Marks, Numbers, Texts, Upsert,
};

/// Which server this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    MariaDb,
    MySql,
}

/// A server and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) family: Family,
    pub(crate) version: (u32, u32, u32),
}

impl Version {
    /// From what the server says of itself, such as `10.11.19-MariaDB-0+deb12u1` or `9.7.4`.
    pub(crate) fn parse(version: &str) -> Self {
        let family =
            if version.to_ascii_lowercase().contains("mariadb") { Family::MariaDb } else { Family::MySql };
        // Some proxies put 5.5.5- before MariaDB's own version.
        let version = version.strip_prefix("5.5.5-").unwrap_or(version);
        let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self { family, version: (next(), next(), next()) }
    }

    /// The oldest version that has everything used here.
    pub(crate) const fn oldest(self) -> (u32, u32, u32) {
        match self.family {
            Family::MariaDb => (10, 6, 0),
            Family::MySql => (8, 0, 17),
        }
    }

    /// How this server spells statements.
    pub(crate) const fn spelling(self) -> &'static Dialect {
        match self.family {
            Family::MariaDb => &MARIADB,
            Family::MySql => &MYSQL,
        }
    }
}

/// The collation of utf8mb4 that compares by code points, which is by the bytes of UTF-8, and pads nothing, has another name
/// on each of them.
macro_rules! dialect {
    ($collation:literal, $defaults:ident, $loose_update:literal) => {
        Dialect {
            quote: '`',
            marks: Marks::Question,
            lists: Lists::Places(65_535),
            is_qualified: false,
            most_keys: 512,
            // Every connection prepares its statements for itself and is told of every place then, so a statement of
            // thousands of them costs as much as what it writes.
            most_rows: 250,
            folds_names: true,
            columns: ColumnTypes {
                // The table says how they compare.
                key: "VARCHAR({})",
                uuid_key: "",
                integer_key: "",
                boolean: "TINYINT(1)",
                integers: ["BIGINT"; 3],
                real: "DOUBLE",
                decimal: "DECIMAL(56,28)",
                bytes: "LONGBLOB",
                // Its own type reorders members and changes numbers.
                json: concat!("LONGTEXT CHARACTER SET utf8mb4 COLLATE ", $collation),
                uuid: "",
                date: "",
                text: concat!("LONGTEXT CHARACTER SET utf8mb4 COLLATE ", $collation),
                short_text: concat!("VARCHAR({}) CHARACTER SET utf8mb4 COLLATE ", $collation),
            },
            literals: Literals {
                truths: ["0", "1"],
                text: "CONVERT(X'{hex}' USING utf8mb4)",
                bytes: "X'{}'",
                real: "{}",
                decimal: "{}",
                defaults: Defaults::$defaults,
            },
            collation: $collation,
            by_bytes: concat!("CONVERT({} USING utf8mb4) COLLATE ", $collation),
            table_options: concat!(
                " ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE ",
                $collation
            ),
            known: "IFNULL({}, 0)",
            orders: ["ASC", "DESC"],
            // A decimal number and a text would be compared as floating point numbers.
            decimal_mark: "CAST(? AS DECIMAL(56,28))",
            by_size: "{}",
            contains: None,
            decimal_read: "{}",
            // Text is the only type here that moments, UUIDs and JSON have.
            texts: Texts { date: "{}", time: "{}", local: "{}", instant: "{}", other: "{}" },
            has_zeros: true,
            forms: Forms {
                upsert: Upsert::OnDuplicateKey,
                numbers: Numbers::LastInsertId,
                index_hint: " FORCE INDEX ({})",
                join: "STRAIGHT_JOIN",
                // Of a small table all rows would be looked at, and each would be waited for.
                delete: "DELETE u FROM {table} AS u FORCE INDEX (PRIMARY) WHERE {where}",
                delete_joined: "DELETE u FROM {from} STRAIGHT_JOIN {table} AS u ON {on} WHERE {where}",
                purge: "DELETE r, t FROM fastsync_tombstones AS t STRAIGHT_JOIN fastsync_records AS r \
                     ON r.zone = t.zone AND r.type = t.type AND r.id = t.id \
                     WHERE t.zone = ? AND t.position <= ? AND r.`change` = 0",
                rows_per_purged: 2,
                whole_sum: "CAST({} AS UNSIGNED)",
                allow_null: "MODIFY COLUMN {name} {declared} NULL",
                change_type: "",
                loose_update: $loose_update,
                alters_together: true,
                survives_refusals: true,
                few: Few::Tables,
                compares_rows: false,
                locks_in_order: false,
            },
        }
    };
}

// MariaDB takes a default either way, and adds a column with a plain value without writing the rows. MySQL takes an expression
// only for the types that are stored apart from their row.
static MARIADB: Dialect =
    dialect!("utf8mb4_nopad_bin", ExpressionsOfCalls, "SET STATEMENT foreign_key_checks = 0 FOR UPDATE {}");

static MYSQL: Dialect =
    dialect!("utf8mb4_0900_bin", Expressions, "UPDATE /*+ SET_VAR(foreign_key_checks = OFF) */ {}");

/// How a server spells statements whose transactions end with the first refusal.
#[cfg(test)]
pub(crate) const fn careful(dialect: &Dialect) -> Dialect {
    Dialect { forms: Forms { survives_refusals: false, ..dialect.forms }, ..*dialect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, family, version) in [
            ("10.11.19-MariaDB-0+deb12u1", Family::MariaDb, (10, 11, 19)),
            ("5.5.5-10.6.1-MariaDB-log", Family::MariaDb, (10, 6, 1)),
            ("9.7.4", Family::MySql, (9, 7, 4)),
            ("8.0.36-28.1", Family::MySql, (8, 0, 36)),
            ("nonsense", Family::MySql, (0, 0, 0)),
        ] {
            assert_eq!(Version::parse(text), Version { family, version }, "{text}");
        }
    }
}
