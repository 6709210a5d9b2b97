//! The lost-row test: 16 pushers in two processes that are killed now and then, and 4 pullers, on one
//! database. No pusher waits for another, some of their calls are abandoned, and all contend for a few
//! records. Nothing is lost, nothing comes in part, positions have no gap; and a naive way to number
//! sessions, positions first, is caught.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::MongoDataSource;
use fastsync_dao_mongo::mongodb::Database;
use fastsync_dao_mongo::mongodb::bson::{Document, doc};
use fastsync_dao_mongo::mongodb::options::ReturnDocument;
use futures_util::TryStreamExt;

const PUSHERS: u64 = 16;
const CONTENDED: u64 = 3;
/// How often each of the two processes is killed.
const KILLS: u64 = 3;
/// How long the pushers may take, for their usual number of sessions.
const LONGEST: Duration = Duration::from_secs(600);
/// Tells a process of this test that it is one of the two, and what it does.
const CHILD: &str = "FASTSYNC_LOST_ROWS_CHILD";

/// Sessions of each pusher; `FASTSYNC_LOST_ROWS` asks for more.
fn sessions() -> u64 {
    std::env::var("FASTSYNC_LOST_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// A number that looks random and is the same in every run.
fn spread(n: u64) -> u64 {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits ^ (bits >> 27)
}

fn session_id(pusher: u64, number: u64) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u64_pair(pusher + 1, number))
}

/// How many rows of its own a session brings.
fn rows_of(pusher: u64, number: u64) -> u64 {
    1 + spread(pusher * 1_000_003 + number) % 20
}

fn row(pusher: u64, number: u64, n: u64) -> Write {
    put(item(&format!("row-{pusher:02}-{number:05}-{n:02}"), "row"))
}

