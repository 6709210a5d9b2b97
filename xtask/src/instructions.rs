//! `cargo xtask instructions`: what the hot paths cost, as counts of instructions and of allocations that no load of the
//! machine changes, beside the counts that were accepted last.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{Build, Workspace, succeeds};

/// The package of the program that is counted.
pub(crate) const PACKAGE: &str = "hot-paths";

/// The accepted counts.
const ACCEPTED: &str = "benches/hot/instructions.json";

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

/// What is counted, the tool of valgrind that does it, and how its word at the end is read.
const COUNTED: [(&str, &str, Read); 2] =
    [("instructions", "callgrind", instructions), ("allocations", "dhat", allocations)];

type Read = fn(&str) -> Option<u64>;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if !is_possible() {
        bail!(
            "valgrind counts the instructions, and is not installed; as root on Debian: apt-get install valgrind"
        );
    }
    // Not as users run it: built once more with every optimisation, it would take most of two minutes of each check.
    let program = &workspace.build(Build::Checked, PACKAGE)?;
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    // Side by side, since no load of the machine changes a count.
    let found: Vec<_> = std::thread::scope(|scope| {
        let counting = COUNTED.map(|(what, tool, read)| {
            scope.spawn(move || PATHS.map(|path| (path, what, each(program, path, tool, read))))
        });
        counting.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for (path, what, count) in found.into_iter().flatten().flatten() {
        counts.entry(path.to_owned()).or_default().insert(what.to_owned(), count?);
    }
    if counts.values().map(BTreeMap::len).sum::<usize>() < PATHS.len() * COUNTED.len() {
        bail!("a thread that counts has ended too soon");
    }
    if args.accept {
        std::fs::write(workspace.root.join(ACCEPTED), serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let accepted: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(&workspace.read(ACCEPTED)?)
        .with_context(|| format!("{ACCEPTED} cannot be read"))?;
    println!("for 1,000 records; at most {MOST_PERCENT} % of what was accepted");
    let mut kept = true;
    for (path, counts) in &counts {
        for (what, count) in counts {
            let accepted = accepted.get(path).and_then(|path| path.get(what)).copied().unwrap_or_default();
            let is_kept = is_within(*count, accepted);
            let verdict = if is_kept { "kept" } else { "MISSED" };
            println!("{verdict}: {path:<6} {what:<12} {count:>12}, accepted {accepted:>12}");
            kept &= is_kept;
        }
    }
    if !kept {
        println!("if that is the price of something worth it: cargo xtask instructions --accept");
    }
    Ok(kept)
}

/// What one repetition of a path costs, by what a tool of valgrind says at its end.
fn each(program: &Path, path: &str, tool: &str, read: Read) -> Result<u64> {
    let count = |times: u64| {
        let output = Command::new("valgrind")
            .args([format!("--tool={tool}"), format!("--{tool}-out-file=/dev/null")])
            .arg(program)
            .args([path, "--times", &times.to_string()])
            .output()
            .context("valgrind could not be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{path}: {}\n{said}", output.status);
        }
        read(&said).with_context(|| format!("{path}: {tool} names no count\n{said}"))
    };
    let (few, many) = (count(1)?, count(1 + REPETITIONS)?);
    Ok(many.saturating_sub(few) / REPETITIONS)
}

fn is_within(count: u64, accepted: u64) -> bool {
    count.saturating_mul(100) <= accepted.saturating_mul(MOST_PERCENT)
}

/// The count in what callgrind says.
fn instructions(said: &str) -> Option<u64> {
    let (_, count) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

/// How many blocks were taken from the heap, by what dhat says.
fn allocations(said: &str) -> Option<u64> {
    let (_, total) = said.lines().find_map(|line| line.split_once("Total:"))?;
    let (_, count) = total.strip_suffix(" blocks")?.rsplit_once(" in ")?;
    count.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_found_in_what_the_tools_say() {
        assert_eq!(instructions("==1== Events    : Ir\n==1== Collected : 123456\n==1==\n"), Some(123_456));
        assert_eq!(instructions("==1== no count\n"), None);
        assert_eq!(allocations("==1== Total:     29,196,996 bytes in 92,875 blocks\n==1==\n"), Some(92_875));
        assert_eq!(allocations("==1== Total:     nothing\n"), None);
    }

    #[test]
    fn a_tenth_more_is_too_much() {
        assert!(is_within(1_100, 1_000) && is_within(10, 1_000));
        assert!(!is_within(1_101, 1_000) && !is_within(1, 0));
    }
}
