//! The gates: rules of this workspace that no compiler checks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::package;
use crate::workspace::{Package, Workspace};

/// What the core must not depend on: a driver, an HTTP crate or a runtime.
const BANNED_IN_CORE: &[&str] = &[
    "sqlx",
    "rusqlite",
    "libsqlite3-sys",
    "mongodb",
    "redb",
    "sled",
    "hyper",
    "axum",
    "tower",
    "tokio",
    "async-std",
    "smol",
];

/// The one crate that applications may depend on alone.
const FACADE: &str = "fastsync";

/// Put together here, so that this file passes its own gate.
const FENCE: &str = concat!("``", "`");
const SKIPPED_TEST: &str = concat!("#[", "ignore");

/// Checks every gate, says what each found, and fails if one did.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    type Gate = (&'static str, fn(&Workspace) -> Result<Vec<String>>);
    let gates: &[Gate] = &[
        ("fastsync-core depends on no driver, HTTP crate or runtime", core_is_free),
        ("published packages depend on each other in one direction", arrows),
        ("the lock file has no sqlx-sqlite", lock_file),
        ("every package forbids unsafe code", unsafe_is_forbidden),
        ("no example and no test is switched off", nothing_is_switched_off),
        ("README.md files show the current version", readme_versions),
        ("docs/SUMMARY.md lists every page of the guide and every decision", summary_is_whole),
        ("published packages say what a registry shows", package::incomplete),
        ("links of published README.md files work everywhere", package::wrong_links),
    ];
    let mut found = 0;
    for (rule, gate) in gates {
        let faults = gate(workspace).with_context(|| format!("gate `{rule}`"))?;
        println!("  {}: {rule}", if faults.is_empty() { "ok" } else { "BROKEN" });
        for fault in &faults {
            println!("    {fault}");
        }
        found += faults.len();
    }
    if found > 0 {
        bail!("faults at the gates: {found}");
    }
    Ok(())
}

fn core_is_free(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = workspace.cargo_output(&[
        "tree",
        "-p",
        "fastsync-core",
        "-e",
        "normal",
        "--all-features",
        "--target",
        "all",
        "--prefix",
        "none",
    ])?;
    Ok(banned_in_tree(&tree))
}

fn banned_in_tree(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<_> = names.filter(|name| BANNED_IN_CORE.contains(name)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

fn arrows(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(workspace.packages.iter().flat_map(|package| wrong_arrows(package, &workspace.packages)).collect())
}

/// A published package may depend on the core, data sources on their kit too, transports on the codec, the original clients' server on
/// the transport, the core on its derive macro, and the facade on whatever applications use; nothing else on anything else of ours.
fn wrong_arrows(package: &Package, all: &[Package]) -> Vec<String> {
    let allowed: &[&str] = match package.name.as_str() {
        "fastsync-core" => &["fastsync-derive"],
        "fastsync-derive" => &[],
        FACADE => return Vec::new(),
        "fastsync-dao-kit" => &["fastsync-core"],
        name if name.starts_with("fastsync-transport-") => &["fastsync-core", "fastsync-codec"],
        name if name.starts_with("fastsync-dao-") => &["fastsync-core", "fastsync-dao-kit"],
        // The limits and the compression of bodies, for its ready handlers.
        "fastsync-compat" => &["fastsync-core", "fastsync-transport-http"],
        _ => &["fastsync-core"],
    };
    let ours = |name: &&String| all.iter().any(|package| package.name == **name);
    package
        .dependencies
        .iter()
        .filter(ours)
        .filter(|name| package.published && !allowed.contains(&name.as_str()))
        .map(|name| format!("{} depends on {name}", package.name))
        .collect()
}

fn lock_file(workspace: &Workspace) -> Result<Vec<String>> {
    let lock = workspace.read("Cargo.lock")?;
    let found = lock.lines().any(|line| line.trim() == "name = \"sqlx-sqlite\"");
    Ok(found
        .then(|| "Cargo.lock has sqlx-sqlite, which claims the same native SQLite".to_owned())
        .into_iter()
        .collect())
}

fn unsafe_is_forbidden(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    if !settings(&workspace.read("Cargo.toml")?)
        .any(|line| line == "workspace.lints.rust.unsafe_code=\"forbid\"")
    {
        faults.push("Cargo.toml: [workspace.lints.rust] lacks unsafe_code = \"forbid\"".to_owned());
    }
    for package in &workspace.packages {
        if !settings(&workspace.read(&package.manifest)?).any(|line| line == "lints.workspace=true") {
            faults
                .push(format!("{}: lacks [lints] workspace = true", relative(workspace, &package.manifest)));
        }
    }
    Ok(faults)
}

/// The `key=value` lines of a manifest, each with its section in front and without spaces.
fn settings(manifest: &str) -> impl Iterator<Item = String> {
    let mut section = String::new();
    manifest.lines().filter_map(move |line| {
        let line: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            return None;
        }
        let key = if section.is_empty() { String::new() } else { format!("{section}.") };
        (!line.is_empty()).then(|| key + &line)
    })
}

fn nothing_is_switched_off(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in files(&workspace.root, &["rs", "md"])? {
        let text = workspace.read(&path)?;
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let off = |line: &&str| switches_off_an_example(line) || (is_rust && switches_off_a_test(line));
        let name = relative(workspace, &path);
        let lines = text.lines().enumerate().filter(|(_, line)| off(line));
        faults.extend(lines.map(|(index, line)| format!("{name}:{}: {}", index + 1, line.trim())));
    }
    Ok(faults)
}

/// Whether a line opens a code block, in Markdown or in a doc comment, that no test runs or compiles.
fn switches_off_an_example(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t', '/', '!', '*', '>']);
    let Some(info) = line.strip_prefix(FENCE).or_else(|| line.strip_prefix("~~~")) else { return false };
    info.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "ignore")
}

