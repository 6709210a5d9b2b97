//! Tests that need what is inside: the plans of the statements.

use std::task::Poll;
use std::time::Duration;

use fastsync_conformance::samples::{named as items, session};
use fastsync_core::SyncableDataSource as _;
use fastsync_core::source::{
    Changes, ChangesRequest, Commit, CommitOutcome, ConflictReason, OnMismatch, PageLimits, Point,
    Preparation, SyncableDataSourceExt as _, Writes,
};
use fastsync_core::{Query, TypeName, Zone};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, Row as _};

use fastsync_dao_kit::sql::{Access, Database as _, Link as _, Row as _, Sql, Type, hot_statements};

use crate::MySqlDataSource;

#[allow(dead_code, unreachable_pub, clippy::print_stderr)]
#[path = "../tests/it/common/server.rs"]
pub(crate) mod server;

/// A session of new records, every tenth of them a tombstone.
pub(crate) fn commit(number: u128, records: usize) -> Commit {
    session(number, (0..records).map(|n| (!n.is_multiple_of(10)).then_some("some text")))
}

/// Every row of a plan: table, access, key, extra.
async fn explain(pool: &MySqlPool, sql: &str) -> Vec<(String, String, String, String)> {
    let mut connection = pool.acquire().await.unwrap();
    // MySQL 9 draws a tree unless it is told.
    let explain = AssertSqlSafe(format!("EXPLAIN FORMAT=TRADITIONAL {sql}"));
    let rows: Vec<MySqlRow> = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
    let text = |row: &MySqlRow, name: &str| {
        row.try_get_unchecked::<Option<String>, _>(name).unwrap().unwrap_or_default()
    };
    rows.iter()
        .map(|row| (text(row, "table"), text(row, "type"), text(row, "key"), text(row, "Extra")))
        .collect()
}

#[tokio::test]
async fn hot_statements_use_their_indexes_and_sort_nothing() {
    if let Some(reason) = server::skip() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: {reason}");
        }
        return;
    }
    let database = server::Database::new();
    let source = MySqlDataSource::new(database.pool()).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    for number in 1..=200 {
        source.commit_alone(commit(number, 20)).await.unwrap();
    }
    // Of an empty table every plan reads everything.
    for sql in [
        "INSERT INTO fastsync_pending (`change`, zone, type, id) SELECT position, zone, type, id FROM fastsync_records",
        "ANALYZE TABLE fastsync_records, fastsync_positions, fastsync_pending, items",
    ] {
        sqlx::raw_sql(sql).execute(source.pool()).await.unwrap();
    }
    let server = source.server();
    let mut link = server.link().await.unwrap();
    let columns = server.columns(&mut link, "items").await.unwrap();
    let kind = Type::new(1, items(), &columns, link.dialect());
    drop(link);

    for (sql, index) in hot_statements(&kind, "") {
        for (table, access, key, extra) in explain(source.pool(), &sql).await {
            // An answer that is known to be empty without looking has no plan.
            if extra.contains("Impossible") || extra.contains("no matching row") {
                continue;
            }
            assert!(
                matches!(&*access, "range" | "ref" | "eq_ref" | "const"),
                "{sql}\n{table} {access} {key} {extra}"
            );
            assert!(key == index || key == "PRIMARY", "{sql}\n{table} {access} {key} {extra}");
            assert!(!extra.contains("filesort") && !extra.contains("temporary"), "{sql}\n{table} {extra}");
        }
    }
}

/// How many rows the engine has read so far in this session.
async fn rows_read(pool: &MySqlPool) -> u64 {
    let rows: Vec<MySqlRow> =
        sqlx::raw_sql("SHOW SESSION STATUS LIKE 'Handler_read%'").fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.try_get_unchecked::<String, _>(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// Its caller is gone while the server was asked. A connection of which the driver then does not know what it does would
/// be given to the next one with a transaction open, or to nobody any more.
#[tokio::test]
async fn a_read_that_nobody_waits_for_leaves_its_connection_usable() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    let pool = MySqlPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_lazy_with(database.options());
    let source = MySqlDataSource::new(pool.clone()).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    for (polls, pause) in (1..20).flat_map(|polls| [0, 100, 300, 2_000].map(|micros| (polls, micros))) {
        let request = pull(Point::START);
        let mut call = source.changes(&request);
        for _ in 0..polls {
            let once = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context)));
            if once.await.is_ready() {
                break;
            }
            // The server answers, and nobody reads it.
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        drop(call);
        // Refused inside a transaction.
        let outside = sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&pool).await;
        assert!(
            outside.is_ok(),
            "after {polls} polls, {pause} us apart, of a call that was given up: {outside:?}"
        );
    }
}

