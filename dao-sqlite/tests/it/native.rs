//! What only SQLite has: locks, damaged files, several handles on one file, the order of ids.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sqlite::rusqlite::{self, Connection};
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource};

#[test]
fn sqlite_is_new_enough() {
    assert!(rusqlite::version_number() >= 3_051_003);
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_reads_go_on() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("a", "one"))]).await;
    let other = fixture.sql();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE items SET name = 'changed'").unwrap();
    // Reads see the committed state and do not wait.
    let found = source.get(&name("items"), &Zone::Global, &[id("a")]).await.unwrap();
    assert_eq!(found[0].body.as_ref().unwrap()[0], "one".into());
    let error = source.commit_alone(commit(vec![put(item("b", "two"))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    other.execute_batch("COMMIT").unwrap();
    apply(&source, vec![put(item("b", "two"))]).await;
}

#[tokio::test]
async fn reads_do_not_wait_for_a_long_commit_of_this_process() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let large = (0..20_000).map(|n| put(item(&format!("x{n}"), "large"))).collect();
    let committing = tokio::spawn({
        let source = source.clone();
        async move { apply(&source, large).await }
    });
    let mut reads = 0;
    while !committing.is_finished() {
        let count = source.count(&Query::all(name("items"), Zone::Global)).await.unwrap();
        assert!(count == 0 || count == 20_000, "{count} of a commit are visible");
        reads += 1;
        tokio::task::yield_now().await;
    }
    assert!(reads > 3, "{reads} reads beside the commit");
}

/// A read of many statements sees one committed state. Fails if a read takes no snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_of_one_state_while_others_commit() {
    const ROUNDS: i64 = 30;
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let keys: Vec<_> = (0..600).map(|n| format!("{n:04}")).collect();
    let write = |round: i64| {
        let body = || Some(vec!["x".into(), round.into(), Value::Null]);
        keys.iter().map(|key| put(record("items", &Zone::Global, key, body()))).collect::<Vec<_>>()
    };
    apply(&source, write(1)).await;
    let rounds: Vec<_> = (2..=ROUNDS).map(write).collect();
    let writing = tokio::spawn({
        let source = source.clone();
        async move {
            for writes in rounds {
                apply(&source, writes).await;
            }
        }
    });
    let wanted: Vec<_> = keys.iter().map(|key| id(key)).collect();
    let round_of = |records: &[Record]| {
        assert_eq!(records.len(), keys.len());
        let mut rounds: Vec<_> =
            records.iter().map(|record| record.body.as_ref().unwrap()[1].clone()).collect();
        rounds.dedup();
        let [Value::Integer(round)] = rounds[..] else { panic!("a read saw rounds {rounds:?}") };
        round
    };
    let mut reads_on = true;
    while reads_on {
        reads_on = !writing.is_finished();
        round_of(&source.get(&name("items"), &Zone::Global, &wanted).await.unwrap());
        let page = page(&source, &request(&Zone::Global)).await;
        let round = round_of(&page.records);
        assert_eq!(
            page.head.position.0,
            round.unsigned_abs(),
            "the head is of the state that the records are of"
        );
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn a_dropped_commit_is_whole_or_nothing() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let mut whole = 0;
    for round in 0..30 {
        let writes = (0..100).map(|n| put(item(&format!("{round}-{n}"), "x"))).collect();
        let wait = std::time::Duration::from_micros(round * 60);
        whole += u64::from(tokio::time::timeout(wait, source.commit_alone(commit(writes))).await.is_ok());
    }
    // The writer works in order, so this waits for all of them.
    apply(&source, vec![put(item("end", "x"))]).await;
    let count = source.count(&Query::all(name("items"), Zone::Global)).await.unwrap() - 1;
    assert_eq!(count % 100, 0);
    assert!(count / 100 >= whole);
}

#[tokio::test]
async fn a_trigger_that_rolls_back_refuses_its_write_alone() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    apply(&source, vec![put(item("0", "there"))]).await;
    fixture
        .sql()
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON items WHEN new.id = 'b'
             BEGIN SELECT RAISE(ROLLBACK, 'no more'); END",
        )
        .unwrap();
    let writes = || vec![put(item("a", "one")), put(item("b", "two")), put(item("c", "three"))];
    let refused = conflicts(&source, writes()).await;
    assert!(matches!(&refused[0].reason, ConflictReason::Constraint(text) if text == "no more"));
    assert_eq!(
        ids(&page(&source, &request(&Zone::Global)).await.records),
        ["0"],
        "nothing is written past it"
    );
    let skip = writes().into_iter().map(|write| Write { on_mismatch: OnMismatch::Skip, ..write }).collect();
    assert_eq!(apply(&source, skip).await.skipped.len(), 1);
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), ["0", "a", "c"]);
}

