//! Committing: turns, transactions, and what is done when one is aborted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastsync_core::source::{Commit, CommitOutcome};
use fastsync_core::{ErrorKind, SessionId};
use fastsync_dao_kit::retry::Pauses;
use mongodb::ClientSession;
use mongodb::options::{Acknowledgment, WriteConcern};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::attempt::{Attempt, Refusals};
use crate::audit::receipt;
use crate::bulk::Stop;
use crate::error::{Fail, Run, kind_of};
use crate::job::{Job, turns_of};
use crate::lane::{Held, Lane, Waiting};
use crate::ledger::Ledger;
use crate::orphans::{IDLE, end_abandoned};
use crate::staging::{Staged, load, parts};
use crate::store::{Store, transaction};
use crate::tx::Tx;

/// How long a commit tries against other processes before it answers `Contention`.
const PATIENCE: Duration = Duration::from_secs(30);

/// The turns of a commit, held until its transaction is over.
type Turns = Vec<Held>;

pub(crate) async fn commit(store: &Store, mut commit: Commit) -> Run<CommitOutcome> {
    let job = match Job::new(&store.types, &mut commit) {
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
    let receipt = receipt(&mut Tx::snapshot(store).await?, id).await?;
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
        // Only a document that is too large is about one of them.
        Err(Stop::Fail(Fail::Mongo(error))) if kind_of(&error) != ErrorKind::TooLarge => {
            replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone().into()))));
        }
        Err(stop) if jobs.len() == 1 => {
            replies.into_iter().next().map(|reply| reply.send(Err(stop.into())));
        }
        // One of them is to blame. The others must not suffer, so each goes by itself.
        Err(_) => {
            for (job, reply) in jobs.iter().zip(replies) {
                let guard = lane.turn().await;
                let outcomes = transact(store, std::slice::from_ref(job), None, &turns, vec![guard]).await;
                drop(reply.send(only(outcomes)));
            }
        }
    }
}

/// The outcome of a transaction of one commit.
fn only(outcomes: Result<Vec<CommitOutcome>, Stop>) -> Run<CommitOutcome> {
    outcomes?.pop().ok_or_else(|| Fail::corrupt("a transaction without an outcome"))
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
            outcomes => return only(outcomes),
        }
    }
}

/// Which turns the staged writes of a session need, and which of them count.
async fn look_through(store: &Store, id: SessionId) -> Run<(Staged, BTreeSet<String>)> {
    let tx = &mut Tx::snapshot(store).await?;
    let (mut staged, mut turns) = (Staged::default(), BTreeSet::new());
    for part in parts(tx, id).await? {
        let writes = load(tx, id, part).await?.unwrap_or_default();
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
    let mut pauses = Pauses::new(Duration::from_millis(2), Duration::from_millis(32));
    let (mut tx, verdicts) = loop {
        let mut tx = Tx { store, session: store.writers.session(&store.database).await? };
        // Committed on the primary: whoever reads with majority does not see it yet.
        let local = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
        tx.session.start_transaction().with_options(transaction(local)).await.map_err(Fail::from)?;
        let attempt = async {
            let ledger = Ledger::open(&mut tx, jobs, turns).await?;
            let attempt = Attempt { tx: &mut tx, refusals: &refusals, ledger };
            attempt.run(jobs, staged, earlier.as_deref()).await
        };
        let stop = match attempt.await {
            Ok(verdicts) if verdicts.must_abort => {
                abort(&mut tx.session).await;
                // What the conflicts name must not be taken back by a fail-over either.
                store.wait_for_majority().await?;
                return Ok(verdicts.outcomes);
            }
            Ok(verdicts) => match commit_transaction(&mut tx.session).await {
                Ok(()) => break (tx, verdicts),
                Err(fail) => {
                    earlier = Some(verdicts.outcomes);
                    Stop::Fail(fail)
                }
            },
            Err(stop) => {
                abort(&mut tx.session).await;
                stop
            }
        };
        match stop {
            Stop::Refused(refusal) if jobs.len() == 1 => refusals.note(refusal),
            Stop::Fail(fail) if is_lost_race(&fail) && began.elapsed() < PATIENCE => {
                if ended_others.elapsed() > IDLE {
                    // Without the right to look, the server's own limit ends them.
                    drop(end_abandoned(&store.database, IDLE).await);
                    ended_others = Instant::now();
                }
                sleep(pauses.next_pause()).await;
            }
            stop => return Err(stop),
        }
    };
    // The next commit of these zones need not wait for the disk: it can only be durable after this one.
    drop(guards);
    // The driver repeats the commit with the concern that a majority has journaled it.
    commit_transaction(&mut tx.session).await?;
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

/// Commits, and asks again as long as the server does not say whether it has.
async fn commit_transaction(session: &mut ClientSession) -> Run<()> {
    let mut pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(50));
    let began = Instant::now();
    loop {
        match session.commit_transaction().await.map_err(Fail::from) {
            Err(fail) if fail.is_unknown_commit() && began.elapsed() < PATIENCE => {
                sleep(pauses.next_pause()).await;
            }
            Err(fail) if fail.is_unknown_commit() => {
                let message = "the server did not say whether the transaction was committed";
                return Err(Fail::new(ErrorKind::Timeout, "commit", message));
            }
            done => return done,
        }
    }
}
