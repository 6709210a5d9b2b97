//! Tests that need what is inside: the plans of the statements, the limits of a connection.

use fastsync_conformance::samples::{named, session};
use fastsync_core::SyncableDataSource as _;
use fastsync_core::source::{Commit, Preparation, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, Query, TypeName, Zone};
use rusqlite::Connection;

use crate::{SqliteConfig, SqliteDataSource, acknowledge, feed, read};

pub(crate) async fn open(path: &std::path::Path) -> SqliteDataSource {
    let source = SqliteDataSource::open_with(&SqliteConfig::new(path).readers(1)).unwrap();
    source.prepare(&[named()], Preparation::Apply).await.unwrap();
    source
}

/// A session of new records.
pub(crate) fn commit(number: u128, records: usize) -> Commit {
    session(number, (0..records).map(|_| Some("x".repeat(200))))
}

#[tokio::test]
async fn hot_statements_use_their_indexes_and_sort_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let source = open(&path).await;
    source.commit_alone(commit(1, 10)).await.unwrap();
    let sql = Connection::open(&path).unwrap();
    let statements = [
        (feed::FEED, "INDEX fastsync_feed (zone=? AND (session,type,id)>(?,?,?))"),
        (feed::REMAINING, "COVERING INDEX fastsync_feed (zone=? AND (session,type,id)>(?,?,?))"),
        (feed::PURGE, "fastsync_tombstones (zone=? AND session"),
        (read::PENDING, "fastsync_pending (change>?)"),
        (acknowledge::PENDING_OF, "fastsync_pending (change=?)"),
        (acknowledge::CONFIRM, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (read::GET, "autoindex_fastsync_records"),
        ("SELECT name FROM items WHERE id = ?1", "autoindex"),
    ];
    for (query, index) in statements {
        let mut statement = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let rows = statement.raw_query().mapped(|row| row.get::<_, String>(3));
        let plan = rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n");
        assert!(plan.contains(index), "{query}\n{plan}");
        let sorts = plan.contains("TEMP B-TREE") && !query.contains("GROUP BY");
        assert!(!sorts && !plan.contains("SCAN"), "{query}\n{plan}");
    }
}

#[tokio::test]
async fn a_full_database_keeps_what_it_has_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(&folder.path().join("app.db")).await;
    source.commit_alone(commit(1, 10)).await.unwrap();
    // Limits belong to connections.
    let limit = |pages: u32| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        source.on_writer("test", move |store| Ok(store.connection.execute_batch(&sql)?))
    };
    limit(60).await.unwrap();
    let error = source.commit_alone(commit(2, 2_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
    let all = Query::all(TypeName::new("items").unwrap(), Zone::Global);
    assert_eq!(source.count(&all).await.unwrap(), 10);
    limit(100_000).await.unwrap();
    source.commit_alone(commit(2, 2_000)).await.unwrap();
    assert_eq!(source.count(&all).await.unwrap(), 2_010);
}
