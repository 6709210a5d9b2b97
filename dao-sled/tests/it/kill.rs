//! A process that is killed while it writes a commit of many segments leaves all of it or nothing.

#![allow(clippy::print_stdout, reason = "the pipe to the process that kills")]

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastsync_conformance::samples::*;
use fastsync_core::*;
use fastsync_dao_sled::{SledConfig, SledDataSource};

/// Where the process that this test starts finds the store, and with which round it begins.
const STORE: &str = "FASTSYNC_KILL_TEST_STORE";
const ROUND: &str = "FASTSYNC_KILL_TEST_ROUND";

/// Some megabytes: sled's segments have half of one.
const RECORDS: u64 = 8_000;

const KILLS: u64 = 12;

fn open(path: &Path) -> SledDataSource {
    SledDataSource::open_with(&SledConfig::new(path).lock_timeout(Duration::from_secs(20))).unwrap()
}

/// Rewrites every record with the number of the round, again and again.
async fn write_for_ever(path: &Path, first: i64) {
    let source = open(path);
    source.prepare(&[items()]).await.unwrap();
    for round in first.. {
        let writes = (0..RECORDS).map(|n| {
            let body = vec!["x".repeat(300).into(), Value::Integer(round), Value::Null];
            put(record("items", &Zone::Global, &format!("{n:06}"), Some(body)))
        });
        // Ids of sessions and revisions come from a counter of this process.
        let mut commit = commit(writes.collect());
        commit.session = SessionId::from_uuid(uuid::Uuid::from_u128(u128::try_from(round).unwrap()));
        source.commit(commit).await.unwrap();
        println!("round {round}");
        std::io::stdout().flush().unwrap();
    }
}

fn start(path: &Path, round: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_killed_process_leaves_whole_commits", "--nocapture"])
        .env(STORE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_whole_commits() {
    if let Some(store) = std::env::var_os(STORE) {
        // This is that process.
        let first = std::env::var(ROUND).unwrap().parse().unwrap();
        return write_for_ever(store.as_ref(), first).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for kill in 0..KILLS {
        let mut child = start(folder.path(), last + 1);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = |line: &str| line.strip_prefix("round ")?.parse::<i64>().ok();
        // It is at work; then it dies at some moment of a round.
        let first = lines.by_ref().map(Result::unwrap).find_map(|line| acknowledged(&line)).unwrap();
        std::thread::sleep(Duration::from_millis(kill * 23 % 290));
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = lines.map(Result::unwrap).filter_map(|line| acknowledged(&line));
        let said = rest.last().unwrap_or(first);

        let source = open(folder.path());
        let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap();
        assert_eq!(found.len() as u64, RECORDS);
        let rounds: std::collections::BTreeSet<i64> = found
            .iter()
            .map(|record| match record.body.as_deref() {
                Some([_, Value::Integer(round), _]) => *round,
                _ => panic!("an item has a round"),
            })
            .collect();
        let round = *rounds.first().unwrap();
        assert_eq!(rounds.len(), 1, "half a commit: {rounds:?}");
        assert!((said..=said + 1).contains(&round), "round {round} is there, {said} was acknowledged");
        let page = page(&source, &request(&Zone::Global)).await;
        assert_eq!(page.head.position, Position(u64::try_from(round).unwrap()));
        last = round;
    }
}
