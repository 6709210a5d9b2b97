//! Committing: turns, transactions, and what is done when one is aborted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::source::{Commit, CommitOutcome, Receipt};
use fastsync_core::{ErrorKind, SessionId};
use mongodb::ClientSession;
use mongodb::bson::RawDocumentBuf;
use mongodb::options::{Acknowledgment, WriteConcern};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::attempt::{Attempt, Refusals};
use crate::bulk::Stop;
use crate::codec::uuid_ref;
use crate::error::{Fail, Run};
use crate::finish::read_receipt;
use crate::job::{Job, turns_of};
use crate::lane::{Held, Lane, Waiting};
use crate::orphans::{IDLE, end_abandoned};
use crate::staging::{Staged, load, parts};
use crate::store::{SESSIONS, Store, find, pause, transaction};

/// How long a commit tries against other processes before it answers `Contention`.
const PATIENCE: Duration = Duration::from_secs(30);

/// The turns of a commit, held until its transaction is over.
type Turns = Vec<Held>;

pub(crate) async fn commit(store: &Store, mut commit: Commit) -> Run<CommitOutcome> {
    let job = match Job::new(store, &mut commit) {
        Ok(job) => job,
        // Whatever it brings, a session that is there is there.
        Err(fail) => return duplicate(store, commit.session).await?.ok_or(fail),
    };
    let turns = job.turns();
    let is_plain = !job.is_staged && job.commit.clears.is_empty();
    match turns.first() {
        Some(turn) if is_plain && turns.len() == 1 => together(store, turn, job).await,
        _ => alone(store, job).await,
    }
}

async fn duplicate(store: &Store, id: SessionId) -> Run<Option<CommitOutcome>> {
    let mut filter = RawDocumentBuf::new();
    filter.append_ref("_id", uuid_ref(id.as_uuid().as_bytes()));
    let mut receipt: Option<Receipt> = None;
    let session = &mut store.snapshot().await?;
    store
        .each(session, find(SESSIONS, &filter), &mut |document| {
            receipt = Some(read_receipt(document)?);
            Ok(())
        })
        .await?;
    Ok(receipt.map(CommitOutcome::Duplicate))
}

/// A commit into one zone, in a transaction with those that wait for the same turn.
async fn together(store: &Store, turn: &str, job: Job) -> Run<CommitOutcome> {
    let lane = store.lanes.lane(turn);
    let (reply, answer) = oneshot::channel();
    let own = job.attempt;
    lane.push(Waiting { job, reply });
    loop {
        let guard = lane.turn().await;
        let group = lane.take(own);
        if group.is_empty() {
            break;
        }
        // Those before it may have filled the transaction, so it looks again.
        lead(store, turn, &lane, group, guard).await;
    }
    let gone = || Fail::new(ErrorKind::Backend, "commit", "the operation panicked");
    answer.await.unwrap_or_else(|_| Err(gone()))
}

/// Commits a group and tells each what became of it.
async fn lead(store: &Store, turn: &str, lane: &Arc<Lane>, group: Vec<Waiting>, guard: Held) {
    let turns = BTreeSet::from([turn.to_owned()]);
    let (jobs, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|next| (next.job, next.reply)).unzip();
    // Whoever gave up waiting is not told; the commit is whole all the same.
    match transact(store, &jobs, None, &turns, vec![guard]).await {
        Ok(outcomes) => {
            replies.into_iter().zip(outcomes).for_each(|(reply, outcome)| drop(reply.send(Ok(outcome))));
        }
        Err(Stop::Fail(Fail::Mongo(error))) if !is_of_one(&error) => {
            replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone().into()))));
        }
        Err(stop) if jobs.len() == 1 => {
            replies.into_iter().next().map(|reply| reply.send(Err(fail(stop))));
        }
        // One of them is to blame. The others must not suffer, so each goes by itself.
        Err(_) => {
            for (job, reply) in jobs.iter().zip(replies) {
                let guard = lane.turn().await;
                let outcome = transact(store, std::slice::from_ref(job), None, &turns, vec![guard]).await;
                let outcome = outcome.map_err(fail).map(|outcomes| outcomes.into_iter().next());
                let none = || Fail::corrupt("a transaction without an outcome");
                drop(reply.send(outcome.and_then(|outcome| outcome.ok_or_else(none))));
            }
        }
    }
}

/// Whether a failure can be about one commit of a group: a document that is too large.
fn is_of_one(error: &mongodb::error::Error) -> bool {
    Fail::Mongo(error.clone()).into_error("commit").kind() == ErrorKind::TooLarge
}

fn fail(stop: Stop) -> Fail {
    match stop {
        Stop::Fail(fail) => fail,
        Stop::Refused(refusal) => Fail::new(ErrorKind::Constraint, "commit", refusal.text),
        Stop::Restaged => Fail::new(ErrorKind::Contention, "commit", "batches were staged meanwhile"),
    }
}

