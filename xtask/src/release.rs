//! `cargo xtask release-check`: what is checked before a release beside `cargo xtask test`. It builds much, and takes long.

use anyhow::{Result, bail};

use crate::summary::{Outcome, Skips, Summary};
use crate::workspace::Workspace;
use crate::{package, registry};

const HACK: &str = "cargo-hack@0.6.46";
const SEMVER: &str = "cargo-semver-checks@0.51.0";

/// Combinations of more features than this add nothing but time.
const DEPTH: &str = "2";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Install no tools.
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    let mut summary = Summary::default();
    summary.step("address", |_| {
        let address = package::address(workspace)?;
        if address.contains(".invalid") {
            bail!("the repository's address is a placeholder, {address}: `cargo xtask repository URL`");
        }
        Ok(Outcome::Passed)
    });
    summary.step("changelog", |_| {
        let version = &workspace.packages.first().map_or("", |package| package.version.as_str());
        if !names_release(&workspace.read("CHANGELOG.md")?, version) {
            bail!("CHANGELOG.md has no heading `## {version} - YYYY-MM-DD`");
        }
        Ok(Outcome::Passed)
    });
    summary.step("package", |_| {
        workspace.cargo(&[&["package", "--allow-dirty"], &package::selection(workspace)[..]].concat())?;
        Ok(Outcome::Passed)
    });
    summary.step("powerset", |skips| {
        if !have(workspace, args, "hack", HACK, skips)? {
            return Ok(Outcome::Skipped);
        }
        let flags = ["hack", "check", "--feature-powerset", "--depth", DEPTH, "--no-dev-deps"];
        workspace.cargo(&[&flags[..], &package::selection(workspace)].concat())?;
        Ok(Outcome::Passed)
    });
    summary.step("semver", |skips| {
        let tags = workspace.output("git", &["tag", "--list", "v*", "--sort=-v:refname"])?;
        let Some(last) = tags.lines().next() else {
            skips.add("semver", "there is no release to compare with: no tag v*");
            return Ok(Outcome::Skipped);
        };
        if !have(workspace, args, "semver-checks", SEMVER, skips)? {
            return Ok(Outcome::Skipped);
        }
        let flags = ["semver-checks", "--baseline-rev", last];
        workspace.cargo(&[&flags[..], &package::selection(workspace)].concat())?;
        Ok(Outcome::Passed)
    });
    Ok(summary.finish())
}

/// Whether `cargo NAME` is there, installed if need be.
fn have(workspace: &Workspace, args: &Args, name: &str, tool: &str, skips: &mut Skips) -> Result<bool> {
    if workspace.has_subcommand(name) {
        return Ok(true);
    }
    let install = ["install", "--locked", tool];
    if args.no_install {
        let how = format!("cargo-{name} is not installed; `cargo {}`", install.join(" "));
        registry::skip(workspace, skips, name, &how)?;
        return Ok(false);
    }
    workspace.cargo(&install)?;
    Ok(true)
}

/// Whether a changelog has a heading for a version with a date.
fn names_release(changelog: &str, version: &str) -> bool {
    let heading = format!("## {version} - ");
    changelog.lines().any(|line| line.strip_prefix(&heading).is_some_and(|date| date.len() == 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_its_heading_in_the_changelog() {
        let changelog = "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2030-01-31\n";
        assert!(names_release(changelog, "0.1.0"));
        assert!(!names_release(changelog, "0.1.1") && !names_release("## 0.1.0\n", "0.1.0"));
    }
}
