//! Proofs and figures by name: what `cargo xtask prove` and `cargo xtask bench` have in common.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::servers::{self, Policy};
use crate::summary::{Outcome, Skips, Summary};
use crate::unchanged::Unchanged;
use crate::workspace::{Build, Workspace};

/// A named run: a program of a package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) package: &'static str,
    pub(crate) binary: &'static str,
    pub(crate) build: Build,
    /// Arguments of the short form, which CI runs.
    pub(crate) short: &'static [&'static str],
    /// Arguments of the long form.
    pub(crate) long: &'static [&'static str],
    /// The servers that it uses where they can be had.
    pub(crate) servers: &'static [&'static str],
    /// The packages of the data sources that it runs on; none means every one.
    pub(crate) on: &'static [&'static str],
}

/// What the packages of data sources begin with.
const DATA_SOURCE: &str = "fastsync-dao-";

/// A run to repeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    /// The seed that it printed.
    pub(crate) seed: u64,
    /// The one case of it that is meant.
    pub(crate) case: Option<u64>,
}

impl Entry {
    /// The same on these data sources alone.
    pub(crate) const fn on(self, packages: &'static [&'static str]) -> Self {
        Self { on: packages, ..self }
    }

    /// The packages that it is made of.
    fn packages<'a>(&self, workspace: &'a Workspace) -> BTreeSet<&'a str> {
        let mut packages = workspace.closure(self.package);
        packages
            .retain(|name| !name.starts_with(DATA_SOURCE) || self.on.is_empty() || self.on.contains(name));
        packages
    }

    fn args(&self, long: bool, repeat: Option<Repeat>) -> Vec<String> {
        let own = if long { self.long } else { self.short };
        let seed = repeat.map(|repeat| ("--seed", repeat.seed));
        let case = repeat.and_then(|repeat| repeat.case).map(|case| ("--case", case));
        let options = seed.into_iter().chain(case);
        let options = options.flat_map(|(option, number)| [option.to_owned(), number.to_string()]);
        own.iter().map(|&arg| arg.to_owned()).chain(options).collect()
    }

    fn run(
        &self,
        workspace: &Workspace,
        long: bool,
        repeat: Option<Repeat>,
        skips: &mut Skips,
    ) -> Result<Outcome> {
        if let Some(reason) = missing(workspace, self.package, self.binary) {
            return skip(workspace, skips, self.name, &reason);
        }
        let args = self.args(long, repeat);
        workspace.built(self.build, self.binary, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Outcome::Passed)
    }
}

/// Why a program cannot be run, if it cannot.
pub(crate) fn missing(workspace: &Workspace, package: &str, binary: &str) -> Option<String> {
    match workspace.package(package) {
        None => Some(format!("package {package} is not in this workspace")),
        Some(found) if !found.binaries.iter().any(|name| name == binary) => {
            Some(format!("package {package} has no program {binary}"))
        }
        Some(_) => None,
    }
}

/// Leaves something out: loudly on a desk, as a failure in CI.
pub(crate) fn skip(workspace: &Workspace, skips: &mut Skips, name: &str, reason: &str) -> Result<Outcome> {
    if workspace.ci {
        bail!("{reason}, and CI=true allows no skip of {name}");
    }
    skips.add(name, reason);
    Ok(Outcome::Skipped)
}

/// Prints names and descriptions.
pub(crate) fn list<'a>(entries: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    let width = entries.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, about) in entries {
        println!("{name:<width$}  {about}");
    }
}

/// Those of `all` that the names mean; the name `all` means every one.
pub(crate) fn select<'a, T>(all: &'a [T], name_of: fn(&T) -> &str, names: &[String]) -> Result<Vec<&'a T>> {
    if names.iter().any(|name| name == "all") {
        return Ok(all.iter().collect());
    }
    let find = |name: &String| match all.iter().find(|one| name_of(one) == name) {
        Some(one) => Ok(one),
        None => {
            let known = all.iter().map(name_of).collect::<Vec<_>>().join(", ");
            bail!("there is no `{name}`; there are {known} and all")
        }
    };
    names.iter().map(find).collect()
}

/// How entries are run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Form {
    /// The long form instead of the short one.
    #[arg(long)]
    long: bool,
    /// Install no server.
    #[arg(long)]
    no_install: bool,
}

/// Starts the servers that the named entries use and runs them, all of them even if one fails; says whether none failed.
pub(crate) fn run(
    mut workspace: Workspace,
    entries: &[Entry],
    names: &[String],
    Form { long, no_install }: Form,
    repeat: Option<Repeat>,
) -> Result<bool> {
    let mut summary = Summary::default();
    let selected = select(entries, |entry| entry.name, names)?;
    let servers: Vec<&str> = selected.iter().flat_map(|entry| entry.servers).copied().collect();
    // Kept until the last one is over.
    let mut running = Vec::new();
    if !servers.is_empty() {
        summary.step("servers", |skips| {
            let policy = Policy::from_env(no_install);
            let (outcome, started) = servers::start_named(&servers, &mut workspace, &policy, skips)?;
            running = started;
            Ok(outcome)
        });
    }
    let workspace = &workspace;
    for entry in selected {
        summary.step(entry.name, |skips| {
            println!("  {}", entry.about);
            entry.run(workspace, long, repeat, skips)
        });
    }
    drop(running);
    Ok(summary.finish())
}

