//! `todo sync`: what went up, what came down, and what became of conflicts, in words.

use std::collections::HashMap;

use anyhow::bail;
use fastsync_core::{Error, ObjectId, SettledConflict, Settlement, SyncableObject, SyncableRepositoryExt};

use crate::list::TodoList;
use crate::{Place, status};

pub(crate) async fn run(list: &TodoList, place: &Place) -> anyhow::Result<()> {
    if place.token.is_none() {
        bail!(
            "There is no token yet. Give the one that the server knows you by: --token TOKEN, or TODO_TOKEN."
        );
    }
    // A task that someone else removed is gone after the synchronisation; people still want to know which it was.
    let before: HashMap<ObjectId, String> = list
        .tasks
        .get_all()
        .await?
        .into_iter()
        .map(|task| Ok((task.id()?, task.text)))
        .collect::<anyhow::Result<_>>()?;

    // Both halves may fail. A person needs one reason.
    let report = list.manager.sync().await.map_err(Error::from)?;
    status::remember_sync(place)?;

    match (report.push.applied, report.pull.received) {
        (0, 0) if report.push.conflicts.is_empty() && report.push.rejected == 0 => {
            println!("Nothing to send, nothing new.");
        }
        (sent, received) => {
            println!("Sent {}, received {}.", count(sent, "edit"), count(received, "change"));
        }
    }
    for conflict in report.push.conflicts.iter().chain(&report.pull.conflicts) {
        println!("{}", describe(list, conflict, &before).await?);
    }
    status::print_refused(list).await
}

async fn describe(
    list: &TodoList,
    conflict: &SettledConflict,
    before: &HashMap<ObjectId, String>,
) -> anyhow::Result<String> {
    let id = &conflict.key.id;
    let mine = before.get(id).map_or("a task that you removed", String::as_str);
    let now = list.tasks.find_by_id(id).await?;
    let outcome = match (conflict.settlement, now) {
        (Settlement::KeptServer, None) => "someone else removed it, so your edit is dropped".to_owned(),
        (Settlement::KeptServer, Some(task)) => {
            format!(
                "someone else edited it later than you, so theirs stays: “{}”{}",
                task.text,
                done(task.done)
            )
        }
        (Settlement::KeptClient, _) => "someone else edited it earlier than you, so yours stays".to_owned(),
        (_, Some(task)) => {
            format!("both edits were merged: “{}”{}", task.text, done(task.done))
        }
        (_, None) => "both edits were merged".to_owned(),
    };
    Ok(format!("Conflict on “{mine}”: {outcome}."))
}

fn done(done: bool) -> &'static str {
    if done { ", done" } else { "" }
}

/// `1 edit`, `2 edits`.
pub(crate) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
