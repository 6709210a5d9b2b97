//! `cargo xtask test`: every check, in the order in which a mistake shows soonest.

use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::servers::{Policy, Running};
use crate::summary::{Outcome, Skips, Summary};
use crate::workspace::{Build, Workspace};
use crate::{bench, gates, instructions, prove, registry, servers};

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// A step of the test command.
struct Step {
    name: &'static str,
    about: &'static str,
    /// Whether it talks to the servers.
    needs_servers: bool,
    run: fn(&mut Run<'_>, &mut Skips) -> Result<Outcome>,
}

const STEPS: &[Step] = &[
    step("servers", "find, install and start what the tests need", false, start_servers),
    step("fmt", "formatting", false, format),
    step("clippy", "lints, warnings denied", false, |run, _| {
        run.cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
    }),
    step("gates", "rules of this workspace that no compiler checks", false, |run, _| {
        gates::check(&run.workspace)?;
        Ok(Outcome::Passed)
    }),
    step("deny", "licences, banned crates and sources of the dependencies", false, deny),
    step("test", "all tests", true, tests),
    step("doctest", "the examples in the documentation", true, |run, _| {
        run.cargo(&["test", "--doc", "--workspace", "--all-features"])
    }),
    step("doc", "the documentation, warnings denied", false, |run, _| {
        let args = ["doc", "--workspace", "--no-deps", "--all-features"];
        run.workspace.cargo_with(&args, &[("RUSTDOCFLAGS", "-D warnings")])?;
        Ok(Outcome::Passed)
    }),
    step("examples", "the example programs, each in its self-test form", true, examples),
    step("prove", "the short form of every proof", true, proofs),
    step("cluster", "the proof that needs a cluster of three MariaDB nodes", false, cluster),
    step("bench-check", "the short form of every figure", true, figures),
    step("instructions", "what the hot paths cost, counted", false, instructions),
];

const fn step(
    name: &'static str,
    about: &'static str,
    needs_servers: bool,
    run: fn(&mut Run<'_>, &mut Skips) -> Result<Outcome>,
) -> Step {
    Step { name, about, needs_servers, run }
}

/// An example program that checks itself and says by its exit code how that went. The servers and the to-do client
/// have tests of their own instead.
struct Example {
    package: &'static str,
    args: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example { package: "quickstart", args: &["--ci"] },
    Example { package: "quickstart", args: &["--ci", "--store", "sled"] },
    Example { package: "quickstart", args: &["--ci", "--server-store", "sled"] },
];

/// A figure that is missed is measured again: on a shared machine another load may come and go within a run.
const FIGURE_TRIES: u32 = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what steps there are and run nothing.
    #[arg(long)]
    list: bool,
    /// Install nothing, neither servers nor tools.
    #[arg(long)]
    no_install: bool,
    /// Go on after a step that failed.
    #[arg(long)]
    keep_going: bool,
    /// Install cargo-deny if it is missing (about two minutes), so that the step `deny` is never skipped.
    #[arg(long)]
    deny: bool,
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
            println!("{:<11}  {}", step.name, step.about);
        }
        return Ok(true);
    }
    let mut run = Run { workspace, args, servers: Vec::new() };
    let mut summary = Summary::default();
    let mut failed = false;
    for step in select(&args.steps) {
        if failed && !args.keep_going {
            summary.not_run(step.name);
        } else {
            failed |= !summary.step(step.name, |skips| {
                println!("  {}", step.about);
                (step.run)(&mut run, skips)
            });
        }
    }
    Ok(summary.finish())
}

/// The steps of these names, or all of them, in the table's order.
fn select(names: &[String]) -> Vec<&'static Step> {
    let named = |step: &Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let servers = STEPS.iter().any(|step| step.needs_servers && named(step));
    STEPS.iter().filter(|step| named(step) || (servers && step.name == "servers")).collect()
}

fn start_servers(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    let policy = Policy::from_env(run.args.no_install);
    policy.check()?;
    let (outcome, running) = servers::start(&mut run.workspace, &policy, skips)?;
    run.servers.extend(running);
    Ok(outcome)
}

fn format(run: &mut Run<'_>, _: &mut Skips) -> Result<Outcome> {
    if std::io::stdout().is_terminal() {
        return run.cargo(&["fmt", "--all", "--check"]);
    }
    // It colours its findings even in a file, unless told.
    run.cargo(&["fmt", "--all", "--check", "--", "--color", "never"])
}

fn deny(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    if !run.workspace.has_subcommand("deny") {
        let install = ["install", "--locked", "--debug", CARGO_DENY];
        if !run.args.deny || run.args.no_install {
            let how =
                format!("cargo-deny is not installed; `cargo {}`, or run with --deny", install.join(" "));
            if run.args.deny {
                bail!("{how} and without --no-install");
            }
            skips.add("deny", &how);
            return Ok(Outcome::Skipped);
        }
        println!("  cargo-deny is not installed: it is built once, which takes about two minutes");
        run.workspace.cargo(&install)?;
    }
    run.cargo(&["deny", "check", "bans", "licenses", "sources"])
}

fn tests(run: &mut Run<'_>, _: &mut Skips) -> Result<Outcome> {
    let command = run.workspace.test_command();
    if !command.contains(&"nextest") {
        println!("  cargo-nextest is not installed: cargo's own runner does it");
    }
    run.cargo(command)
}

fn examples(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    let mut outcome = Outcome::Skipped;
    for example in EXAMPLES {
        if let Some(reason) = registry::missing(&run.workspace, example.package, example.package) {
            registry::skip(&run.workspace, skips, example.package, &reason)?;
            continue;
        }
        run.workspace.built(Build::Release, example.package, example.args)?;
        outcome = Outcome::Passed;
    }
    Ok(outcome)
}

fn proofs(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    registry::run_all(&run.workspace, prove::PROOFS.iter(), 1, skips)
}

fn cluster(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    // In the place of the MariaDB that runs already: nothing here is told of that one.
    let mut workspace = Workspace::load()?;
    let policy = Policy::from_env(run.args.no_install);
    let names: Vec<_> = prove::APART.iter().flat_map(|entry| entry.servers).copied().collect();
    let (_, running) = servers::start_named(&names, &mut workspace, &policy, skips)?;
    if running.is_empty() {
        return Ok(Outcome::Skipped);
    }
    let outcome = registry::run_all(&workspace, prove::APART.iter(), 1, skips);
    drop(running);
    outcome
}

fn figures(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    if run.workspace.package(bench::PACKAGE).is_none() {
        skips.add("bench-check", &format!("package {} is not in this workspace", bench::PACKAGE));
        return Ok(Outcome::Skipped);
    }
    let insisted = bench::FIGURES.iter().filter(|figure| bench::INSISTED.contains(&figure.name));
    registry::run_all(&run.workspace, insisted, FIGURE_TRIES, skips)
}

fn instructions(run: &mut Run<'_>, skips: &mut Skips) -> Result<Outcome> {
    if !instructions::is_possible() {
        return registry::skip(&run.workspace, skips, "instructions", "valgrind is not installed");
    }
    if !instructions::run(&run.workspace, &instructions::Args::default())? {
        bail!("a hot path costs more than was accepted");
    }
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
    fn steps_keep_their_order_and_bring_the_servers_if_they_need_them() {
        assert_eq!(selected(&["gates", "fmt"]), ["fmt", "gates"]);
        assert_eq!(selected(&["doctest", "fmt"]), ["servers", "fmt", "doctest"]);
    }
}
