//! Committing a session.
//!
//! One transaction: the records that it is about are looked up and locked, the rows of the users' tables are written,
//! then the state entries are locked and checked, and last, under the lock of the zone's row, the session takes its
//! position and the index rows are written with it. So sessions become visible in the order of their positions, and long
//! ones meet only at their end: also a device's push and the one that follows it, which expects what the first one sets.
//!
//! Records that are expected to be new mostly are, and their index rows are inserted anyway, which fails if they are
//! not. So the first attempt does not look them up. Nor does it set savepoints, without which a refusal by a rule of a user's
//! table ends the transaction. Only if it fails does another attempt look and set them.

use std::time::Duration;

use fastsync_core::source::{
    Commit, CommitOutcome, Conflict, ExpectState, Receipt, StateConflict, Turn, Writes,
};
use fastsync_dao_kit::sql::{Attempts, Fail, Run};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::attempt::{Attempt, Hopes, conflicts_of};
use crate::audit::receipt;
use crate::error::failed;
use crate::index::inserts;
use crate::plan::Plan;
use crate::rows::Refused;
use crate::store::{CAREFUL, Store, WRITE};

/// What one transaction came to.
enum Step {
    Done(Receipt),
    Conflicts {
        writes: Vec<Conflict>,
        state: Vec<StateConflict>,
    },
    Refused(Vec<Refused>),
    /// Another one has committed the same session.
    Duplicate,
}

pub(crate) async fn commit(store: &Store, mut commit: Commit, turn: &Turn) -> Run<CommitOutcome> {
    // Not with a connection: the commit before may wait for one.
    turn.may_begin().await;
    let mut connection = store.connection().await?;
    let connection = &mut *connection;
    let mut attempts = Attempts::new(store.config.attempts);
    let mut plan = None;
    let mut hopes = hopes(&commit);
    loop {
        // Whatever it brings, a session that is there is there.
        if let Some(receipt) = receipt(store, connection, commit.session).await? {
            return Ok(CommitOutcome::Duplicate(receipt));
        }
        let known = match plan.take() {
            Some(plan) => plan,
            None => Plan::new(store, connection, &mut commit).await?,
        };
        let known = plan.insert(known);
        let step = match attempt(store, connection, &commit, turn, known, hopes).await {
            // Whatever stopped this may be a record that was not looked up: look everything up before reporting it.
            Ok(Step::Conflicts { .. }) if hopes.is_new => {
                hopes = Hopes::default();
                turn.comes().await;
                continue;
            }
            Err(Fail::Moved) if hopes.is_smooth => {
                hopes = Hopes::default();
                turn.comes().await;
                continue;
            }
            Ok(step) => step,
            Err(fail) => {
                tokio::time::sleep(attempts.after(fail)?).await;
                turn.comes().await;
                if known.is_staged {
                    plan = None;
                }
                continue;
            }
        };
        match step {
            Step::Done(receipt) => return Ok(CommitOutcome::Applied(receipt)),
            Step::Refused(refused) => {
                let writes = conflicts_of(store, connection, refused).await?;
                return Ok(CommitOutcome::Conflicts { writes, state: Vec::new() });
            }
            Step::Conflicts { writes, state } => {
                // Its twin may have been faster: then what looks like a conflict is its own work.
                return Ok(match receipt(store, connection, commit.session).await? {
                    Some(receipt) => CommitOutcome::Duplicate(receipt),
                    None => CommitOutcome::Conflicts { writes, state },
                });
            }
            Step::Duplicate => {}
        }
    }
}

/// Most records that are expected to be new are new, and most rows are taken. A large commit is not begun in a hope, though,
/// and a clear can take away what is there.
fn hopes(commit: &Commit) -> Hopes {
    let Writes::Inline(writes) = &commit.writes else { return Hopes::default() };
    Hopes { is_new: commit.clears.is_empty() && writes.iter().any(inserts), is_smooth: true }
}

/// How long a transaction that has written its rows waits for the commit before it. Only the first attempt does: others
/// begin after that one.
const PATIENCE: Duration = Duration::from_secs(1);

/// One transaction; dropped before its end, it is rolled back with the connection's next statement.
async fn attempt(
    store: &Store,
    connection: &mut PgConnection,
    commit: &Commit,
    turn: &Turn,
    plan: &mut Plan,
    hopes: Hopes,
) -> Run<Step> {
    // Behind savepoints, deferred constraints are checked at each statement, so that they name its rows.
    let begin = if hopes.is_smooth { WRITE } else { CAREFUL };
    let mut transaction = connection.begin_with(begin).await.map_err(failed)?;
    let step = step(store, &mut transaction, commit, turn, plan, hopes).await;
    match &step {
        Ok(Step::Done(_)) => {
            let done = transaction.commit().await.map_err(failed);
            done.map_err(
                |fail| if hopes.is_smooth && fail.refusal().is_some() { Fail::Moved } else { fail },
            )?;
        }
        // Now: what comes next may be to wait, and somebody else for its locks.
        Ok(Step::Conflicts { .. } | Step::Refused(_) | Step::Duplicate) => {
            transaction.rollback().await.map_err(failed)?
        }
        // A connection that is broken is rolled back by the server.
        Err(_) => transaction.rollback().await.unwrap_or_default(),
    }
    step
}

/// What a transaction does before it is ended.
async fn step(
    store: &Store,
    connection: &mut PgConnection,
    commit: &Commit,
    turn: &Turn,
    plan: &mut Plan,
    hopes: Hopes,
) -> Run<Step> {
    if !plan.is_current(store, connection).await? {
        return Err(Fail::Moved);
    }
    let mut attempt = Attempt::new(store, commit, plan, hopes);
    let writes = attempt.look(connection, plan).await?;
    let mut refused = Vec::new();
    if writes.is_empty() {
        attempt.clear(connection).await?;
        refused = attempt.write_rows(connection, plan).await?;
    }
    turn.written();
    // Whoever is in the way of the commit before, which may have begun anew, is out of it in time.
    if timeout(PATIENCE, turn.may_lock()).await.is_err() {
        return Err(Fail::Moved);
    }
    // The database knows best when the commit before has ended: it gives its locks up then.
    let state = attempt.check_state(connection).await?;
    // What is not there is not locked.
    if commit.state.iter().all(|write| matches!(write.expect, ExpectState::Value(_))) {
        turn.locked();
    }
    if !writes.is_empty() || !state.is_empty() {
        return Ok(Step::Conflicts { writes, state });
    }
    if !refused.is_empty() {
        return Ok(Step::Refused(refused));
    }
    let Some(given) = attempt.finish(connection, plan).await? else {
        return Ok(Step::Duplicate);
    };
    attempt.write_index(connection, plan, &given).await?;
    if plan.is_staged {
        crate::staging::unstage(&store.schema, connection, Some(commit.session)).await?;
    }
    Ok(Step::Done(attempt.receipt(connection, given).await?))
}