fn pull(after: Point) -> ChangesRequest {
    ChangesRequest {
        zone: Zone::Global,
        after: after.into(),
        types: None,
        skip_own: None,
        limits: PageLimits { records: 100, bytes: 1 << 24 },
        count_remaining: false,
    }
}

#[tokio::test]
async fn an_empty_pull_and_a_page_read_as_much_after_many_sessions_as_after_few() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    // One connection, so that the session's counters are those of the reads.
    let pool = MySqlPoolOptions::new().max_connections(1).connect_lazy_with(database.options());
    let source = MySqlDataSource::new(pool).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let mut costs = Vec::new();
    let mut done = 0;
    for sessions in [100, 1_000] {
        for number in done + 1..=sessions {
            source.commit_alone(commit(number, 4)).await.unwrap();
        }
        done = sessions;
        let mut request = pull(Point::START);
        let mut cost = Vec::new();
        for _ in 0..2 {
            let before = rows_read(source.pool()).await;
            let Changes::Page(page) = source.changes(&request).await.unwrap() else { panic!("a page") };
            cost.push(rows_read(source.pool()).await - before);
            // The second read begins at the end and finds nothing.
            request.after = Point::at(page.head).into();
        }
        costs.push(cost);
    }
    let [few, many] = &costs[..] else { panic!("two measurements") };
    for (few, many) in few.iter().zip(many) {
        assert!(*many <= few + few / 5, "rows read after 100 and after 1,000 sessions: {costs:?}");
    }
}

/// What a transaction wrote must not be committed by whoever has the connection next.
#[tokio::test]
async fn a_transaction_that_nobody_ends_is_taken_back() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    let pool = MySqlPoolOptions::new().max_connections(1).connect_lazy_with(database.options());
    let source = MySqlDataSource::new(pool).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    let insert = || Sql::new("INSERT INTO items (id, name) VALUES ('a', 'b')");
    let count = || Sql::new("SELECT COUNT(*) FROM items");
    for is_dropped in [true, false] {
        let mut link = source.server().link().await.unwrap();
        link.begin(Access::Write).await.unwrap();
        link.execute(insert()).await.unwrap();
        if is_dropped {
            drop(link);
            link = source.server().link().await.unwrap();
        } else {
            // As if its end had failed.
            link.begin(Access::Write).await.unwrap();
            link.commit().await.unwrap();
        }
        assert_eq!(link.all(count()).await.unwrap()[0].number(0).unwrap(), 0, "dropped: {is_dropped}");
    }
}

/// There are servers whose transactions end with the first refusal. This one's do not, and go on behind a savepoint as well.
#[tokio::test]
async fn refused_rows_are_told_apart_behind_savepoints() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    let source = MySqlDataSource::careful(database.pool()).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    database.sql("CREATE UNIQUE INDEX names ON items (name(20))").await;
    // The first of ten records is a deletion, and the others have one name.
    let CommitOutcome::Conflicts { writes, state } = source.commit_alone(commit(1, 3)).await.unwrap() else {
        panic!("two rows have one name")
    };
    assert!(state.is_empty() && writes.len() == 1, "{writes:?}");
    assert!(matches!(writes[0].reason, ConflictReason::Constraint(_)), "{writes:?}");
    let mut skipping = commit(2, 3);
    if let Writes::Inline(writes) = &mut skipping.writes {
        writes.iter_mut().for_each(|write| write.on_mismatch = OnMismatch::Skip);
    }
    let CommitOutcome::Applied(receipt) = source.commit_alone(skipping).await.unwrap() else {
        panic!("the other row is written")
    };
    assert_eq!(receipt.skipped.len(), 1);
    let all = Query::all(TypeName::new("items").unwrap(), Zone::Global);
    assert_eq!(source.count(&all).await.unwrap(), 1);
}
