//! `cargo xtask mutants`: changes the code in one place at a time, and sees whether a test notices. On demand: each change is
//! a build and a run of the tests.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::Workspace;

const TOOL: &str = "cargo-mutants@27.1.0";

/// Changes that no test notices, each with the reason why that is right.
const ACCEPTED: &str = "xtask/mutants-accepted.txt";

/// What is changed unless told otherwise: the engine.
const PACKAGE: &str = "fastsync-core";

/// Kept beside what is built, so that runs add up.
const KEPT: &str = "mutants/results.json";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what differs from this commit.
    #[arg(long, value_name = "BASE")]
    changed: Option<String>,
    /// The package that is changed.
    #[arg(long, default_value = PACKAGE)]
    package: String,
    /// Only as many, chosen by the seed.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// What the choice derives from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this part of the choice: `2/8` is the second of eight.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(usize, usize)>,
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    list: bool,
    /// Only files whose path contains one of these.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mutant {
    file: PathBuf,
    /// With line and column, as the tool names it.
    name: String,
}

impl Mutant {
    /// The name without line and column: it stays when code above moves.
    fn lasting(&self) -> String {
        lasting(&self.name)
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if !workspace.has_subcommand("mutants") {
        bail!("cargo-mutants is not installed; `cargo install --locked {TOOL}` takes some minutes");
    }
    let folder = workspace.target.join("mutants");
    std::fs::create_dir_all(&folder)?;
    let accepted = accepted(&workspace.read(ACCEPTED)?)?;
    let mut chosen = list(workspace, args, &folder)?;
    chosen.retain(|mutant| !accepted.contains_key(&mutant.lasting()));
    let all = chosen.len();
    if let Some(sample) = args.sample {
        chosen.sort_by_key(|mutant| hash(&(args.seed, &mutant.name)));
        chosen.truncate(sample);
    }
    if let Some((part, parts)) = args.shard {
        chosen =
            chosen.into_iter().enumerate().filter(|(at, _)| at % parts == part - 1).map(|(_, m)| m).collect();
    }
    chosen.sort();
    let mut kept = Kept::load(workspace);
    let (known, open): (Vec<_>, Vec<_>) =
        chosen.iter().cloned().partition(|mutant| kept.is_settled(workspace, mutant));
    println!(
        "{} of {all} changes are chosen; {} of them are known from runs before",
        chosen.len(),
        known.len()
    );
    if args.list {
        chosen.iter().for_each(|mutant| println!("  {}", mutant.name));
        return Ok(true);
    }
    // Few at a time: an interrupted run keeps what it has.
    for some in open.chunks(25) {
        kept.add(workspace, attempt(workspace, args, &folder, some)?)?;
    }
    Ok(report(workspace, &chosen, &kept))
}

/// Every change of the package that the tool can think of.
fn list(workspace: &Workspace, args: &Args, folder: &Path) -> Result<Vec<Mutant>> {
    let mut command = vec!["mutants", "--list", "--json", "--package", &args.package];
    let diff = folder.join("changed.diff").display().to_string();
    if let Some(base) = &args.changed {
        let changed = workspace.output("git", &["diff", base])?;
        std::fs::write(&diff, changed)?;
        command.extend(["--in-diff", &diff]);
    }
    let listed: Value = serde_json::from_str(&workspace.cargo_output(&command)?)
        .context("what `cargo mutants --list --json` says is not JSON")?;
    let mutants = listed.as_array().context("`cargo mutants --list --json` gives no list")?;
    let text = |mutant: &Value, member: &str| mutant[member].as_str().unwrap_or_default().to_owned();
    let mutants =
        mutants.iter().map(|mutant| Mutant { file: text(mutant, "file").into(), name: text(mutant, "name") });
    let is_meant = |mutant: &Mutant| {
        let path = mutant.file.display().to_string();
        args.paths.is_empty() || args.paths.iter().any(|part| path.contains(part.as_str()))
    };
    Ok(mutants.filter(is_meant).collect())
}

/// Tries some changes; gives what became of each.
fn attempt(
    workspace: &Workspace,
    args: &Args,
    folder: &Path,
    mutants: &[Mutant],
) -> Result<Vec<(Mutant, String)>> {
    let output = folder.display().to_string();
    let mut command =
        vec!["mutants", "--package", &args.package, "--output", &output, "--no-times", "--colors", "never"];
    command.extend(["--baseline", "skip", "--timeout", "120", "--all-features", "--profile", "mutants"]);
    for package in tests_of(&args.package) {
        command.extend(["--test-package", package]);
    }
    let names: Vec<_> = mutants.iter().map(|mutant| format!("^{}$", escaped(&mutant.name))).collect();
    for name in &names {
        command.extend(["--examine-re", name]);
    }
    // The names alone do not limit it: it tries changes of other names as well, but none outside these lines.
    let lines = folder.join("lines.diff").display().to_string();
    std::fs::write(&lines, diff_of_lines(mutants, |file| workspace.read(file))?)?;
    command.extend(["--in-diff", &lines]);
    // The tool works on a copy of the tree; what is built stays for the next run.
    let target = folder.join("build").display().to_string();
    // It fails where a change is missed; what it writes says more.
    if let Err(error) = workspace.cargo_with(&command, &[("CARGO_TARGET_DIR", &target)]) {
        println!("  {error:#}");
    }
    let outcomes = std::fs::read_to_string(folder.join("mutants.out/outcomes.json"))
        .context("cargo-mutants has left no outcomes")?;
    of_outcomes(&serde_json::from_str(&outcomes).context("outcomes.json cannot be read")?, mutants)
}

/// A difference that has the lines of these changes, as if each were new.
fn diff_of_lines(mutants: &[Mutant], read: impl Fn(&Path) -> Result<String>) -> Result<String> {
    let mut lines: BTreeMap<&Path, BTreeSet<usize>> = BTreeMap::new();
    for mutant in mutants {
        let line = mutant.name.split(':').nth(1).and_then(|line| line.parse().ok());
        let line = line.with_context(|| format!("{} names no line", mutant.name))?;
        lines.entry(&mutant.file).or_default().insert(line);
    }
    let mut diff = String::new();
    for (file, lines) in lines {
        let (text, shown) = (read(file)?, file.display());
        writeln!(diff, "--- a/{shown}\n+++ b/{shown}")?;
        for (before, line) in lines.into_iter().enumerate() {
            let content = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            writeln!(diff, "@@ -{},0 +{line} @@\n+{content}", line.saturating_sub(before + 1))?;
        }
    }
    Ok(diff)
}

/// The packages whose tests are to notice a change of this one.
fn tests_of(package: &str) -> Vec<&str> {
    match package {
        PACKAGE => vec![PACKAGE, "fastsync-conformance", "fastsync-dao-sqlite"],
        other => vec![other],
    }
}

fn of_outcomes(outcomes: &Value, mutants: &[Mutant]) -> Result<Vec<(Mutant, String)>> {
    let outcomes = outcomes["outcomes"].as_array().context("outcomes.json has no outcomes")?;
    let found = outcomes.iter().filter_map(|outcome| {
        let name = outcome["scenario"]["Mutant"]["name"].as_str()?;
        let mutant = mutants.iter().find(|mutant| mutant.name == name)?;
        Some((mutant.clone(), outcome["summary"].as_str()?.to_owned()))
    });
    Ok(found.collect())
}

/// Says how many were noticed, and which were not; `true` if all were.
fn report(workspace: &Workspace, chosen: &[Mutant], kept: &Kept) -> bool {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut missed = Vec::new();
    for mutant in chosen {
        let outcome = kept.outcome(workspace, mutant).unwrap_or("not tried");
        *counts.entry(outcome.to_owned()).or_default() += 1;
        if outcome == MISSED {
            missed.push(&mutant.name);
        }
    }
    let of = |name: &str| counts.get(name).copied().unwrap_or_default();
    for (outcome, count) in &counts {
        println!("{count:>5}  {outcome}");
    }
    let noticed = of(CAUGHT) + of("Timeout");
    if noticed + missed.len() > 0 {
        let percent = noticed * 100 / (noticed + missed.len());
        println!("{percent} % of the changes that compile were noticed");
    }
    for name in &missed {
        println!("MISSED {name}");
    }
    if !missed.is_empty() {
        println!(
            "each needs a test that notices it, or a line in {ACCEPTED} with the reason why nobody could"
        );
    }
    missed.is_empty()
}

const CAUGHT: &str = "CaughtMutant";
const MISSED: &str = "MissedMutant";

/// What runs before found out: by file, with a hash of its content, so that a changed file is tried again.
#[derive(Debug, Default)]
struct Kept(BTreeMap<PathBuf, (u64, BTreeMap<String, String>)>);

impl Kept {
    fn load(workspace: &Workspace) -> Self {
        let text = std::fs::read_to_string(workspace.target.join(KEPT)).unwrap_or_default();
        let files: Value = serde_json::from_str(&text).unwrap_or_default();
        let file = |(path, file): (&String, &Value)| {
            let outcomes = file["outcomes"].as_object()?;
            let outcomes = outcomes
                .iter()
                .filter_map(|(name, outcome)| Some((name.clone(), outcome.as_str()?.to_owned())));
            Some((PathBuf::from(path), (file["hash"].as_u64()?, outcomes.collect())))
        };
        Self(files.as_object().into_iter().flatten().filter_map(file).collect())
    }

