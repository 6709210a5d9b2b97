//! The tables that are not about one workload.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use benches::report::thousands;
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

/// The databases, JSON and HTTP alone.
pub(super) fn alone(page: &mut String, kept: &Kept) -> Result<()> {
    page.push_str("\n## What limits every library of this sort\n\n");
    let mut lines = kept.list("limits", "/figures/lines").peekable();
    if lines.peek().is_none() {
        page.push_str("Not measured: `cargo xtask bench limits` does.\n");
        return Ok(());
    }
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
    let counts: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(accepted)?;
    page.push_str(
        "\n## Hot paths\n\n\
         For 1,000 records, counted with valgrind, SQLite's own included: no load of the machine changes them. The whole check\n\
         fails where one is a tenth more than this (`cargo xtask instructions`).\n\n\
         | path | instructions | allocations |\n|---|---|---|\n",
    );
    for (path, counts) in counts {
        let count = |what| counts.get(what).copied().unwrap_or_default();
        let instructions = thousands_of(count("instructions"));
        writeln!(page, "| {path} | {instructions} | {} |", thousands_of(count("allocations")))?;
    }
    Ok(())
}

/// A whole number with commas.
fn thousands_of(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_commas() {
        assert_eq!([7, 1_000, 24_113_345].map(thousands_of), ["7", "1,000", "24,113,345"]);
    }
}
