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

/// Public types whose members are all that they will ever have; every other one is `#[non_exhaustive]`, so that it may gain
/// some without a break.
const CLOSED: &[(&str, &str, &str)] = &[
    ("fastsync-core", "newtypes", "Compact Position Tag"),
    ("fastsync-core", "two sorts of zones are a decision of the protocol", "Zone ZoneRestriction"),
    ("fastsync-core", "what every column, wire form and codec has to hold", "Value"),
    (
        "fastsync-core",
        "the storage port: whoever implements it is to look at every member",
        "Action After AuditRequest Author Changes ChangesPage ChangesRequest Clear Commit CommitOutcome Conflict ConflictReason Expect \
         ExpectState Found Head NotedType OnMismatch PageLimits PendingRequest Point Preparation Purge Reading Receipt Record RecordKey Registered \
         SessionSummary SkipOwn StateConflict StateRange StateWrite SyncMetadata UpgradeStep Write Writes ZoneState",
    ),
    (
        "fastsync-dao-kit",
        "what a driver says of its database and is told: whoever writes one is to look at every member",
        "Access Bits Column ColumnTypes Decided Defaults Dialect Digits Done Few Finding Forms Found Holds Lists Literals Marks \
         Meaning Name Native Numbers Step Table Texts Type Uniques Upsert",
    ),
    (
        "fastsync-dao-kit",
        "whose rows they are, and what a row has in between, have no other sort",
        "RowZones StandIn",
    ),
    ("fastsync-conformance", "a harness makes every one of them", "Constraint"),
    ("fastsync-conformance", "a case has no other end", "Outcome"),
    ("fastsync-conformance", "the types of an application, all of whose fields are known", "New Old"),
    (
        "fastsync-compat",
        "the wire form of clients that are out there and stay as they are",
        "Number PullReply PullRequest PushReply PushRequest Refusal SyncMetadata SyncObject SyncOperationMetadata SyncPayload",
    ),
];

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
        for name in open_ended(&package.name, &listing) {
            kept = false;
            println!(
                "{}: {name} is neither #[non_exhaustive] nor named as closed in xtask/src/api.rs",
                package.name
            );
        }
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

/// The public types of a listing whose members cannot be added to, and that are not among [`CLOSED`].
fn open_ended<'a>(package: &str, listing: &'a str) -> Vec<&'a str> {
    let closed: BTreeSet<_> = CLOSED
        .iter()
        .filter(|(of, ..)| *of == package)
        .flat_map(|(.., names)| names.split_whitespace())
        .collect();
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        let Some(rest) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) else {
            continue;
        };
        let path = rest.split(['<', '(']).next().unwrap_or(rest);
        let name = path.rsplit("::").next().unwrap_or(path);
        let member = format!("pub {path}::");
        let has_members = rest.contains("(pub ")
            || line.starts_with("pub enum ")
            || listing.lines().any(|line| line.starts_with(&member));
        if has_members && !closed.contains(name) {
            found.insert(name);
        }
    }
    found.into_iter().collect()
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
    fn a_type_that_cannot_grow_has_to_be_named() {
        let listing = "#[non_exhaustive] pub struct a::Grows\npub a::Grows::member: u8\n\
                       pub struct a::Opaque\npub struct a::Fixed<T>\npub a::Fixed::member: T\n\
                       pub struct a::Tuple(pub u8)\npub struct a::Hidden(_)\npub enum a::Choice\npub enum a::Zone\n";
        assert_eq!(open_ended("fastsync-core", listing), ["Choice", "Fixed", "Tuple"]);
        assert!(open_ended("fastsync-compat", listing).contains(&"Zone"));
    }

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