    /// Whether nothing can have changed about a change. One that was missed is open: there may be a test now.
    fn is_settled(&self, workspace: &Workspace, mutant: &Mutant) -> bool {
        self.outcome(workspace, mutant).is_some_and(|outcome| outcome != MISSED)
    }

    /// What became of a change, if its file is as it was then.
    fn outcome(&self, workspace: &Workspace, mutant: &Mutant) -> Option<&str> {
        let (hash, outcomes) = self.0.get(&mutant.file)?;
        (*hash == content_hash(workspace, &mutant.file))
            .then(|| outcomes.get(&mutant.name))?
            .map(String::as_str)
    }

    fn add(&mut self, workspace: &Workspace, outcomes: Vec<(Mutant, String)>) -> Result<()> {
        for (mutant, outcome) in outcomes {
            let hash = content_hash(workspace, &mutant.file);
            let file = self.0.entry(mutant.file).or_default();
            if file.0 != hash {
                *file = (hash, BTreeMap::new());
            }
            file.1.insert(mutant.name, outcome);
        }
        let files: serde_json::Map<_, _> = self
            .0
            .iter()
            .map(|(path, (hash, outcomes))| {
                (path.display().to_string(), serde_json::json!({ "hash": hash, "outcomes": outcomes }))
            })
            .collect();
        std::fs::write(workspace.target.join(KEPT), serde_json::to_string_pretty(&files)?)?;
        Ok(())
    }
}

fn content_hash(workspace: &Workspace, file: &Path) -> u64 {
    hash(&std::fs::read(workspace.root.join(file)).unwrap_or_default())
}

/// The same on every machine of one version of Rust.
fn hash<T: std::hash::Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Names and reasons: `NAME # REASON`, a line each.
fn accepted(text: &str) -> Result<BTreeMap<String, String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) =
                line.split_once(" # ").with_context(|| format!("{ACCEPTED}: no reason: {line}"))?;
            ensure!(!reason.trim().is_empty(), "{ACCEPTED}: no reason: {line}");
            Ok((name.trim().to_owned(), reason.trim().to_owned()))
        })
        .collect()
}