/// A commit that needs several turns, or whose writes are staged.
async fn alone(store: &Store, job: Job) -> Run<CommitOutcome> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut turns = job.turns();
        let mut staged = Staged::default();
        if job.is_staged {
            match look_through(store, job.commit.session).await {
                Ok((found, further)) => {
                    staged = found;
                    turns.extend(further);
                }
                Err(fail) => return duplicate(store, job.commit.session).await?.ok_or(fail),
            }
        }
        let mut guards = Turns::new();
        // In one order for everyone, or two commits could wait for each other.
        for turn in &turns {
            guards.push(store.lanes.lane(turn).turn().await);
        }
        match transact(store, std::slice::from_ref(&job), Some(&staged), &turns, guards).await {
            Err(Stop::Restaged) if Instant::now() < deadline => {}
            Err(stop) => return Err(fail(stop)),
            Ok(outcomes) => {
                let none = || Fail::corrupt("a transaction without an outcome");
                return outcomes.into_iter().next().ok_or_else(none);
            }
        }
    }
}

/// Which turns the staged writes of a session need, and which of them count.
async fn look_through(store: &Store, id: SessionId) -> Run<(Staged, BTreeSet<String>)> {
    let session = &mut store.snapshot().await?;
    let (mut staged, mut turns) = (Staged::default(), BTreeSet::new());
    for part in parts(store, session, id).await? {
        let writes = load(store, session, id, part).await?.unwrap_or_default();
        turns.extend(turns_of(&writes));
        staged.add(part, &writes);
    }
    Ok((staged, turns))
}

/// Commits these in one transaction, again and again as long as others abort it.
async fn transact(
    store: &Store,
    jobs: &[Job],
    staged: Option<&Staged>,
    turns: &BTreeSet<String>,
    guards: Turns,
) -> Result<Vec<CommitOutcome>, Stop> {
    let began = Instant::now();
    let mut ended_others = began;
    let mut refusals = Refusals::default();
    let mut earlier: Option<Vec<CommitOutcome>> = None;
    let mut attempts = 0_u32;
    let (mut session, verdicts) = loop {
        let mut session = store.writers.session(store).await?;
        let local = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
        session.start_transaction().with_options(transaction(local)).await.map_err(Fail::from)?;
        let attempt = Attempt::new(store, &mut session, &refusals);
        let stop = match attempt.run(jobs, staged, turns, earlier.as_deref()).await {
            Ok(verdicts) if verdicts.must_abort => {
                abort(&mut session).await;
                // What the conflicts name must not be taken back by a fail-over either.
                store.writers.wait_for_majority(store).await?;
                return Ok(verdicts.outcomes);
            }
            Ok(verdicts) => match commit_locally(&mut session).await {
                Ok(()) => break (session, verdicts),
                Err(fail) => {
                    earlier = Some(verdicts.outcomes);
                    Stop::Fail(fail)
                }
            },
            Err(stop) => {
                abort(&mut session).await;
                stop
            }
        };
        match stop {
            Stop::Refused(refusal) if jobs.len() == 1 => refusals.note(refusal),
            Stop::Fail(fail) if is_lost_race(&fail) && began.elapsed() < PATIENCE => {
                if ended_others.elapsed() > IDLE {
                    // Without the right to look, the server's own limit ends them.
                    drop(end_abandoned(store, IDLE).await);
                    ended_others = Instant::now();
                }
                attempts = attempts.saturating_add(1);
                let most = Duration::from_millis(2_u64.saturating_pow(attempts.min(5)));
                pause(Duration::from_micros(500), most).await;
            }
            stop => return Err(stop),
        }
    };
    // The next commit of these zones need not wait for the disk: it can only be durable after this one.
    drop(guards);
    wait_for_majority(&mut session).await?;
    Ok(verdicts.outcomes)
}

/// Whether another transaction was faster. A duplicate key can only be that: what is in the snapshot was read.
fn is_lost_race(fail: &Fail) -> bool {
    fail.is_transient() || fail.is_duplicate_key()
}

async fn abort(session: &mut ClientSession) {
    // The server has aborted it already, or will when the session is used again.
    drop(session.abort_transaction().await);
}

/// Commits on the primary. Whoever reads with majority does not see it yet.
async fn commit_locally(session: &mut ClientSession) -> Run<()> {
    commit_with_retries(session).await
}

/// Waits until a majority has journaled what [`commit_locally`] committed: the driver repeats a commit with that
/// concern.
async fn wait_for_majority(session: &mut ClientSession) -> Run<()> {
    commit_with_retries(session).await
}

async fn commit_with_retries(session: &mut ClientSession) -> Run<()> {
    let began = Instant::now();
    loop {
        let fail = match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error) => Fail::from(error),
        };
        if fail.is_unknown_commit() && began.elapsed() < PATIENCE {
            pause(Duration::from_millis(1), Duration::from_millis(50)).await;
        } else if fail.is_unknown_commit() {
            let message = "the server did not say whether the transaction was committed";
            return Err(Fail::new(ErrorKind::Timeout, "commit", message));
        } else {
            return Err(fail);
        }
    }
}