/// Asks again as long as the server is not there.
macro_rules! again {
    ($ask:expr) => {
        loop {
            match $ask.await {
                Ok(answer) => break answer,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
}

/// One pusher. It goes on where the process that was killed had come to.
async fn push(source: MongoDataSource, pusher: u64, sessions: u64) {
    for number in 1..=sessions {
        if again!(source.session(session_id(pusher, number))).is_some() {
            continue;
        }
        push_one(&source, pusher, number).await;
        if spread(pusher ^ (number << 8)).is_multiple_of(3) {
            tokio::time::sleep(Duration::from_micros(spread(number) % 3_000)).await;
        }
    }
}

/// One session: rows of its own, and one more on a counter that others raise too.
async fn push_one(source: &MongoDataSource, pusher: u64, number: u64) {
    let counter = format!("counter-{}", number % CONTENDED);
    let mut attempt = 0;
    loop {
        let found = again!(source.get(&name("items"), &Zone::Global, &[id(&counter)]));
        let count = found.first().map_or(0, |record| match record.body.as_deref() {
            Some([_, Value::Integer(count), _]) => *count,
            _ => panic!("a counter has a count"),
        });
        let mut raised = item(&counter, "counter");
        raised.body.as_mut().unwrap()[1] = Value::Integer(count + 1);
        raised.metadata.revision = Revision::from_bits(spread(pusher << 40 | number << 8 | attempt) | 1);
        let expect =
            found.first().map_or(Expect::Absent, |record| Expect::Revision(record.metadata.revision));
        let mut writes: Vec<_> = (0..rows_of(pusher, number)).map(|n| row(pusher, number, n)).collect();
        writes.push(Write { expect, ..put(raised) });
        let commit = Commit { session: session_id(pusher, number), ..commit(writes) };
        attempt += 1;
        // Some give up waiting; the session may then be there or not.
        let patience =
            Duration::from_micros(if attempt % 7 == 3 { spread(attempt) % 20_000 } else { 60_000_000 });
        match tokio::time::timeout(patience, source.commit_alone(commit)).await {
            Err(_) | Ok(Ok(CommitOutcome::Conflicts { .. })) => {}
            Ok(Ok(CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_))) => return,
            Ok(Err(error)) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

/// A process with half of the pushers; nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (database, half) = told.split_once('|').unwrap();
    let half: u64 = half.parse().unwrap();
    let source = again!(MongoDataSource::connect(&url().unwrap(), database));
    again!(source.prepare(&[items()], Preparation::Apply));
    let pushers = half * PUSHERS / 2..(half + 1) * PUSHERS / 2;
    let tasks = pushers.map(|pusher| tokio::spawn(push(source.clone(), pusher, sessions())));
    for task in tasks.collect::<Vec<_>>() {
        tokio::time::timeout(LONGEST, task).await.expect("a pusher ends").unwrap();
    }
}

fn start(database: &str, half: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lost_rows::child", "--nocapture"]).env(CHILD, format!("{database}|{half}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// Runs both processes to their end, with kills on the way.
async fn push_and_kill(database: &str) {
    let halves = [0, 1].map(|half| {
        let database = database.to_owned();
        tokio::spawn(async move {
            for kill in 0..KILLS {
                let mut child = start(&database, half);
                tokio::time::sleep(Duration::from_millis(700 + spread(kill * 2 + half) % 1_500)).await;
                child.kill().unwrap();
                child.wait().unwrap();
            }
            let mut child = start(&database, half);
            let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            assert!(status.success(), "the pushers of half {half} end with {status}");
        })
    });
    for half in halves {
        half.await.unwrap();
    }
}

/// Where a puller reads.
#[derive(Clone)]
enum Feed {
    Real(MongoDataSource),
    /// Rows with the number of their session, which it took before it wrote them.
    Naive(Database),
}

/// What a puller was sent: the latest value of each row.
type Replica = BTreeMap<String, i64>;

impl Feed {
    /// Reads what follows a point into the replica; tells whether it reached the head.
    async fn page(&self, after: &mut Point, records: usize, replica: &mut Replica) -> bool {
        match self {
            Self::Real(source) => {
                let limits = PageLimits { records, bytes: 1 << 20 };
                let request =
                    ChangesRequest { after: after.clone().into(), limits, ..request(&Zone::Global) };
                let Changes::Page(page) = again!(source.changes(&request)) else { panic!("a page") };
                for record in page.records {
                    let Some([_, Value::Integer(count), _]) = record.body.as_deref() else {
                        panic!("an item")
                    };
                    let before = replica.insert(record.key.id.as_str().to_owned(), *count).unwrap_or(0);
                    assert!(before <= *count, "{} went back from {before} to {count}", record.key.id);
                }
                *after = page.next;
                page.caught_up
            }
            Self::Naive(database) => {
                let rows = database.collection::<Document>("naive");
                let later = doc! { "position": { "$gt": after.position.0.cast_signed() } };
                let found: Vec<_> =
                    rows.find(later).sort(doc! { "position": 1 }).await.unwrap().try_collect().await.unwrap();
                for row in &found {
                    replica.insert(row.get_str("_id").unwrap().to_owned(), 1);
                    after.position = Position(row.get_i64("position").unwrap().cast_unsigned());
                }
                true
            }
        }
    }
}

/// A client that pulls, with what it has so far.
struct Puller {
    feed: Feed,
    records: usize,
    after: Point,
    replica: Replica,
}

impl Puller {
    fn new(feed: Feed, records: usize) -> Self {
        Self { feed, records, after: Point::START, replica: Replica::new() }
    }
}

/// Pulls until everyone is done, and once more.
async fn pull(mut puller: Puller, done: Arc<AtomicBool>) -> Puller {
    let Puller { feed, records, after, replica } = &mut puller;
    loop {
        let is_last = done.load(Ordering::SeqCst);
        while !feed.page(after, *records, replica).await {}
        // A session raises one counter by one and brings rows of its own, so a reader that caught up can
        // count.
        let is_real = matches!(feed, Feed::Real(_));
        let raised: i64 = replica.iter().filter(|(key, _)| key.starts_with("counter")).map(|(_, n)| n).sum();
        let seen: BTreeSet<_> = replica.keys().filter_map(|key| key.strip_prefix("row-")?.get(..8)).collect();
        assert!(
            !is_real || usize::try_from(raised) == Ok(seen.len()),
            "{raised} sessions by counters, {} by rows",
            seen.len()
        );
        if is_last {
            return puller;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_lost_while_16_pushers_in_two_processes_are_killed() {
    let Some(scratch) = Scratch::new() else { return };
    let source = scratch.items().await;
    let database = source.database().name().to_owned();
    let done = Arc::new(AtomicBool::new(false));
    let feed = || Feed::Real(source.clone());
    let pullers = [7, 50, 333, 5_000]
        .map(|records| tokio::spawn(pull(Puller::new(feed(), records), Arc::clone(&done))));
    tokio::time::timeout(LONGEST, push_and_kill(&database)).await.expect("the pushers end");
    done.store(true, Ordering::SeqCst);

    let sessions = sessions();
    let mut expected = Replica::new();
    for (pusher, number) in (0..PUSHERS).flat_map(|pusher| (1..=sessions).map(move |number| (pusher, number)))
    {
        *expected.entry(format!("counter-{}", number % CONTENDED)).or_default() += 1;
        for n in 0..rows_of(pusher, number) {
            expected.insert(row(pusher, number, n).action.key().id.as_str().to_owned(), 1);
        }
    }
    for puller in pullers {
        let Puller { replica, .. } = soon(puller).await.unwrap();
        let missed = expected.keys().filter(|key| !replica.contains_key(*key)).count();
        assert!(replica == expected, "a puller missed {missed} of {} rows", expected.len());
    }
    let audit = source.sessions_of(&Zone::Global, Position::START, usize::MAX).await.unwrap();
    let positions: Vec<_> = audit.iter().map(|session| session.positions[0].1.0).collect();
    assert_eq!(positions, (1..=PUSHERS * sessions).collect::<Vec<_>>(), "each session once, without a gap");
}

/// The same pullers on sessions that take their number first: they lose rows, so the test can fail. One
/// session takes the first number and writes when the others are done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_taken_first_lose_rows() {
    let Some(scratch) = Scratch::new() else { return };
    let database = scratch.database().await;
    let done = Arc::new(AtomicBool::new(false));
    let first = naive_number(&database).await.unwrap();
    let feed = || Feed::Naive(database.clone());
    let pullers = [7, 50].map(|records| tokio::spawn(pull(Puller::new(feed(), records), Arc::clone(&done))));
    let tasks = (0..PUSHERS).map(|pusher| tokio::spawn(push_naive(database.clone(), pusher)));
    let mut pushed = 0;
    for task in tasks.collect::<Vec<_>>() {
        pushed += task.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let mut caught_up = Vec::new();
    for puller in pullers {
        caught_up.push(soon(puller).await.unwrap());
    }
    write_naive(&database, "row-late", first).await;
    for puller in caught_up {
        let Puller { replica, .. } = soon(pull(puller, Arc::clone(&done))).await;
        assert!(!replica.contains_key("row-late"), "the naive numbering lost nothing");
        assert!(replica.len() <= pushed);
    }
}

/// The number of a session that is to be written; `None` if two took it at once.
async fn naive_number(database: &Database) -> Option<i64> {
    let counters = database.collection::<Document>("counters");
    let counted = counters
        .find_one_and_update(doc! { "_id": "global" }, doc! { "$inc": { "last": 1_i64 } })
        .upsert(true)
        .return_document(ReturnDocument::After);
    counted.await.ok().flatten().map(|counted| counted.get_i64("last").unwrap())
}

async fn write_naive(database: &Database, id: &str, position: i64) {
    let row = doc! { "_id": id, "position": position };
    database.collection::<Document>("naive").insert_one(row).await.unwrap();
}

async fn push_naive(database: Database, pusher: u64) -> usize {
    let mut pushed = 0;
    for number in 1..=20_u64 {
        let Some(position) = naive_number(&database).await else { continue };
        tokio::time::sleep(Duration::from_micros(spread(pusher << 8 | number) % 5_000)).await;
        write_naive(&database, &format!("row-{pusher:02}-{number:05}"), position).await;
        pushed += 1;
    }
    pushed
}
