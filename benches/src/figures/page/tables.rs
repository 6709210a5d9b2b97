//! The tables that are not about one workload.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use crate::figures::kept::{Kept, number, text};

/// What is required in parts of what limits ours, and what was found.
pub(super) fn ratios(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str("\n## Required ratios\n\n");
    let mut rows = kept.list("ratios", "/figures/table").peekable();
    if rows.peek().is_none() {
        page.push_str("Not measured: `cargo xtask bench --check` does.\n");
        return Ok(());
    }
    page.push_str(
        "Ours and what it is compared with took turns in one run; medians. Peers are on demand, so their rows are of the\n\
         last runs of `cargo xtask peers` and `cargo xtask bench workloads`.\n\n\
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
    let mut lines = kept.list("growth", "/figures/lines").peekable();
    if lines.peek().is_none() {
        page.push_str("Not measured: `cargo xtask bench growth` does.\n");
        return Ok(());
    }
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
