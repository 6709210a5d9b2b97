//! `cargo xtask api`: the public interface of every published crate as a kept listing, so that a change of it is part of the
//! commit that makes it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use public_api::{Builder, PublicItem};

use crate::workspace::{Package, Workspace};

/// Where the listings are.
const FOLDER: &str = "docs/api";

/// rustdoc, told to write JSON.
const RUSTDOC: &str = "xtask/rustdoc.sh";

/// The most lines of a difference that are printed.
const MOST_LINES: usize = 40;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Write the listings anew.
    #[arg(long)]
    accept: bool,
}

/// Says whether every listing is the one that is kept.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    let rustdoc = workspace.root.join(RUSTDOC).display().to_string();
    let doc = ["doc", "--workspace", "--lib", "--no-deps", "--all-features"];
    workspace.cargo_with(&doc, &[("RUSTDOC", &rustdoc)])?;
    let mut kept = true;
    for package in workspace.packages.iter().filter(|package| package.published) {
        let listing = listing(workspace, package)?;
        let path = workspace.root.join(FOLDER).join(format!("{}.txt", package.name));
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        if args.accept {
            std::fs::write(&path, &listing).with_context(|| path.display().to_string())?;
        } else if before != listing {
            kept = false;
            println!("{}: the public interface is not the one of {FOLDER}:", package.name);
            for line in difference(&before, &listing).iter().take(MOST_LINES) {
                println!("  {line}");
            }
        }
    }
    if !kept {
        println!("if that is meant: cargo xtask api --accept, and the listings into the same commit");
    }
    Ok(kept)
}

/// A line for each public item, sorted; without what is derived, what is true of every type and what a trait decides: the
/// methods where it is implemented.
fn listing(workspace: &Workspace, package: &Package) -> Result<String> {
    let file = workspace.target.join("doc").join(format!("{}.json", package.name.replace('-', "_")));
    let api = Builder::from_rustdoc_json(&file)
        .sorted(true)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| {
            format!("{} cannot be read: is it of another compiler than stable?", file.display())
        })?;
    let implemented: BTreeSet<_> = api
        .items()
        .filter(|item| is_implementation(&item.to_string()))
        .map(|item| format!("{:?}", item.id()))
        .collect();
    let of_trait = |item: &&PublicItem| {
        item.parent_id().is_some_and(|parent| implemented.contains(&format!("{parent:?}")))
    };
    let lines: BTreeSet<String> =
        api.items().filter(|item| !of_trait(item)).map(ToString::to_string).collect();
    if lines.is_empty() {
        bail!("{} names nothing", file.display());
    }
    Ok(lines.into_iter().collect::<Vec<_>>().join("\n") + "\n")
}

/// Whether a line says that a type implements a trait.
fn is_implementation(line: &str) -> bool {
    line.starts_with("impl") && line.contains(" for ")
}

/// What is only in the one or only in the other, by `-` and `+`.
fn difference(before: &str, after: &str) -> Vec<String> {
    let [old, new] = [before, after].map(|text| text.lines().collect::<BTreeSet<_>>());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    gone.chain(new.difference(&old).map(|line| format!("+ {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trait_decides_what_its_implementations_have() {
        assert!(is_implementation("impl<T> a::Trait for a::Type<T>"));
        assert!(!is_implementation("impl a::Type") && !is_implementation("pub fn a::wait_for for_all"));
    }

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
