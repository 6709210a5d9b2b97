//! What goes to users: the packages as a registry takes and shows them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::workspace::{Package, Workspace};

/// The most that a package may hold, compressed.
const MAX_BYTES: u64 = 400 * 1024;

/// The most keywords that a registry takes, and the longest of them.
const MAX_KEYWORDS: usize = 5;
const MAX_KEYWORD: usize = 20;

/// Where files of the repository are, in links from elsewhere.
const FILES: &str = "/blob/main/";

/// Packs every published package without building it: the manifests are complete, and the packages small.
pub(crate) fn pack(workspace: &Workspace) -> Result<()> {
    // Without lock files it asks no registry.
    let flags = ["--no-verify", "--allow-dirty", "--exclude-lockfile"];
    workspace.cargo_quietly(&[&["package"], &flags[..], &selection(workspace)].concat())?;
    let mut total = 0;
    for package in published(workspace) {
        let file = packed(workspace, package);
        let bytes = std::fs::metadata(&file).with_context(|| format!("{} is missing", file.display()))?.len();
        if bytes > MAX_BYTES {
            bail!("{} has {bytes} bytes, more than {MAX_BYTES}: what else is in it?", file.display());
        }
        total += bytes;
    }
    println!("  {} packages, {} KiB", published(workspace).count(), total / 1024);
    Ok(())
}

/// The published packages.
pub(crate) fn published(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.packages.iter().filter(|package| package.published)
}

/// The published packages as arguments of cargo.
pub(crate) fn selection(workspace: &Workspace) -> Vec<&str> {
    published(workspace).flat_map(|package| ["-p", package.name.as_str()]).collect()
}

fn packed(workspace: &Workspace, package: &Package) -> PathBuf {
    workspace.target.join("package").join(format!("{}-{}.crate", package.name, package.version))
}

/// What the published packages lack of what a registry and the documentation show.
pub(crate) fn incomplete(workspace: &Workspace) -> Result<Vec<String>> {
    let address = address(workspace)?;
    let mut faults = Vec::new();
    for package in published(workspace) {
        let folder = package.manifest.parent().unwrap_or(&workspace.root);
        let is_file = |name: &str| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.is_file());
        let files = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"].into_iter().filter(|name| !is_file(name));
        let files = files.map(|name| format!("there is no {name}"));
        let lacks = unshown(&package.manifest_json, &address).into_iter().chain(files);
        faults.extend(lacks.map(|fault| format!("{}: {fault}", package.name)));
    }
    Ok(faults)
}

/// What a package, as `cargo metadata` has it, does not say to those who look for it.
fn unshown(package: &Value, address: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for key in ["description", "license", "readme", "rust_version"] {
        if package[key].as_str().is_none_or(str::is_empty) {
            faults.push(format!("no `{key}`"));
        }
    }
    if package["repository"].as_str() != Some(address) {
        faults.push("`repository` is not the workspace's".to_owned());
    }
    let list = |key: &str| package[key].as_array().cloned().unwrap_or_default();
    let keywords = list("keywords");
    let too_long = |word: &Value| word.as_str().is_none_or(|word| word.len() > MAX_KEYWORD);
    if keywords.is_empty() || keywords.len() > MAX_KEYWORDS || keywords.iter().any(too_long) {
        faults
            .push(format!("`keywords` are to be 1 to {MAX_KEYWORDS}, each of {MAX_KEYWORD} letters at most"));
    }
    if list("categories").is_empty() {
        faults.push("no `categories`".to_owned());
    }
    if package["metadata"]["docs"]["rs"]["all-features"] != Value::Bool(true) {
        faults.push("no `[package.metadata.docs.rs]` with `all-features = true`".to_owned());
    }
    faults
}

/// The links in the READMEs of published packages that do not work everywhere: in the repository, on the registry's page and in
/// the documentation.
pub(crate) fn wrong_links(workspace: &Workspace) -> Result<Vec<String>> {
    let address = address(workspace)?;
    let exists = |path: &str| workspace.root.join(path).exists();
    let mut faults = Vec::new();
    for package in published(workspace) {
        let folder = package.manifest.parent().unwrap_or(&workspace.root);
        let readme = folder.join("README.md");
        let shown = readme.strip_prefix(&workspace.root).unwrap_or(&readme).display().to_string();
        let wrong = broken(&workspace.read(&readme)?, &address, exists);
        faults.extend(wrong.into_iter().map(|fault| format!("{shown}:{fault}")));
    }
    Ok(faults)
}