fn switches_off_a_test(line: &str) -> bool {
    let code: String = line.split("//").next().unwrap_or_default().split_whitespace().collect();
    let conditional = code.contains("#[cfg_attr(")
        && [")", "=", ","].iter().any(|after| code.contains(&format!(",{}{after}", "ignore")));
    conditional || code.contains(SKIPPED_TEST)
}

fn readme_versions(workspace: &Workspace) -> Result<Vec<String>> {
    let version = &workspace.package("fastsync-core").context("there is no fastsync-core")?.version;
    let mut faults = Vec::new();
    if !workspace.root.join("README.md").exists() {
        faults.push("README.md is missing".to_owned());
    }
    for path in files(&workspace.root, &["md"])? {
        if path.file_name().is_some_and(|name| name == "README.md") {
            let name = relative(workspace, &path);
            let wrong = wrong_versions(&workspace.read(&path)?, version);
            faults.extend(wrong.into_iter().map(|fault| format!("{name}:{fault}, but this is {version}")));
        }
    }
    Ok(faults)
}

fn summary_is_whole(workspace: &Workspace) -> Result<Vec<String>> {
    let docs = workspace.root.join("docs");
    let mut pages = Vec::new();
    for path in files(&docs, &["md"])? {
        let page = path.strip_prefix(&docs).unwrap_or(&path);
        pages.push(
            page.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
        );
    }
    Ok(unlisted(&workspace.read("docs/SUMMARY.md")?, &pages))
}

/// The pages that a summary lacks, and the entries without a page.
fn unlisted(summary: &str, pages: &[String]) -> Vec<String> {
    let entry = |line: &str| Some(line.rsplit_once("](")?.1.trim_end_matches(')').to_owned());
    let listed: Vec<_> = summary.lines().filter_map(entry).collect();
    let missing = pages.iter().filter(|page| *page != "SUMMARY.md" && !listed.contains(page));
    let gone = listed.iter().filter(|entry| !pages.contains(entry));
    let missing = missing.map(|page| format!("docs/{page} is not listed"));
    missing.chain(gone.map(|entry| format!("docs/{entry} is listed and does not exist"))).collect()
}

/// The lines that show a dependency on a `fastsync-*` package without this version, in full or as `major.minor`.
fn wrong_versions(text: &str, version: &str) -> Vec<String> {
    let short = version.rsplit_once('.').map_or(version, |(short, _)| short);
    let right = |shown: &str| shown == version || shown == short;
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim();
        let is_package = (name == FACADE || name.starts_with("fastsync-"))
            && name.chars().all(|c| c.is_alphanumeric() || c == '-');
        let value = value.trim();
        let shown = match value.strip_prefix('{') {
            Some(table) => {
                table.split_once("version").map_or("", |(_, rest)| rest.trim_start_matches([' ', '=']))
            }
            None => value,
        };
        let shown = shown.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
        if is_package && !right(shown) {
            faults.push(format!("{}: {line}", index + 1));
        }
    }
    faults
}

