//! `cargo xtask instructions`: what the hot paths cost, as a count that no load of the machine changes, beside the count
//! that was accepted last.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bench::PACKAGE;
use crate::workspace::{Build, Workspace, succeeds};

/// The accepted counts.
const ACCEPTED: &str = "benches/instructions.json";

const PATHS: [&str; 4] = ["encode", "decode", "commit", "page"];

/// Repetitions by which two runs differ. The program makes ready for one more.
const REPETITIONS: u64 = 10;

/// The most that a path may cost, in hundredths of what was accepted.
const MOST_PERCENT: u64 = 110;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Take what is counted now as the new measure.
    #[arg(long)]
    accept: bool,
}

/// Whether the program that counts is there.
pub(crate) fn is_possible() -> bool {
    succeeds(Command::new("valgrind").arg("--version"))
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if !is_possible() {
        bail!(
            "valgrind counts the instructions, and is not installed; as root on Debian: apt-get install valgrind"
        );
    }
    let program = workspace.build(Build::Release, PACKAGE)?;
    let mut counts = BTreeMap::new();
    for path in PATHS {
        let count = |times: u64| {
            let output = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(&program)
                .args(["hot", path, "--times", &times.to_string()])
                .output()
                .context("valgrind could not be started")?;
            let said = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() {
                bail!("{path}: {}\n{said}", output.status);
            }
            collected(&said).with_context(|| format!("{path}: valgrind names no count\n{said}"))
        };
        let (few, many) = (count(1)?, count(1 + REPETITIONS)?);
        counts.insert(path.to_owned(), many.saturating_sub(few) / REPETITIONS);
    }
    if args.accept {
        std::fs::write(workspace.root.join(ACCEPTED), serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let accepted: BTreeMap<String, u64> = serde_json::from_str(&workspace.read(ACCEPTED)?)
        .with_context(|| format!("{ACCEPTED} cannot be read"))?;
    println!("instructions for 1,000 records; at most {MOST_PERCENT} % of what was accepted");
    let mut kept = true;
    for (path, count) in &counts {
        let accepted = accepted.get(path).copied().unwrap_or_default();
        let is_kept = is_within(*count, accepted);
        let verdict = if is_kept { "kept" } else { "MISSED" };
        println!("{verdict}: {path:<6} {count:>12}, accepted {accepted:>12}");
        kept &= is_kept;
    }
    if !kept {
        println!("if that is the price of something worth it: cargo xtask instructions --accept");
    }
    Ok(kept)
}

fn is_within(count: u64, accepted: u64) -> bool {
    count.saturating_mul(100) <= accepted.saturating_mul(MOST_PERCENT)
}

/// The count in what callgrind says.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 123456\n==1==\n"), Some(123_456));
        assert_eq!(collected("==1== no count\n"), None);
    }

    #[test]
    fn a_tenth_more_is_too_much() {
        assert!(is_within(1_100, 1_000) && is_within(10, 1_000));
        assert!(!is_within(1_101, 1_000) && !is_within(1, 0));
    }
}