/// The seed of the proofs of the whole check: another one for each commit, and the same for one commit. Without one, each
/// run draws its own.
fn seed_of_commit(workspace: &Workspace) -> Option<Repeat> {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(&workspace.root).output().ok()?;
    let seed = seed_of(std::str::from_utf8(&head.stdout).ok()?)?;
    Some(Repeat { seed, case: None })
}

/// The first digits of a commit's name, as a number that one can type.
fn seed_of(commit: &str) -> Option<u64> {
    u64::from_str_radix(commit.get(..8)?, 16).ok()
}

/// Whether none of these need run.
pub(crate) fn are_spared(workspace: &Workspace, entries: &[Entry], unchanged: &Unchanged) -> bool {
    entries.iter().all(|entry| unchanged.spares(workspace, entry.name, &entry.packages(workspace)))
}

/// Runs the short form of every proof as one step of the tests, up to the first that fails.
pub(crate) fn run_all<'a>(
    workspace: &Workspace,
    entries: impl Iterator<Item = &'a Entry>,
    unchanged: &Unchanged,
    skips: &mut Skips,
) -> Result<Outcome> {
    let mut outcome = Outcome::Skipped;
    let seed = seed_of_commit(workspace);
    for entry in entries {
        let packages = entry.packages(workspace);
        if unchanged.spares(workspace, entry.name, &packages) {
            outcome = Outcome::Passed;
            continue;
        }
        println!("  {}: {}", entry.name, entry.about);
        let start = Instant::now();
        if entry.run(workspace, false, seed, skips)? == Outcome::Passed {
            println!("  {}: passed in {:.1} s", entry.name, start.elapsed().as_secs_f64());
            unchanged.passed(workspace, entry.name, &packages)?;
            outcome = Outcome::Passed;
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::workspace::{Package, tests::package};

    const ONE: Entry = Entry {
        name: "one",
        about: "",
        package: "p",
        binary: "b",
        build: Build::Checked,
        short: &[],
        long: &["--long"],
        servers: &[],
        on: &[],
    };
    const ENTRIES: &[Entry] =
        &[ONE, Entry { name: "two", package: "q", short: &["--few"], long: &[], ..ONE }];

    fn workspace(ci: bool) -> Workspace {
        let package = Package { binaries: vec!["other".to_owned()], ..package("p", "", &[]) };
        Workspace {
            root: PathBuf::new(),
            packages: vec![package],
            ci,
            env: Vec::new(),
            target: PathBuf::new(),
            done: Arc::default(),
        }
    }

    #[test]
    fn short_long_and_seed_make_the_arguments() {
        let line = |entry: &Entry, long, repeat| entry.args(long, repeat).join(" ");
        let repeat = |seed, case| Some(Repeat { seed, case });
        assert_eq!(line(&ENTRIES[0], false, None), "");
        assert_eq!(line(&ENTRIES[0], true, repeat(7, None)), "--long --seed 7");
        assert_eq!(line(&ENTRIES[1], false, repeat(7, Some(3))), "--few --seed 7 --case 3");
        assert_eq!(line(&ENTRIES[1], false, None), "--few");
    }

    /// Fails if a change in another data source runs it again, or one in what it is about does not.
    #[test]
    fn a_run_on_one_data_source_is_made_of_that_one_and_of_what_all_need() {
        let core = package("fastsync-core", "", &[]);
        let source = |name| package(name, "", &["fastsync-core"]);
        let all = package("p", "", &["fastsync-dao-a", "fastsync-dao-b"]);
        let packages = vec![core, source("fastsync-dao-a"), source("fastsync-dao-b"), all];
        let workspace = Workspace { packages, ..workspace(false) };
        let made_of = |entry: Entry| entry.packages(&workspace).into_iter().collect::<Vec<_>>();
        assert_eq!(made_of(ONE.on(&["fastsync-dao-b"])), ["fastsync-core", "fastsync-dao-b", "p"]);
        assert_eq!(made_of(ONE), ["fastsync-core", "fastsync-dao-a", "fastsync-dao-b", "p"]);
    }

    #[test]
    fn a_commit_has_one_seed() {
        assert_eq!(seed_of("0000002ad206729c\n"), Some(42));
        assert_eq!((seed_of(""), seed_of("not a commit")), (None, None));
    }

    #[test]
    fn names_select_and_all_selects_all() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(select(ENTRIES, |entry| entry.name, &names(&["two"])).unwrap()[0].name, "two");
        assert_eq!(select(ENTRIES, |entry| entry.name, &names(&["all"])).unwrap().len(), 2);
        assert!(
            select(ENTRIES, |entry| entry.name, &names(&["three"]))
                .unwrap_err()
                .to_string()
                .contains("one, two and all")
        );
    }

    #[test]
    fn a_missing_program_is_a_skip_on_a_desk_and_a_failure_in_ci() {
        let mut skips = Skips::default();
        for entry in ENTRIES {
            assert_eq!(entry.run(&workspace(false), false, None, &mut skips).unwrap(), Outcome::Skipped);
            assert!(entry.run(&workspace(true), false, None, &mut skips).is_err());
        }
        assert_eq!(missing(&workspace(false), "p", "b").unwrap(), "package p has no program b");
        assert_eq!(missing(&workspace(false), "q", "b").unwrap(), "package q is not in this workspace");
        assert_eq!(missing(&workspace(false), "p", "other"), None);
    }
}
