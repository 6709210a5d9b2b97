//! Where MariaDB and MySQL differ: everything that is spelled differently comes from here.

/// Which server this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    MariaDb,
    MySql,
}

/// A server and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) family: Family,
    pub(crate) version: (u32, u32, u32),
}

impl Dialect {
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

    /// The collation of utf8mb4 that compares by code points, which is by the bytes of UTF-8, and pads nothing.
    pub(crate) const fn collation(self) -> &'static str {
        match self.family {
            Family::MariaDb => "utf8mb4_nopad_bin",
            Family::MySql => "utf8mb4_0900_bin",
        }
    }

    /// The end of every `CREATE TABLE`.
    pub(crate) fn table_options(self) -> String {
        let collation = self.collation();
        format!("ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}")
    }

    /// The default of a column. MySQL takes an expression only for the types that are stored apart from their row;
    /// MariaDB takes either, and adds a column with a plain value without writing the rows.
    pub(crate) fn default(self, value: &str) -> String {
        match self.family {
            Family::MariaDb if !value.ends_with(')') => format!("DEFAULT {value}"),
            _ => format!("DEFAULT ({value})"),
        }
    }
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
            assert_eq!(Dialect::parse(text), Dialect { family, version }, "{text}");
        }
    }
}
