//! What is sent to the server: concerns, and the order of commands. Other tests cannot see it, since a
//! replica set of one loses nothing.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_mongo::mongodb::bson::{Bson, Document};

fn text<'a>(command: &'a Document, of: &str, name: &str) -> Option<&'a str> {
    command.get_document(of).ok()?.get_str(name).ok()
}

fn is_in_transaction(command: &Document) -> bool {
    command.get_bool("autocommit") == Ok(false)
}

/// The command's name, and the collection that it is about.
fn target(command: &Document) -> (&str, &str) {
    let (name, value) = command.iter().next().unwrap();
    (name, value.as_str().unwrap_or_default())
}

/// Everything that a data source does, with a conflict on the way.
async fn everything(source: &MongoSource) {
    let writes = vec![put(item("a", "one")), put(item("b", "two"))];
    let state = vec![StateWrite::set("key", Some(b"1".to_vec()))];
    source.commit_alone(Commit { state, ..commit(writes) }).await.unwrap();
    apply(source, vec![put(record("items", &Zone::Global, "b", None))]).await;
    refused(source).await;
    let (kind, zone) = (name("items"), Zone::Global);
    source.get(&kind, &zone, &[id("a")]).await.unwrap();
    source.find(&Query::all(kind.clone(), zone.clone())).await.unwrap();
    source.count(&Query::all(kind, zone.clone())).await.unwrap();
    let all = page(source, &request(&zone)).await;
    page(source, &ChangesRequest { after: all.next.into(), ..request(&zone) }).await;
    page(source, &ChangesRequest { after: Position(1).into(), ..request(&zone) }).await;
    source.pending_after(0, 10).await.unwrap();
    source.count_pending().await.unwrap();
    let sessions = source.sessions_of(&zone, Position::START, 10).await.unwrap();
    source.session(sessions[0].id).await.unwrap().unwrap();
    source.entry("key").await.unwrap().unwrap();
    source.entries("").await.unwrap();
    source.purge_tombstones(&zone, Position(2)).await.unwrap();
    // More than a document holds.
    let large: Vec<_> = (0..10).map(|n| put(item(&format!("i{n}"), &"x".repeat(900_000)))).collect();
    let session = Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit(Vec::new()) };
    source.stage(session.session, 1, large).await.unwrap();
    source.stage(session.session, 2, vec![put(item("i0", "y"))]).await.unwrap();
    source.commit_alone(session).await.unwrap();
    source.unstage(None).await.unwrap();
}

type MongoSource = fastsync_dao_mongo::MongoDataSource;

/// A staged commit that conflicts: nothing of it is committed.
async fn refused(source: &MongoSource) {
    let session = Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit(Vec::new()) };
    let absent = Write { expect: Expect::Absent, ..put(item("a", "new")) };
    source.stage(session.session, 1, vec![absent]).await.unwrap();
    let outcome = source.commit_alone(session.clone()).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflicts { .. }));
    source.unstage(Some(session.session)).await.unwrap();
}

/// "Commits are acknowledged when a majority has journaled them, whatever the concerns of your client are,
/// and nothing is read before that." Fails if a read asks for less than a majority or a snapshot, or asks a
/// secondary; if a transaction reads no snapshot; if a write outside of one waits for less; if a commit is
/// not repeated for the majority.
#[tokio::test]
async fn everything_is_read_from_and_waits_for_a_majority() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) =
        scratch.watched("&w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred").await;
    everything(&source).await;
    let commands = sent.take();
    let (mut reads, mut commits) = (0, Vec::<(Document, bool)>::new());
    for command in &commands {
        let (name, _) = target(command);
        let preference = text(command, "$readPreference", "mode");
        assert!(preference.is_none_or(|mode| mode == "primary"), "{command}");
        let level = text(command, "readConcern", "level");
        let is_majority = text(command, "writeConcern", "w") == Some("majority");
        match name {
            "commitTransaction" => {
                let mut of = Document::new();
                for key in ["lsid", "txnNumber"] {
                    of.insert(key, command.get(key).cloned().unwrap_or(Bson::Null));
                }
                // The last time decides.
                commits.retain(|(other, _)| *other != of);
                commits.push((of, is_majority));
            }
            _ if command.get_bool("startTransaction") == Ok(true) => {
                assert_eq!(level, Some("snapshot"), "{command}");
            }
            _ if is_in_transaction(command) => {}
            "find" | "aggregate" | "count" => {
                assert!(matches!(level, Some("majority" | "snapshot")), "{command}");
                reads += 1;
            }
            "insert" | "update" | "delete" | "findAndModify" => {
                let journal = command.get_document("writeConcern").unwrap().get_bool("j");
                assert!(is_majority && journal == Ok(true), "{command}");
            }
            _ => {}
        }
    }
    assert!(reads > 15 && commits.len() > 3, "{reads} reads, {} commits", commits.len());
    assert!(commits.iter().all(|(_, is_majority)| *is_majority), "{commits:?}");
}

/// What a conflict names was read from others' commits, which only this server may have. Fails if the
/// conflict is told before a majority has all that was there.
#[tokio::test]
async fn a_conflict_is_told_when_a_majority_has_what_it_names() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(item("a", "one"))]).await;
    sent.take();
    refused(&source).await;
    let commands = sent.take();
    let at = |of: (&str, &str)| commands.iter().position(|command| target(command) == of);
    let aborted = commands.iter().position(|command| target(command).0 == "abortTransaction");
    let waited = at(("update", "fastsync_meta"));
    assert!(aborted.is_some() && aborted < waited, "{commands:?}");
}

/// Fails if tombstones go before the horizon moves: a reader between the two would miss them and not learn of
/// it.
#[tokio::test]
async fn the_horizon_moves_before_the_tombstones_go() {
    let Some(scratch) = Scratch::new() else { return };
    let (source, sent) = scratch.watched("").await;
    apply(&source, vec![put(record("items", &Zone::Global, "a", None))]).await;
    sent.take();
    assert_eq!(source.purge_tombstones(&Zone::Global, Position(1)).await.unwrap(), 1);
    let commands = sent.take();
    let targets: Vec<_> = commands.iter().map(target).collect();
    assert_eq!(targets, [("findAndModify", "fastsync_zones"), ("delete", "fastsync_records")]);
}
