//! The tables that are not about one workload.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use benches::report::thousands;
use serde_json::Value;

use crate::figures::kept::{Kept, number, text};

/// A list that a benchmark has kept; where there is none, the page says which command makes it.
fn measured<'a>(
    page: &mut String,
    kept: &'a Kept,
    (name, pointer): (&str, &str),
    command: &str,
) -> Option<Vec<&'a Value>> {
    let list: Vec<_> = kept.list(name, pointer).collect();
    if list.is_empty() {
        page.push_str(&format!("Not measured: `{command}` does.\n"));
        return None;
    }
    Some(list)
}

/// What is required in parts of what limits ours, and what was found.
pub(super) fn ratios(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str("\n## Required ratios\n\n");
    let Some(rows) = measured(page, kept, ("ratios", "/figures/table"), "cargo xtask bench --check") else {
        return Ok(());
    };
    page.push_str(
        "Ours and what it is compared with took turns in one run; medians. Peers are on demand, so their rows are of the\n\
         last runs of `cargo xtask peers` and `cargo xtask bench workloads`. What holds those that are missed is told\n\
         [beside](ratios.md).\n\n\
         | workload | against | ours | theirs | ratio | required | |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let [workload, against, ours, theirs, required, verdict, why] =
            ["workload", "against", "ours", "theirs", "required", "verdict", "why"].map(|key| text(row, key));
        let ratio = number(row, "ratio").map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let verdict = match (&*verdict, &*why) {
            ("missed", _) => "**missed**".to_owned(),
            (_, "") => verdict,
            _ => format!("{verdict}: {why}"),
        };
        writeln!(page, "| {workload} | {against} | {ours} | {theirs} | {ratio} | {required} | {verdict} |")?;
    }
    Ok(())
}

/// What a server's work costs as its history grows.
pub(super) fn growth(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str("\n## W6: growth with sessions and devices\n\n");
    let Some(lines) = measured(page, kept, ("growth", "/figures/lines"), "cargo xtask bench growth") else {
        return Ok(());
    };
    page.push_str(
        "A server on SQLite, in process: milliseconds, and in brackets parts of the first line's. A page holds the last\n\
         sessions.\n\n\
         | sessions | devices | page | empty pull | commit |\n|---|---|---|---|---|\n",
    );
    for line in lines {
        let count = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or_default();
        write!(page, "| {} | {} |", count("sessions"), count("devices"))?;
        for what in ["page", "empty_pull", "commit"] {
            let [millis, ratio] = ["ms", "ratio"].map(|unit| number(line, &format!("{what}_{unit}")));
            write!(page, " {:.3} ({:.2}) |", millis.unwrap_or_default(), ratio.unwrap_or_default())?;
        }
        page.push('\n');
    }
    Ok(())
}

/// The databases, JSON and HTTP alone.
pub(super) fn alone(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str("\n## What limits every library of this sort\n\n");
    let Some(lines) = measured(page, kept, ("limits", "/figures/lines"), "cargo xtask bench limits") else {
        return Ok(());
    };
    page.push_str(
        "Each alone, in batches of 1,000, in one run: a database with prepared statements or what it has for many rows,\n\
         durable after each batch; serde_json; the same JSON posted with hyper over the loopback interface to a server that\n\
         keeps nothing.\n\n\
         | what | records/s |\n|---|---|\n",
    );
    for line in lines {
        let rate = number(line, "records_per_second").unwrap_or_default();
        writeln!(page, "| {} | {} |", text(line, "what"), thousands(rate))?;
    }
    Ok(())
}

/// What 1,000 records cost on the hot paths, as it was accepted last.
pub(super) fn hot(page: &mut String, accepted: &str) -> Result<()> {
    let costs: BTreeMap<String, Value> = serde_json::from_str(accepted)?;
    page.push_str(
        "\n## Hot paths\n\n\
         For 1,000 records, counted with valgrind, SQLite's own included: no load of the machine changes them. The program is\n\
         the one that the tests are built with, so these are more than users pay. The whole check fails where one is a tenth\n\
         more than this (`cargo xtask instructions`).\n\n\
         | path | instructions | allocations |\n|---|---|---|\n",
    );
    for (path, cost) in &costs {
        let [instructions, allocations] =
            ["instructions", "allocations"].map(|what| thousands(number(cost, what).unwrap_or_default()));
        writeln!(page, "| {path} | {instructions} | {allocations} |")?;
    }
    Ok(())
}

/// Every limit that the other benchmarks state, and what they found.
pub(super) fn limits(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str(
        "\n## Limits that are kept watch over\n\n| benchmark | what | found | required |\n|---|---|---|---|\n",
    );
    for (name, run) in kept.0.iter().filter(|(name, _)| *name != "ratios") {
        for limit in run.get("limits").and_then(Value::as_array).into_iter().flatten() {
            let required = match (number(limit, "at_least"), number(limit, "at_most")) {
                (Some(least), _) => format!("at least {least:.3}"),
                (_, Some(most)) => format!("at most {most:.3}"),
                _ => String::new(),
            };
            let missed = if limit.get("kept") == Some(&Value::Bool(true)) { "" } else { " (missed)" };
            let (what, found) = (text(limit, "what"), number(limit, "value").unwrap_or_default());
            writeln!(page, "| {name} | {what} | {found:.3}{missed} | {required} |")?;
        }
    }
    Ok(())
}
