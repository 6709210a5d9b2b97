//! Tests that need what is inside: the plans of the statements.

use std::task::Poll;
use std::time::Duration;

use fastsync_conformance::samples::{named as items, session};
use fastsync_core::SyncableDataSource as _;
use fastsync_core::Zone;
use fastsync_core::source::{
    Changes, ChangesRequest, Commit, PageLimits, Point, Preparation, SyncableDataSourceExt as _,
};
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use fastsync_dao_kit::sql::{Database as _, Link as _, Type, hot_statements};

use crate::PostgresDataSource;
use crate::driver::{READ, WRITE};

#[allow(dead_code, unreachable_pub, clippy::print_stderr)]
#[path = "../tests/it/common/server.rs"]
pub(crate) mod server;

/// A session of new records, every tenth of them a tombstone.
pub(crate) fn commit(number: u128, records: usize) -> Commit {
    session(number, (0..records).map(|n| (!n.is_multiple_of(10)).then_some("some text")))
}

/// The lines of a plan.
async fn explain(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {sql}"));
    let rows: Vec<PgRow> = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get_unchecked::<String, _>(0).unwrap()).collect()
}

/// Each is tried with the statistics of a table that nobody has looked at yet, and with those of what is in it.
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
    let source = PostgresDataSource::new(database.pool()).await.unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    for number in 1..=200 {
        source.commit_alone(commit(number, 20)).await.unwrap();
    }
    let mut connection = database.options().connect().await.unwrap();
    let server = source.server();
    let mut link = server.link().await.unwrap();
    let columns = server.columns(&mut link, "items").await.unwrap();
    let kind = Type::new(1, items(), &columns, link.dialect());
    drop(link);
    let cases: Vec<_> = hot_statements(&kind, "public.")
        .into_iter()
        .map(|(sql, index)| {
            let writes = sql.starts_with("DELETE") || sql.ends_with("FOR UPDATE");
            let of_items = !sql.contains("fastsync_records") && sql.contains("\"items\"");
            let index = match index {
                "PRIMARY" if of_items => "items_pkey",
                "PRIMARY" => "fastsync_records_pkey",
                index => index,
            };
            (if writes { WRITE } else { READ }, sql, index)
        })
        .collect();
    assert_eq!(cases.len(), 12);
    for is_analyzed in [false, true] {
        if is_analyzed {
            sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
        }
        for (begin, sql, index) in &cases {
            sqlx::raw_sql(*begin).execute(&mut connection).await.unwrap();
            let plan = explain(&mut connection, sql).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
            let text = plan.join("\n");
            assert!(plan.iter().any(|line| line.contains(index)), "{sql}\n{text}");
            for bad in ["Seq Scan on items", "Seq Scan on fastsync_records", "Hash", "Merge"] {
                assert!(!text.contains(bad), "{bad}: {sql}\n{text}");
            }
            // What is locked in its order may be sorted first, by the thousand.
            assert!(!text.contains("Sort") || *begin == WRITE, "{sql}\n{text}");
        }
    }
}

/// How many rows and index entries the server has read so far for this session: sessions tell it when they end a transaction.
async fn rows_read(pool: &PgPool) -> i64 {
    let select = "SELECT pg_stat_force_next_flush()";
    sqlx::raw_sql(select).execute(pool).await.unwrap();
    let select =
        "SELECT CAST(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)) AS BIGINT) FROM pg_stat_user_tables";
    sqlx::query_scalar(select).fetch_one(pool).await.unwrap()
}

/// Its caller is gone while the server was asked. A connection of which the driver then does not know what it does would
/// be given to the next one with a transaction open, or to nobody any more.
#[tokio::test]
async fn a_read_that_nobody_waits_for_leaves_its_connection_usable() {
    if server::skip().is_some() {
        return;
    }
    let database = server::Database::new();
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_lazy_with(database.options());
    let source = PostgresDataSource::new(pool.clone()).await.unwrap();
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
        let outside = sqlx::raw_sql("VACUUM fastsync_meta").execute(&pool).await;
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
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(database.options());
    let source = PostgresDataSource::new(pool).await.unwrap();
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