/// The files with one of these extensions, without hidden folders and build output.
fn files(root: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?
        {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type()?.is_dir() {
                if !name.to_string_lossy().starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|own| extensions.iter().any(|extension| own == *extension))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn relative(workspace: &Workspace, path: &Path) -> String {
    path.strip_prefix(&workspace.root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::package;

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let tree = "fastsync-core v0.1.0 (/w/fastsync-core)\ntokio-util v0.7.0\nhyperloglog v1.0.0\nasync-lock v3.5.0";
        assert!(banned_in_tree(tree).is_empty());
        let tree = format!("{tree}\ntokio v1.54.1\ntokio v1.54.1 (*)\nhyper v1.12.0");
        assert_eq!(banned_in_tree(&tree), ["hyper", "tokio"]);
    }

    #[test]
    fn arrows_point_at_the_core_only() {
        let package = |name, published, dependencies: &[&str]| Package {
            published,
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            ..package(name, "", &[])
        };
        let all = [
            package("fastsync-core", true, &["fastsync-derive", "serde"]),
            package("fastsync-derive", true, &["fastsync-core"]),
            package("fastsync-dao-sqlite", true, &["fastsync-core", "rusqlite"]),
            package("fastsync-dao-kit", true, &["fastsync-core", "postcard"]),
            package("fastsync-dao-redb", true, &["fastsync-core", "fastsync-dao-kit", "redb"]),
            package("fastsync-dao-sled", true, &["fastsync-dao-sqlite"]),
            package("fastsync-transport-http", true, &["fastsync-codec", "fastsync-dao-kit"]),
            package("fastsync", true, &["fastsync-core", "fastsync-derive", "fastsync-dao-redb"]),
            package("fastsync-compat", true, &["fastsync"]),
            package("simulation", false, &["fastsync-dao-sled"]),
        ];
        let faults: Vec<_> = all.iter().flat_map(|package| wrong_arrows(package, &all)).collect();
        assert_eq!(
            faults,
            [
                "fastsync-derive depends on fastsync-core",
                "fastsync-dao-sled depends on fastsync-dao-sqlite",
                "fastsync-transport-http depends on fastsync-dao-kit",
                "fastsync-compat depends on fastsync"
            ]
        );
    }

    #[test]
    fn settings_carry_their_section() {
        let manifest = "a = 1\n[lints] # ours\nworkspace = true # yes\n\n[workspace.lints.rust]\nunsafe_code = \"forbid\"";
        let settings: Vec<_> = settings(manifest).collect();
        assert_eq!(settings, ["a=1", "lints.workspace=true", "workspace.lints.rust.unsafe_code=\"forbid\""]);
    }

    #[test]
    fn a_switched_off_example_is_found_in_markdown_and_in_doc_comments() {
        for before in ["", "  ", "/// ", "//! ", "> ", " * "] {
            for info in ["ignore", "rust,ignore", "rust, ignore", "ignore-wasm32"] {
                assert!(switches_off_an_example(&format!("{before}{FENCE}{info}")), "{before}{info}");
            }
            for info in ["", "rust", "no_run", "text", "gitignore"] {
                assert!(!switches_off_an_example(&format!("{before}{FENCE}{info}")), "{before}{info}");
            }
        }
        assert!(!switches_off_an_example("we ignore nothing"));
    }

    #[test]
    fn a_switched_off_test_is_found() {
        assert!(switches_off_a_test(&format!("    {SKIPPED_TEST}]")));
        assert!(switches_off_a_test(&format!("#[test] {SKIPPED_TEST} = \"slow\"]")));
        assert!(switches_off_a_test(concat!("#[cfg_attr(windows, ", "ignore)]")));
        assert!(!switches_off_a_test(&format!("// never write {SKIPPED_TEST}]")));
        assert!(!switches_off_a_test("#[cfg_attr(windows, allow(dead_code))]"));
        assert!(!switches_off_a_test("#[cfg_attr(windows, ignored)]"));
    }

    #[test]
    fn a_page_that_is_not_listed_is_found() {
        let pages = ["SUMMARY.md", "guide/a.md", "b.md"].map(str::to_owned);
        assert!(unlisted("# Summary\n- [A](guide/a.md)\n- [B [x]](b.md)", &pages).is_empty());
        assert_eq!(unlisted("- [A](guide/a.md)\n- [C](c.md)", &pages).len(), 2);
    }

    #[test]
    fn a_readme_with_another_version_is_found() {
        let right = "fastsync-core = \"0.1\"\nfastsync-dao-sqlite = { version = \"0.1.0\", features = [\"x\"] }\nserde = \"1\"";
        assert!(wrong_versions(right, "0.1.0").is_empty());
        assert_eq!(wrong_versions(right, "0.2.0").len(), 2);
        assert_eq!(wrong_versions("fastsync = \"0.2\"", "0.1.0").len(), 1);
        assert_eq!(wrong_versions("fastsync-core = { path = \"x\" }", "0.1.0").len(), 1);
        assert!(wrong_versions("let fastsync = fastsync-core == \"0.1.0\";", "0.1.0").is_empty());
    }
}
