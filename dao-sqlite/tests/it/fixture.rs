//! A database that version 1 wrote is read by every later version. The fixture is never written again; a later
//! version of the sync tables gets one of its own.

use std::path::{Path, PathBuf};

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource, Synchronous, rusqlite::Connection};

const UUID: &str = "0192f0c1-2b3a-7c4d-8e5f-a6b7c8d9e0f1";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.db")
}

fn team() -> Zone {
    Zone::restricted("team").unwrap()
}

fn session(n: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(n))
}

fn revised(mut record: Record, revision: u64) -> Record {
    record.metadata.revision = Revision::from_bits(revision);
    record
}

/// Every kind of content: live records, tombstones, pending edits, a staged batch, state, two zones, three kinds of
/// id, tokens beyond the signed range.
fn commits() -> Vec<Commit> {
    let note =
        |key: &str, text: Option<&str>| record("notes", &team(), key, text.map(|text| vec![text.into()]));
    let pending =
        |record: Record| Write { action: Action::Put { record, pending: true }, ..put(item("x", "x")) };
    let plans = [
        (true, vec![put(revised(item(UUID, "uuid"), u64::MAX)), put(revised(item("007", "seven"), 2))]),
        (true, vec![put(revised(note("n1", Some("hello")), 3)), put(revised(note("n2", Some("bye")), 4))]),
        (true, vec![put(revised(note("n2", None), 5)), put(revised(item("gone", "x"), 6))]),
        (true, vec![put(revised(record("items", &Zone::Global, "gone", None), 7))]),
        (false, vec![pending(revised(item("007", "edited"), 2)), pending(revised(note("n1", None), 3))]),
    ];
    let make = |(n, (positioned, writes)): (usize, (bool, Vec<Write>))| Commit {
        session: session(n as u128 + 1),
        tag: Tag(u64::MAX - n as u64),
        author: Author { user: Some("ann".into()), device: device(), number: n as u64 },
        positioned,
        state: vec![StateWrite::set("cursor", Some(vec![0, 255, u8::try_from(n).unwrap()]))],
        ..commit(writes)
    };
    plans.into_iter().enumerate().map(make).collect()
}

/// How the fixture came to be. With `FASTSYNC_WRITE_FIXTURE=1`, when a version of the sync tables is finished, it
/// writes the file; otherwise it shows that today's version still writes the same contents.
#[tokio::test]
async fn the_contents_are_written_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v1.db");
    let source = SqliteDataSource::open(&path).unwrap();
    source.prepare(&[items(), notes()]).await.unwrap();
    for commit in commits() {
        assert!(matches!(source.commit(commit).await.unwrap(), CommitOutcome::Applied(_)));
    }
    source.stage(session(99), 1, vec![put(revised(item("staged", "later"), 9))]).await.unwrap();
    assert_eq!(source.purge(&Zone::Global, Position(1)).await.unwrap(), 0);
    if std::env::var_os("FASTSYNC_WRITE_FIXTURE").is_some() {
        let sql = Connection::open(&path).unwrap();
        sql.execute("VACUUM INTO ?1", [fixture().to_str().unwrap()]).unwrap();
    }
    let copy = folder.path().join("copy.db");
    std::fs::copy(fixture(), &copy).unwrap();
    let old = SqliteDataSource::open(&copy).unwrap();
    for zone in [Zone::Global, team()] {
        let (now, then) = (page(&source, &request(&zone)).await, page(&old, &request(&zone)).await);
        assert_eq!((now.records, now.head), (then.records, then.head));
    }
}

