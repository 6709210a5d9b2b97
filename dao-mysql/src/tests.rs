//! Tests that need what is inside: the plans of the statements.

use std::task::Poll;
use std::time::Duration;

use fastsync_core::source::{
    Action, Changes, ChangesRequest, Commit, Expect, OnMismatch, PageLimits, Point, Preparation,
    SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, DeviceId, FieldKind, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision, SessionId,
    SessionKind, SyncMetadata, SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Zone,
};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use uuid::Uuid;

use crate::columns::columns;
use crate::registry::Type;
use crate::{MySqlDataSource, feed, index, load, read, rows, walk};

#[allow(dead_code, unreachable_pub, clippy::print_stderr)]
#[path = "../tests/it/common/server.rs"]
pub(crate) mod server;

pub(crate) fn items() -> TypeSchema {
    TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap()
}

pub(crate) fn commit(number: u128, records: usize) -> Commit {
    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let put = |n: usize| {
        let key = RecordKey {
            zone: Zone::Global,
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::from(Uuid::from_u128((number << 64) + n as u128)),
        };
        let metadata = SyncMetadata {
            revision: Revision::from_bits(1),
            incarnation: Incarnation::from_bits(1),
            modified_at: Hlc::default(),
            modified_by: device,
            change: 0,
        };
        let body = (!n.is_multiple_of(10)).then(|| vec!["some text".into()]);
        Write {
            action: Action::Put { record: Record { key, body, metadata }, pending: false },
            expect: Expect::Absent,
            on_mismatch: OnMismatch::Abort,
        }
    };
    Commit {
        session: SessionId::from_uuid(Uuid::from_u128(number)),
        kind: SessionKind::Push,
        author: Author { user: None, device, number: 1 },
        at: Timestamp::from_millis(0),
        tag: Tag(1),
        positioned: true,
        clears: Vec::new(),
        writes: Writes::Inline((0..records).map(put).collect()),
        state: Vec::new(),
    }
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

/// A statement with a number for each placeholder.
fn filled(sql: &str, values: &[&str]) -> String {
    let mut values = values.iter().copied().chain(std::iter::repeat("1"));
    sql.split_inclusive('?').map(|part| part.replace('?', values.next().unwrap())).collect()
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
    let mut connection = database.options().connect().await.unwrap();
    // Of an empty table every plan reads everything.
    for sql in [
        "INSERT INTO fastsync_pending (`change`, zone, type, id) SELECT position, zone, type, id FROM fastsync_records",
        "ANALYZE TABLE fastsync_records, fastsync_positions, fastsync_pending, items",
    ] {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
    let kind =
        Type::new(1, items(), &columns(&mut connection, "items").await.unwrap(), &source.store().server);
    connection.close().await.unwrap();

    let feed = |place: &str| {
        format!(
            "{}r.zone = 1 AND {place} AND r.type = 1 ORDER BY r.position, r.type, r.id LIMIT 1001",
            walk::select(&kind, walk::FEED)
        )
    };
    let cases = [
        (feed("r.position > 100"), "fastsync_feed"),
        (feed("r.position > 200"), "fastsync_feed"),
        (
            feed(
                "(r.position > 100 OR (r.position = 100 AND r.type > 1) OR (r.position = 100 AND r.type = 1 AND r.id > 'x'))",
            ),
            "fastsync_feed",
        ),
        (feed("r.position > 100 AND r.position NOT IN (120, 130)"), "fastsync_feed"),
        (
            format!(
                "{}r.zone = 1 AND r.type = 1 AND r.id > 'x' AND r.position > 0 ORDER BY r.id LIMIT 1001",
                walk::select(&kind, load::ROWS)
            ),
            "PRIMARY",
        ),
        (filled(walk::OWN, &[]), "fastsync_own"),
        (filled(read::PENDING, &[]), "PRIMARY"),
        (filled(feed::PURGE, &[]), "PRIMARY"),
        (read::get_statement(&kind).replace('?', "1") + "('a', 'b')", "PRIMARY"),
        (read::bodies_statement(&kind) + "('a', 'b')", "PRIMARY"),
        (index::look_up_statement().replace('?', "1") + "('a', 'b') FOR UPDATE", "PRIMARY"),
        (rows::delete_statement(&kind) + "('a', 'b')", "PRIMARY"),
    ];
    for (sql, index) in cases {
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
