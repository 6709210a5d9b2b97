//! What one version stores, every later one reads. `fixtures/VERSION.sql` is never written again: a later form of the sync
//! tables, or of what is in them, gets a file of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the file of [`TODAY`] is made if
//! it is not there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::*;
use fastsync_conformance::stored;
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, PgConnection, Row, query, query_as, query_scalar};

const TODAY: &str = "1";

/// Stands for the collation that compares by bytes, which has another name on each server.
const COLLATION: &str = "{collation}";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A default in parentheses, which every server takes for texts and blobs, too. A key follows the columns, so a default
/// ends with a comma.
fn with_portable_defaults(create: &str) -> String {
    let mut parts = create.split("DEFAULT ");
    let mut portable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(',').unwrap_or(part.len());
        let (value, rest) = part.split_at(end);
        let is_plain = ["CHARSET", "NULL", "("].iter().any(|plain| value.starts_with(plain));
        let value = if is_plain { value.to_owned() } else { format!("({value})") };
        write!(portable, "DEFAULT {value}{rest}").unwrap();
    }
    portable
}

/// One statement a line.
async fn dump(connection: &mut PgConnection, collation: &str) -> String {
    let tables = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() \
                  ORDER BY table_name";
    let tables: Vec<String> = query_scalar(tables).fetch_all(&mut *connection).await.unwrap();
    let mut lines = String::new();
    for table in tables {
        let create = query(AssertSqlSafe(format!("SHOW CREATE TABLE `{table}`")));
        let create: String = create.fetch_one(&mut *connection).await.unwrap().get(1);
        let create = with_portable_defaults(&create.replace('\n', " ").replace(collation, COLLATION));
        writeln!(lines, "{create};").unwrap();
        let columns = "SELECT CAST(column_name AS CHAR), character_maximum_length IS NOT NULL \
                       FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
                       ORDER BY ordinal_position";
        let columns: Vec<(String, i64)> =
            query_as(columns).bind(&table).fetch_all(&mut *connection).await.unwrap();
        let names: Vec<_> = columns.iter().map(|(name, _)| format!("`{name}`")).collect();
        let values: Vec<_> = columns
            .iter()
            .map(|(name, is_bytes)| match is_bytes {
                0 => format!("COALESCE(CAST(`{name}` AS CHAR), 'NULL')"),
                _ => format!("COALESCE(CONCAT('X\\'', HEX(`{name}`), '\\''), 'NULL')"),
            })
            .collect();
        let select = format!("SELECT CONCAT_WS(', ', {}) FROM `{table}` ORDER BY 1", values.join(", "));
        let rows: Vec<String> =
            query_scalar(AssertSqlSafe(select)).fetch_all(&mut *connection).await.unwrap();
        for row in rows {
            writeln!(lines, "INSERT INTO `{table}` ({}) VALUES ({row});", names.join(", ")).unwrap();
        }
    }
    lines
}

#[tokio::test]
async fn todays_version_is_kept() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    stored::fill(&source).await;
    let path = fixtures().join(TODAY).with_extension("sql");
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(fixtures()).unwrap();
        let collation = exact(&database).await;
        std::fs::write(&path, dump(&mut database.stranger().await, collation).await).unwrap();
    }
    assert!(path.exists(), "there is no fixture of version {TODAY}");
    stored::check(&source).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in std::fs::read_dir(fixtures()).unwrap() {
        let Some(database) = database() else { return };
        let lines = std::fs::read_to_string(version.unwrap().path()).unwrap();
        database.sql(lines.replace(COLLATION, exact(&database).await)).await;
        stored::check(&open(&database).await).await;
    }
}