/// Fails if what a newer release wrote is taken for damage, or is lost.
#[tokio::test]
async fn a_later_form_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let later = async |name: &str, change: &str| {
        let path = folder.path().join(name);
        std::fs::copy(fixture(), &path).unwrap();
        assert_eq!(Connection::open(&path).unwrap().execute(change, []).unwrap(), 1, "{change}");
        let source = SqliteDataSource::open(&path)?;
        let writes = Writes::Staged { overrides: Vec::new() };
        let staged = Commit { session: session(99), writes, ..commit(Vec::new()) };
        source.commit(staged).await.map(drop)
    };
    let unchanged = later("1", "UPDATE fastsync_staged SET sequence = sequence").await;
    unchanged.unwrap();
    for (name, change) in [
        ("2", "UPDATE fastsync_staged SET writes = CAST(x'02' || substr(writes, 2) AS BLOB)"),
        (
            "3",
            "UPDATE fastsync_types SET schema = replace(schema, '\"form\":1', '\"form\":2') WHERE name = 'items'",
        ),
    ] {
        let error = later(name, change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{change}: {error}");
        assert!(error.message().contains("newer release"), "{error}");
    }
}

#[tokio::test]
async fn version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.db");
    std::fs::copy(fixture(), &path).unwrap();
    let config = SqliteConfig::new(&path).synchronous(Synchronous::Normal);
    let source = SqliteDataSource::open_with(&config).unwrap();

    // The types are known without `prepare`, and preparing them again is fine.
    let global = page(&source, &request(&Zone::Global)).await;
    source.prepare(&[items(), notes()]).await.unwrap();
    assert_eq!(ids(&global.records), ["007", UUID, "gone"]);
    let restricted = page(&source, &request(&team())).await;
    assert_eq!(ids(&restricted.records), ["n1", "n2"]);
    assert!(restricted.records.iter().all(Record::is_deleted) && global.records[2].is_deleted());
    assert_eq!((global.head.position, global.head.tag), (Position(3), Tag(u64::MAX - 3)));
    assert_eq!((restricted.head.position, restricted.head.tag), (Position(2), Tag(u64::MAX - 2)));

    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap();
    assert_eq!(ids(&found), ["007", UUID]);
    assert_eq!(found[0].body.as_deref().unwrap()[..2], ["edited".into(), Value::Integer(1)]);
    assert_eq!(found[1].metadata.revision, Revision::from_bits(u64::MAX));
    assert_eq!(found[1].metadata.modified_by, device());

    let pending = source.pending(0, 10).await.unwrap();
    assert_eq!(ids(&pending), ["007", "n1"]);
    assert!(pending.iter().all(|record| record.metadata.change == 5));
    assert_eq!(source.state("cursor").await.unwrap(), Some(vec![0, 255, 4]));

    let summary = source.session(session(3)).await.unwrap().unwrap();
    assert_eq!(summary.positions, [(Zone::Global, Position(2)), (team(), Position(2))]);
    assert_eq!(summary.counts, [(name("items"), 1), (name("notes"), 1)]);
    assert_eq!(summary.author.user.as_deref(), Some("ann"));
    assert_eq!(source.sessions(&Zone::Global, Position::START, 10).await.unwrap().len(), 3);

    // What was staged can be committed, and what was committed cannot be again.
    let staged = Commit {
        session: session(99),
        writes: Writes::Staged { overrides: Vec::new() },
        ..commit(Vec::new())
    };
    assert!(matches!(source.commit(staged).await.unwrap(), CommitOutcome::Applied(_)));
    assert_eq!(source.get(&name("items"), &Zone::Global, &[id("staged")]).await.unwrap().len(), 1);
    let again = commits().remove(0);
    assert!(matches!(source.commit(again).await.unwrap(), CommitOutcome::Duplicate(_)));
    // The horizon was moved to 1: a reader in the middle of that position has to start over.
    let point = Point {
        position: Position(1),
        tag: Tag(u64::MAX),
        within: Some((name("items"), id("007"))),
        ..Point::START
    };
    // And so has one that was loading, elsewhere.
    let loading = Point { loading: true, horizon: Position(1), ..point.clone() };
    for (after, reason) in [(point, ResetReason::Horizon), (loading, ResetReason::History)] {
        let request = ChangesRequest { after, ..request(&Zone::Global) };
        assert_eq!(source.changes(&request).await.unwrap(), Changes::ResetRequired(reason));
    }
}
