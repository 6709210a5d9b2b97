//! The wire form, pinned by files: requests as the original clients send them, and what they are answered.
//!
//! To accept an intended change of an answer, run with `FASTSYNC_ACCEPT_GOLDEN=1` and review the difference.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::*;

/// Numbers that are the same in every run.
struct Counted(AtomicU64);

impl Random for Counted {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
    }
}

fn path(name: &str) -> String {
    format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

/// Sends a golden request and compares the answer with a golden reply.
async fn check(world: &World, to: &str, request: &str, reply: &str) {
    let request = std::fs::read_to_string(path(request)).unwrap();
    let answer = world.post_text(to, "ada@home", request).await + "\n";
    if std::env::var_os("FASTSYNC_ACCEPT_GOLDEN").is_some() {
        std::fs::write(path(reply), &answer).unwrap();
    }
    let golden = std::fs::read_to_string(path(reply)).unwrap_or_else(|error| panic!("{reply}: {error}"));
    assert_eq!(answer, golden, "{reply}: the wire form has changed");
}

#[tokio::test]
async fn every_form_is_as_it_was() {
    let store = Store::server(MemoryDataSource::new()).random(Counted(AtomicU64::new(1)));
    let world = world_on(store, LastWriterWins, CompatLimits::default()).await;
    check(&world, "/push", "push_request_typescript", "push_reply").await;
    check(&world, "/push", "push_request_dart", "push_reply_dart").await;
    check(&world, "/push", "push_request_refused", "push_reply_refused").await;
    world.items("ada@home").remove(&id("gone")).await.unwrap();
    check(&world, "/pull", "pull_request_typescript", "pull_reply_typescript").await;
    check(&world, "/pull", "pull_request_dart", "pull_reply_dart").await;
    check(&world, "/pull", "pull_request_unknown_type", "pull_reply_unknown_type").await;
    check(&world, "/pull", "pull_request_nothing_new", "pull_reply_nothing_new").await;
    check(&world, "/push", "push_request_operator", "push_reply_operator").await;
    // As by default: what was refused is said, and undone by the next pull.
    let world = forgiving(&world);
    check(&world, "/push", "push_request_refused", "push_reply_undone").await;
    check(&world, "/push", "push_request_cut_text", "push_reply_cut_text").await;
    check(&world, "/pull", "pull_request_undone", "pull_reply_undone").await;
}
