//! Where and how the figures were measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::figures::kept::Kept;

/// The crates whose versions matter to the figures.
const CRATES: [&str; 6] = ["redb", "sled", "rusqlite", "sqlx", "mongodb", "hyper"];

/// The machine, versions, and each benchmark with its command, its date and its settings.
pub(super) fn head(kept: &Kept, folder: &Path, beside: &str) -> Result<String> {
    let unknown = || "unknown".to_owned();
    let line_of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let mut page = format!(
        "# Performance\n\n\
         Made by `cargo xtask bench page` from the last run of each benchmark; nothing here is typed by hand. The figures\n\
         themselves: [{beside}/figures.json]({beside}/figures.json).\n\n| | |\n|---|---|\n"
    );
    let cores = std::thread::available_parallelism()?;
    let crates = fs::read_to_string("Cargo.lock").map(|lock| locked(&lock)).unwrap_or_else(|_| unknown());
    for (what, value) in [
        ("processor", line_of("/proc/cpuinfo", "model name").map(|name| format!("{name}, {cores} cores"))),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        ("system", output("uname", &["-sr"]).map(|name| release(&name))),
        ("revision", output("git", &["rev-parse", "--short", "HEAD"])),
        ("compiler", output("rustc", &["--version"])),
        ("SQLite", Some(rusqlite::version().to_owned())),
        ("servers", servers(kept)),
        ("crates", Some(crates)),
    ] {
        writeln!(page, "| {what} | {} |", value.unwrap_or_else(unknown))?;
    }
    page.push_str(
        "\nThe record: id (UUID), name (20 characters), description (120), quantity, updated_at. Client and server are\n\
         processes of their own on this one machine and talk HTTP over its loopback interface. Everything is durable at\n\
         both ends (SQLite with `synchronous = FULL`, sled with a sync of its file after each flush, MariaDB with\n\
         `innodb_flush_log_at_trx_commit = 1`, MongoDB with `w: majority, j: true`) unless a peer is not. What is\n\
         unfair about each peer, against it and against us, is told [with the\n\
         peers](../benches/peers/README.md#what-is-unfair).\n\n\
         *floor* is a hand-written loop of parse, post and upsert in 1,000s on the same database, without ids of its own,\n\
         conflicts, sessions, or a local store to push from: what remains when nothing is synchronised. Processor time is\n\
         that of a whole client process, with its start, and of the server process meanwhile; that of MariaDB or MongoDB\n\
         itself is in neither. Bytes are those of both directions, heads included. The machine may be shared: compare the\n\
         rows of one run, not runs.\n\n## What was run\n\n\
         | benchmark | command | date | settings |\n|---|---|---|---|\n",
    );
    for (name, run) in &kept.0 {
        let file = folder.join(format!("{name}.json"));
        let date = output("date", &["-r", &file.to_string_lossy(), "+%Y-%m-%d %H:%M"]);
        let command = match &**name {
            "peers" => "cargo xtask peers all".to_owned(),
            "ratios" => "cargo xtask bench --check".to_owned(),
            name => format!("cargo xtask bench {name}"),
        };
        let long = if run.get("long") == Some(&Value::Bool(true)) { " --long" } else { "" };
        let settings = run.get("settings").and_then(Value::as_object).map(settings).unwrap_or_default();
        writeln!(page, "| {name} | `{command}{long}` | {} | {settings} |", date.unwrap_or_else(unknown))?;
    }
    page.push_str("\nEach takes `--long` for more rounds and more records.\n");
    Ok(page)
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

/// The name of a system without what its builder has added to the version.
fn release(name: &str) -> String {
    name.split('-').next().unwrap_or_default().to_owned()
}

/// What the servers said of themselves when they were measured.
fn servers(kept: &Kept) -> Option<String> {
    let named = kept.0.values().flat_map(|run| kept_servers(run).into_iter().flatten());
    let servers: BTreeSet<String> =
        named.filter_map(|(name, version)| Some(format!("{name} {}", version.as_str()?))).collect();
    (!servers.is_empty()).then(|| servers.into_iter().collect::<Vec<_>>().join(", "))
}

fn kept_servers(run: &Value) -> Option<&Map<String, Value>> {
    run.pointer("/settings/servers")?.as_object()
}

/// Settings as people read them.
fn settings(settings: &Map<String, Value>) -> String {
    let mut text = Vec::new();
    for (name, value) in settings.iter().filter(|(name, _)| *name != "servers") {
        let value = match value {
            Value::Number(number) if number.is_f64() => format!("{:.2}", number.as_f64().unwrap_or_default()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push(format!("{name} {value}"));
    }
    text.join(", ")
}

/// The versions of [`CRATES`] that were built.
fn locked(lock: &str) -> String {
    let version = |name: &str| {
        let at = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(format!("{name} {}", at.split_once('"')?.0))
    };
    CRATES.into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}