/// `path:line:column: what` without line and column.
fn lasting(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(path), Some(line), Some(column), Some(what))
            if [line, column].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            format!("{path}:{what}")
        }
        _ => name.to_owned(),
    }
}

fn escaped(name: &str) -> String {
    let special = |c: char| "\\.+*?()|[]{}^$#&-~".contains(c);
    name.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts =
        text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match parts {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part, parts)),
        _ => Err("a part is `K/N`, K from 1 to N".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(name: &str) -> Mutant {
        Mutant { file: "a/b.rs".into(), name: name.to_owned() }
    }

    /// Fails if a line is taken for another one, or the second line of a file is where it was before the first came.
    #[test]
    fn the_lines_of_changes_are_a_difference() {
        let at = |line: usize| mutant(&format!("a/b.rs:{line}:5: replace f -> bool with true"));
        let diff = diff_of_lines(&[at(3), at(1), at(3)], |_| Ok("one\ntwo\nthree\n".to_owned())).unwrap();
        assert_eq!(diff, "--- a/a/b.rs\n+++ b/a/b.rs\n@@ -0,0 +1 @@\n+one\n@@ -1,0 +3 @@\n+three\n");
        assert!(diff_of_lines(&[mutant("a/b.rs: no place")], |_| Ok(String::new())).is_err());
    }

    #[test]
    fn a_name_without_its_place_stays_when_code_moves() {
        assert_eq!(
            lasting("a/b.rs:12:5: replace f -> bool with true"),
            "a/b.rs: replace f -> bool with true"
        );
        assert_eq!(lasting("a/b.rs: replace a::b"), "a/b.rs: replace a::b");
    }

    #[test]
    fn an_accepted_change_has_a_reason() {
        let list = accepted("# why\n\na/b.rs: replace f with () # a cache: only speed\n").unwrap();
        assert_eq!(list["a/b.rs: replace f with ()"], "a cache: only speed");
        assert!(accepted("a/b.rs: replace f with ()").is_err());
        assert!(accepted(&std::fs::read_to_string("mutants-accepted.txt").unwrap()).is_ok());
    }

    #[test]
    fn outcomes_are_read_by_the_name_of_the_change() {
        let mutants = [mutant("one"), mutant("two")];
        let outcomes = serde_json::json!({ "outcomes": [
            { "scenario": "Baseline", "summary": "Success" },
            { "scenario": { "Mutant": { "name": "two" } }, "summary": "MissedMutant" },
        ]});
        assert_eq!(of_outcomes(&outcomes, &mutants).unwrap(), [(mutants[1].clone(), MISSED.to_owned())]);
    }

    #[test]
    fn a_part_is_within_its_parts_and_a_name_is_taken_literally() {
        assert_eq!(shard("2/8"), Ok((2, 8)));
        assert!(["0/8", "9/8", "x", "1"].iter().all(|text| shard(text).is_err()));
        assert_eq!(escaped("a/b.rs:1: replace || with &&"), "a/b\\.rs:1: replace \\|\\| with \\&\\&");
    }
}
