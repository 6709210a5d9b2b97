//! What one version stores, every later one reads. `fixtures/VERSION.sql` is never written again: a later form of the sync
//! tables, or of what is in them, gets a file of its own. With `FASTSYNC_ACCEPT_GOLDEN=1` the file of [`TODAY`] is made if
//! it is not there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::common::*;
use fastsync_conformance::stored;
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, PgConnection, query_scalar};

const TODAY: &str = "1";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// What a statement selects, in its order.
async fn lines(connection: &mut PgConnection, select: &str) -> Vec<String> {
    query_scalar(AssertSqlSafe(select.to_owned())).fetch_all(connection).await.unwrap()
}

/// One statement a line, from what the catalogue says. Constraints and indexes follow their tables, and the rows follow them.
async fn dump(connection: &mut PgConnection) -> String {
    let mut dump = String::new();
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1";
    for table in lines(connection, tables).await {
        let of = format!("'\"{table}\"'::regclass");
        let columns = format!(
            "SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) \
             || CASE WHEN a.attcollation = '\"C\"'::regcollation THEN ' COLLATE \"C\"' ELSE '' END \
             || CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END \
             || COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') \
             || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END FROM pg_attribute AS a \
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {of} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        );
        let columns = lines(connection, &columns).await.join(", ");
        writeln!(dump, "CREATE TABLE \"{table}\" ({columns});").unwrap();
        let constraints = format!(
            "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE conrelid = {of} AND contype <> 'n' ORDER BY 1"
        );
        for constraint in lines(connection, &constraints).await {
            writeln!(dump, "ALTER TABLE \"{table}\" ADD CONSTRAINT {constraint};").unwrap();
        }
        let indexes = format!(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = {of} \
             AND indexrelid NOT IN (SELECT conindid FROM pg_constraint) ORDER BY 1"
        );
        for index in lines(connection, &indexes).await {
            writeln!(dump, "{index};").unwrap();
        }
        let names = format!(
            "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = {of} AND attnum > 0 AND NOT attisdropped \
             ORDER BY attnum"
        );
        let names = lines(connection, &names).await;
        let values: Vec<_> = names.iter().map(|name| format!("quote_nullable({name}::text)")).collect();
        let rows = format!("SELECT concat_ws(', ', {}) FROM \"{table}\" ORDER BY 1", values.join(", "));
        for row in lines(connection, &rows).await {
            let names = names.join(", ");
            writeln!(dump, "INSERT INTO \"{table}\" ({names}) OVERRIDING SYSTEM VALUE VALUES ({row});")
                .unwrap();
        }
    }
    // Numbers that are given from now on are new.
    for table in ["zones", "types", "devices"] {
        let next = format!("SELECT COALESCE(MAX(n), 0) + 1 FROM fastsync_{table}");
        writeln!(dump, "SELECT setval(pg_get_serial_sequence('fastsync_{table}', 'n'), ({next}), false);")
            .unwrap();
    }
    dump
}

#[tokio::test]
async fn todays_version_is_kept() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    stored::fill(&source).await;
    let path = fixtures().join(TODAY).with_extension("sql");
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(fixtures()).unwrap();
        std::fs::write(&path, dump(&mut database.stranger().await).await).unwrap();
    }
    assert!(path.exists(), "there is no fixture of version {TODAY}");
    stored::check(&source).await;
}

#[tokio::test]
async fn every_version_is_read() {
    for version in std::fs::read_dir(fixtures()).unwrap() {
        let Some(database) = database() else { return };
        let lines = std::fs::read_to_string(version.unwrap().path()).unwrap();
        database.sql(lines).await;
        stored::check(&open(&database).await).await;
    }
}