fn broken(text: &str, address: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for target in targets(line) {
            let why = if let Some(rest) = target.strip_prefix(address) {
                let path = rest.strip_prefix(FILES).map(|path| path.split('#').next().unwrap_or(path));
                path.is_some_and(|path| !exists(path)).then_some("there is no such file")
            } else if target.starts_with("https://") || target.starts_with('#') {
                None
            } else {
                Some("only the repository's address and a path work everywhere")
            };
            faults.extend(why.map(|why| format!("{}: {target}: {why}", index + 1)));
        }
        // Such a link is one in documentation only.
        if line.replace("[![", "").contains("[`") && !line.contains("](") && !line.contains("][") {
            faults.push(format!("{}: a link to an item works in documentation only", index + 1));
        }
    }
    faults
}

/// Where the links of a line go: `](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.starts_with('[').then(|| line.split_once("]: ")).flatten();
    inline.chain(defined.map(|(_, target)| target.trim())).collect()
}

/// `workspace.package.repository`.
pub(crate) fn address(workspace: &Workspace) -> Result<String> {
    let manifest = workspace.read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = "));
    let line = line.context("Cargo.toml has no line `repository = ...`")?;
    Ok(line.trim().trim_matches('"').to_owned())
}

#[derive(Debug, clap::Args)]
pub(crate) struct RepositoryArgs {
    /// Where the repository is, for example `https://example.com/group/fastsync`.
    url: String,
}

/// Writes the repository's address into `Cargo.toml` and into every link.
pub(crate) fn set_address(workspace: &Workspace, args: &RepositoryArgs) -> Result<bool> {
    let old = address(workspace)?;
    let new = args.url.trim_end_matches('/');
    if !new.starts_with("https://") || new.contains(['"', ' ']) {
        bail!("{new} is not the address of a repository: it has to begin with https://");
    }
    let files = workspace.output("git", &["ls-files"])?;
    let mut changed = 0;
    for file in files.lines().filter(|file| may_have_links(file)) {
        let path = workspace.root.join(file);
        // A link to a file is changed where the file is.
        if std::fs::symlink_metadata(&path).is_ok_and(|file| file.is_file()) {
            let text = workspace.read(&path)?;
            if text.contains(&old) {
                std::fs::write(&path, text.replace(&old, new))?;
                println!("  {file}");
                changed += 1;
            }
        }
    }
    println!("{old} is {new} now, in {changed} files");
    Ok(true)
}

fn may_have_links(file: &str) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["md", "toml", "yml", "yaml"].contains(&extension))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADDRESS: &str = "https://example.invalid/x";

    #[test]
    fn a_package_says_what_a_registry_shows() {
        let mut package = json!({
            "description": "d", "license": "MIT", "readme": "README.md", "rust_version": "1.94",
            "repository": ADDRESS, "keywords": ["sync"], "categories": ["database"],
            "metadata": { "docs": { "rs": { "all-features": true } } },
        });
        assert!(unshown(&package, ADDRESS).is_empty());
        assert_eq!(unshown(&package, "https://example.com").len(), 1);
        package["keywords"] = json!(["a", "b", "c", "d", "e", "f"]);
        package["description"] = Value::Null;
        package["metadata"] = Value::Null;
        assert_eq!(unshown(&package, ADDRESS).len(), 3);
    }

    #[test]
    fn a_link_works_everywhere() {
        let wrong = |text: &str| broken(text, ADDRESS, |path| path == "docs/a.md").len();
        let good = "[a](https://example.invalid/x/blob/main/docs/a.md#b), [home](https://example.invalid/x), [c](#c)\n\
                    [d][a]\n```\n[`x`](y)\n```\n[a]: https://example.invalid/x/blob/main/docs/a.md";
        assert_eq!(wrong(good), 0);
        assert_eq!(wrong("[a](docs/a.md)"), 1);
        assert_eq!(wrong("[a](https://example.invalid/x/blob/main/docs/b.md)"), 1);
        assert_eq!(wrong("[a]: docs/a.md"), 1);
        assert_eq!(wrong("see [`Thing`] there"), 1);
    }

    #[test]
    fn only_texts_have_links() {
        assert!(may_have_links("README.md") && may_have_links(".github/workflows/ci.yml"));
        assert!(!may_have_links("src/lib.rs") && !may_have_links("LICENSE-MIT"));
    }
}
