//! Batches of large sessions: kept whole, none lost, none left behind.

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::sqlx::raw_sql;

/// A commit of what is staged under its session.
fn staged() -> Commit {
    Commit { writes: Writes::Staged { overrides: Vec::new() }, ..commit(Vec::new()) }
}

/// A batch of several parts, which hold about a megabyte each.
fn large(count: usize, letter: &str) -> Vec<Write> {
    (0..count).map(|n| put(item(&format!("i{n}"), &letter.repeat(700_000)))).collect()
}

/// A server fails in the middle of a batch. Fails if the part before stays, if a batch that comes later adds
/// a part, or if a commit leaves its batches behind.
#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all_and_goes_with_its_commit() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database
        .sql(
            "CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.part = 1 THEN RAISE EXCEPTION 'failing' USING ERRCODE = '58030'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER failing BEFORE INSERT ON fastsync_staged FOR EACH ROW EXECUTE FUNCTION failing()",
        )
        .await;
    let session = staged();
    source.stage(session.session, 1, large(3, "a")).await.unwrap_err();
    database.sql("DROP TRIGGER failing ON fastsync_staged").await;
    source.stage(session.session, 1, large(3, "b")).await.unwrap();
    source.stage(session.session, 1, large(5, "c")).await.unwrap();
    let outcome = source.commit_alone(session).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Applied(_)));
    let found = source.find(&Query::all(name("items"), Zone::Global)).await.unwrap().records;
    let letters: Vec<_> = names(&found).iter().map(|name| &name[..1]).collect();
    assert_eq!(letters, ["b", "b", "b"]);
    assert_eq!(count(&source, "SELECT COUNT(*) FROM fastsync_staged").await, 0);
}

/// A commit has read what is staged and waits for somebody; a further batch is staged. Fails if the commit
/// does not look again before it drops the batches.
#[tokio::test]
async fn a_batch_that_is_staged_during_its_commit_is_not_lost() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    source.prepare(&[notes()], Preparation::Apply).await.unwrap();
    let zone = Zone::restricted("team").unwrap();
    let note = |key: &str| put(record("notes", &zone, key, Some(vec!["x".into()])));
    let session = staged();
    source.stage(session.session, 1, vec![note("n1")]).await.unwrap();
    // The commit gives the zone a number after it has read what is staged.
    let mut stranger = database.stranger().await;
    let begin = "BEGIN; INSERT INTO fastsync_zones (name) VALUES ('restricted:team')";
    raw_sql(begin).execute(&mut stranger).await.unwrap();
    let committing = tokio::spawn({
        let (source, session) = (source.clone(), session.clone());
        async move { source.commit_alone(session).await }
    });
    database.until_waits("INSERT INTO %fastsync_zones%").await;
    source.stage(session.session, 2, vec![note("n2")]).await.unwrap();
    raw_sql("ROLLBACK").execute(&mut stranger).await.unwrap();
    assert!(matches!(soon(committing).await.unwrap().unwrap(), CommitOutcome::Applied(_)));
    assert_eq!(ids(&page(&source, &request(&zone)).await.records), ["n1", "n2"]);
}

/// More than a commit keeps in memory is read again. Fails if a write that a later batch replaces counts
/// then.
#[tokio::test]
async fn of_a_key_that_is_staged_twice_the_last_write_counts_in_a_large_session() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let session = staged();
    for sequence in 0..22_u64 {
        let mut writes = vec![put(item(&format!("i{sequence:02}"), &"x".repeat(900_000)))];
        if sequence == 0 || sequence == 21 {
            writes.push(put(item("twice", &format!("of {sequence}"))));
        }
        source.stage(session.session, sequence, writes).await.unwrap();
    }
    assert!(matches!(source.commit_alone(session).await.unwrap(), CommitOutcome::Applied(_)));
    let found = source.get(&name("items"), &Zone::Global, &[id("twice")]).await.unwrap();
    assert_eq!(names(&found), ["of 21"]);
    assert_eq!(source.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 23);
}
