//! Committing a session.
//!
//! One transaction: the records that it is about are looked up and locked, the rows of the users' tables are written,
//! then the state entries are locked and checked, and last, under the lock of the zone's row, the session takes its
//! position and the index rows are written with it. So sessions become visible in the order of their positions, and long
//! ones meet only at their end: also a device's push and the one that follows it, which expects what the first one sets.
//!
//! Records that are expected to be new mostly are, and their index rows are inserted anyway, which fails if they are
//! not. So the first attempt does not look them up. Nor does it set savepoints, where a refusal by a rule of a user's table
//! ends the transaction without one. Only if it fails does another attempt look and set them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fastsync_core::source::{
    Commit, CommitOutcome, Conflict, ExpectState, Receipt, StateConflict, Turn, Writes,
};

use crate::sql::attempt::{Attempt, Hopes, conflicts_of};
use crate::sql::audit::receipt;
use crate::sql::dialect::Dialect;
use crate::sql::driver::{Access, Database, Link as _};
use crate::sql::fail::{Fail, Run};
use crate::sql::index::inserts;
use crate::sql::plan::Plan;
use crate::sql::retry::Attempts;
use crate::sql::rows::Refused;
use crate::sql::store::Store;

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

pub(crate) async fn commit<D: Database>(
    store: &Store<D>,
    mut commit: Commit,
    turn: &Turn,
) -> Run<CommitOutcome> {
    // Not with a link: the commit before may wait for one.
    turn.may_begin().await;
    let mut link = store.database.link().await?;
    let link = &mut link;
    let mut attempts = Attempts::new(store.database.attempts());
    let mut plan = None;
    let mut hopes = hopes(&commit, link.dialect());
    loop {
        // Whatever it brings, a session that is there is there.
        if let Some(receipt) = receipt(store, link, commit.session).await? {
            return Ok(CommitOutcome::Duplicate(receipt));
        }
        let known = match plan.take() {
            Some(plan) => plan,
            None => Plan::new(store, link, &mut commit).await?,
        };
        let known = plan.insert(known);
        let step = match attempt(store, link, &commit, turn, known, hopes).await {
            // Whatever stopped this may be a record that was not looked up: look everything up before reporting it.
            Ok(Step::Conflicts { .. } | Step::Refused(_)) if hopes.is_new => {
                hopes = Hopes::default();
                turn.comes().await;
                continue;
            }
            Err(Fail::Moved) if hopes.is_new || hopes.is_smooth => {
                hopes = Hopes::default();
                turn.comes().await;
                continue;
            }
            Ok(step) => step,
            Err(fail) => {
                store.database.sleep(attempts.after(fail)?).await;
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
                let writes = conflicts_of(store, link, refused).await?;
                return Ok(CommitOutcome::Conflicts { writes, state: Vec::new() });
            }
            Step::Conflicts { writes, state } => {
                // Its twin may have been faster: then what looks like a conflict is its own work.
                return Ok(match receipt(store, link, commit.session).await? {
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
fn hopes(commit: &Commit, dialect: &Dialect) -> Hopes {
    let Writes::Inline(writes) = &commit.writes else { return Hopes::default() };
    let is_new = commit.clears.is_empty() && writes.iter().any(inserts);
    Hopes { is_new, is_smooth: !dialect.forms.survives_refusals }
}

/// How long a transaction that has written its rows waits for the commit before it. Only the first attempt does: others
/// begin after that one.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether work ends before a pause does.
async fn within(pause: impl Future<Output = ()>, work: impl Future<Output = ()>) -> bool {
    let (mut pause, mut work) = (pin!(pause), pin!(work));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => pause.as_mut().poll(context).map(|()| false),
    })
    .await
}

/// One transaction; dropped before its end, it is rolled back with the link's next statement.
async fn attempt<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    commit: &Commit,
    turn: &Turn,
    plan: &mut Plan,
    hopes: Hopes,
) -> Run<Step> {
    let is_careful = !hopes.is_smooth && !link.dialect().forms.survives_refusals;
    link.begin(if is_careful { Access::Careful } else { Access::Write }).await?;
    let step = step(store, link, commit, turn, plan, hopes).await;
    match &step {
        Ok(Step::Done(_)) => match link.commit().await {
            // By a constraint that is checked at the end.
            Err(fail) if hopes.is_smooth && fail.refusal().is_some() => return Err(Fail::Moved),
            ended => ended?,
        },
        // Now: what comes next may be to wait, and somebody else for its locks.
        Ok(Step::Conflicts { .. } | Step::Refused(_) | Step::Duplicate) => link.rollback().await?,
        // A link that is broken is rolled back by the server.
        Err(_) => link.rollback().await.unwrap_or_default(),
    }
    step
}

/// What a transaction does before it is ended.
async fn step<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    commit: &Commit,
    turn: &Turn,
    plan: &mut Plan,
    hopes: Hopes,
) -> Run<Step> {
    if !plan.is_current(link).await? {
        return Err(Fail::Moved);
    }
    let mut attempt = Attempt::new(store, commit, plan, hopes);
    let writes = attempt.look(link, plan).await?;
    let mut refused = Vec::new();
    if writes.is_empty() {
        attempt.clear(link).await?;
        refused = attempt.write_rows(link, plan).await?;
    }
    turn.written();
    // Whoever is in the way of the commit before, which may have begun anew, is out of it in time.
    if !within(store.database.sleep(PATIENCE), turn.may_lock()).await {
        return Err(Fail::Moved);
    }
    // The database knows best when the commit before has ended: its locks go before it is known to be on the disk, and this
    // one is on the disk after it.
    let state = attempt.check_state(link).await?;
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
    let Some(given) = attempt.finish(link, plan).await? else {
        return Ok(Step::Duplicate);
    };
    attempt.write_index(link, plan, &given).await?;
    if plan.is_staged {
        crate::sql::staging::unstage(link, Some(commit.session)).await?;
    }
    Ok(Step::Done(attempt.receipt(link, given).await?))
}