#[tokio::test]
async fn files_that_are_none_of_ours_are_refused_by_kind() {
    let fixture = Fixture::new();
    let kind = |path: &std::path::Path| SqliteDataSource::open(path).unwrap_err().kind();
    std::fs::write(fixture.path(), vec![b'x'; 8192]).unwrap();
    assert_eq!(kind(&fixture.path()), ErrorKind::Corrupt);
    assert_eq!(kind(fixture.folder.path()), ErrorKind::Config);
    assert_eq!(kind(&fixture.folder.path().join("no/such/folder.db")), ErrorKind::Config);
    let config = SqliteConfig::new(fixture.folder.path().join("x.db")).readers(0);
    assert_eq!(SqliteDataSource::open_with(&config).unwrap_err().kind(), ErrorKind::Config);

    let newer = fixture.folder.path().join("newer.db");
    drop(open(&newer));
    Connection::open(&newer).unwrap().execute_batch("UPDATE fastsync_meta SET value = 2").unwrap();
    let error = SqliteDataSource::open(&newer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("version 2"), "{error}");
    Connection::open(&newer).unwrap().execute_batch("DELETE FROM fastsync_meta").unwrap();
    assert_eq!(kind(&newer), ErrorKind::Config);
}

#[tokio::test]
async fn a_damaged_file_is_corrupt() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let writes = (0..2_000).map(|n| put(item(&format!("{n}"), &"x".repeat(50)))).collect();
    apply(&source, writes).await;
    drop(source);
    fixture.sql().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = std::fs::read(fixture.path()).unwrap();
    let end = bytes.len();
    bytes[40_960..end].fill(0x5a);
    std::fs::write(fixture.path(), bytes).unwrap();
    let source = open(&fixture.path());
    let error = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn two_data_sources_on_one_file_see_each_other() {
    let fixture = Fixture::new();
    let (a, b) = (fixture.items().await, open(&fixture.path()));
    for round in 0..20 {
        apply(&a, vec![put(item(&format!("a{round}"), "x"))]).await;
        apply(&b, vec![put(item(&format!("b{round}"), "x"))]).await;
    }
    assert_eq!(page(&a, &request(&Zone::Global)).await.records.len(), 40);
    // A type that the other one prepares later is known, with its fields as they were prepared.
    a.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zone = Zone::restricted("team").unwrap();
    apply(&b, vec![put(record("notes", &zone, "n", Some(vec!["hi".into()])))]).await;
    assert_eq!(page(&a, &request(&zone)).await.records.len(), 1);
}

#[tokio::test]
async fn ids_of_every_form_keep_the_order_of_their_bytes() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let mut keys = vec![
        "0",
        "00000000-0000-0000-0000-000000000000",
        "007",
        "1",
        "3f",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
        "3f2504e0-4f89-41d3-9a0c-0305e82c33019",
        "abc",
        "ABC",
        "abc ",
        "é",
        "e\u{301}",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "g",
        " ",
        "💡",
    ];
    apply(&source, keys.iter().map(|key| put(item(key, "x"))).collect()).await;
    keys.sort_unstable();
    assert_eq!(ids(&page(&source, &request(&Zone::Global)).await.records), keys);
    assert_eq!(ids(&source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records), keys);
    // However the pages are cut.
    let mut request = ChangesRequest {
        limits: PageLimits { records: 1, bytes: 1 },
        count_remaining: true,
        ..request(&Zone::Global)
    };
    let mut walked = Vec::new();
    loop {
        let page = page(&source, &request).await;
        walked.extend(page.records.iter().map(|record| record.key.id.as_str().to_owned()));
        assert_eq!(page.remaining, Some((keys.len() - walked.len()) as u64));
        request.after = page.next.into();
        if page.caught_up {
            break;
        }
    }
    assert_eq!(walked, keys);
}

#[tokio::test]
async fn a_deletion_and_a_later_put_of_one_key_in_staged_batches() {
    let fixture = Fixture::new();
    let source = fixture.items().await;
    let gone = |key: &str| put(record("items", &Zone::Global, key, None));
    let mut staged = commit(Vec::new());
    source.stage(staged.session, 7, vec![put(item("b", "back")), gone("a")]).await.unwrap();
    source.stage(staged.session, 1, vec![put(item("a", "x")), gone("b"), put(item("c", "x"))]).await.unwrap();
    staged.writes = Writes::Staged { overrides: vec![put(item("c", "given"))] };
    let session = staged.session;
    assert!(matches!(source.commit_alone(staged).await.unwrap(), CommitOutcome::Applied(_)));
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    assert_eq!(ids(&found), ["b", "c"]);
    assert_eq!(found[1].body.as_ref().unwrap()[0], "given".into());
    assert_eq!(source.session(session).await.unwrap().unwrap().counts, [(name("items"), 3)]);
}
