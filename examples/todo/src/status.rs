//! `todo status`: what waits, and what the server refused.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::Context;
use fastsync_core::{Clock, SyncableRepositoryExt, SystemClock};

use crate::Place;
use crate::list::TodoList;
use crate::sync::count;

pub(crate) async fn run(list: &TodoList, place: &Place) -> anyhow::Result<()> {
    let status = list.manager.status().await?;
    // Refused edits are kept, but they do not wait: they are not sent again by themselves.
    let waiting = status.pending - status.rejected;
    match waiting {
        0 => println!("Everything is sent."),
        1 => println!("1 edit waits to be sent: `todo sync` sends it."),
        n => println!("{n} edits wait to be sent: `todo sync` sends them."),
    }
    if status.push_in_flight {
        println!("The last attempt to send was not answered; the next one finds out what became of it.");
    }
    match last_sync(place) {
        Some(then) => {
            println!("Last synchronised {}.", ago(SystemClock.now().as_millis().saturating_sub(then)))
        }
        None => println!("Never synchronised."),
    }
    print_refused(list).await
}

pub(crate) async fn print_refused(list: &TodoList) -> anyhow::Result<()> {
    let refused = list.manager.rejected().await?;
    if refused.is_empty() {
        return Ok(());
    }
    println!("The server refused {}:", count(refused.len() as u64, "edit"));
    for edit in refused {
        let text =
            list.tasks.find_by_id(&edit.key.id).await?.map_or("a removal".to_owned(), |task| task.text);
        println!("  “{text}”: {}", edit.message);
    }
    println!("Change it with `todo edit`, or remove it with `todo rm`.");
    Ok(())
}

/// Notes when the last synchronisation ended, beside the database.
pub(crate) fn remember_sync(place: &Place) -> anyhow::Result<()> {
    let path = note(place);
    fs::write(&path, SystemClock.now().as_millis().to_string())
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn last_sync(place: &Place) -> Option<u64> {
    fs::read_to_string(note(place)).ok()?.trim().parse().ok()
}

fn note(place: &Place) -> PathBuf {
    let mut name = OsString::from(&place.db);
    name.push(".last-sync");
    name.into()
}

fn ago(millis: u64) -> String {
    let minutes = millis / 60_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{} ago", count(minutes, "minute")),
        60..1_440 => format!("{} ago", count(minutes / 60, "hour")),
        _ => format!("{} ago", count(minutes / 1_440, "day")),
    }
}
