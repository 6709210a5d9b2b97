//! What passed before and has not changed since: on a desk the whole check does not run it again.
//!
//! A part of the check is told by the packages that it is made of. It is not run again if every file of theirs, and every file
//! that belongs to no package and says how things are built, is as it was when the part passed. In CI everything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use crate::guard;
use crate::workspace::Workspace;

/// What says how every package is built and run.
const COMMON: &[&str] = &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/", ".config/"];

/// The parts that passed, each with what it was made of.
#[derive(Debug)]
pub(crate) struct Unchanged {
    passed: Mutex<BTreeMap<String, u64>>,
    /// Where that is kept.
    file: PathBuf,
    /// The files of the workspace with what is in them; none where everything runs.
    files: Option<BTreeMap<PathBuf, u64>>,
    /// What else a result depends on.
    around: u64,
    /// What was not run again.
    spared: Mutex<BTreeSet<String>>,
}

impl Unchanged {
    /// What is known from earlier runs; `again` forgets it.
    pub(crate) fn load(workspace: &Workspace, again: bool) -> Self {
        let file = workspace.target.join("xtask/passed.json");
        let passed = std::fs::read_to_string(&file).ok().filter(|_| !again);
        let passed = passed.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let passed = Mutex::new(passed);
        let files = if workspace.ci { None } else { files(workspace) };
        Self { passed, file, files, around: around(std::env::vars_os()), spared: Mutex::default() }
    }

    /// Knows of nothing and keeps nothing: whoever names a part wants it run.
    pub(crate) fn nothing() -> Self {
        Self {
            passed: Mutex::default(),
            file: PathBuf::new(),
            files: None,
            around: 0,
            spared: Mutex::default(),
        }
    }

    /// Whether a part that is made of these packages need not run; says so.
    pub(crate) fn spares(&self, workspace: &Workspace, part: &str, packages: &BTreeSet<&str>) -> bool {
        let sum = self.sum(workspace, packages);
        let is_spared = sum.is_some() && sum == held(&self.passed).get(part).copied();
        if is_spared {
            println!("  {part}: unchanged since it passed");
            held(&self.spared).insert(part.to_owned());
        }
        is_spared
    }

    /// Notes that a part passed.
    pub(crate) fn passed(&self, workspace: &Workspace, part: &str, packages: &BTreeSet<&str>) -> Result<()> {
        let Some(sum) = self.sum(workspace, packages) else { return Ok(()) };
        let mut passed = held(&self.passed);
        passed.insert(part.to_owned(), sum);
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(&self.file, serde_json::to_string_pretty(&*passed)?)?)
    }

    /// What to say at the end of a run.
    pub(crate) fn summary(&self) -> Option<String> {
        let count = held(&self.spared).len();
        (count > 0).then(|| {
            format!("{count} parts are unchanged since they passed and were not run again; --again runs them")
        })
    }

    /// Stands for everything that the result of a part depends on.
    fn sum(&self, workspace: &Workspace, packages: &BTreeSet<&str>) -> Option<u64> {
        let folders: Vec<_> = packages
            .iter()
            .filter_map(|name| workspace.package(name)?.manifest.parent()?.strip_prefix(&workspace.root).ok())
            .collect();
        let belongs = |file: &Path| {
            folders.iter().any(|folder| file.starts_with(folder))
                || COMMON.iter().any(|common| file.starts_with(common.trim_end_matches('/')))
        };
        let mut hasher = DefaultHasher::new();
        self.around.hash(&mut hasher);
        self.files.as_ref()?.iter().filter(|(file, _)| belongs(file)).for_each(|file| file.hash(&mut hasher));
        Some(hasher.finish())
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The compiler, and what the user's environment says of servers.
fn around(variables: impl Iterator<Item = (OsString, OsString)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let version = std::process::Command::new("rustc").arg("-vV").output();
    version.map(|output| output.stdout).unwrap_or_default().hash(&mut hasher);
    // The mark is another one in each run.
    let is_meant = |name: &OsStr| name != guard::MARK && name.as_encoded_bytes().starts_with(b"FASTSYNC_");
    variables.filter(|(name, _)| is_meant(name)).for_each(|variable| variable.hash(&mut hasher));
    hasher.finish()
}

/// Every file that is not ignored; none without git.
fn files(workspace: &Workspace) -> Option<BTreeMap<PathBuf, u64>> {
    let mut command = std::process::Command::new("git");
    command
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).ok()?;
    let read = |name: &str| {
        let mut hasher = DefaultHasher::new();
        // One that was deleted has no content.
        std::fs::read(workspace.root.join(name)).ok().hash(&mut hasher);
        (PathBuf::from(name), hasher.finish())
    };
    Some(names.split_terminator('\0').map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::package;

    /// Two packages, of which one needs the other.
    fn workspace() -> Workspace {
        let root = PathBuf::from("/w");
        let packages = vec![package("a", "/w/a/Cargo.toml", &[]), package("b", "/w/b/Cargo.toml", &["a"])];
        Workspace {
            root,
            packages,
            ci: false,
            env: Vec::new(),
            target: PathBuf::new(),
            done: std::sync::Arc::default(),
        }
    }

    fn with(files: &[(&str, u64)], file: &Path) -> Unchanged {
        let files = files.iter().map(|(name, content)| (PathBuf::from(name), *content)).collect();
        Unchanged { files: Some(files), file: file.to_owned(), ..Unchanged::nothing() }
    }

    /// Fails if a part is spared whose packages, or what they need, or how they are built, have changed.
    #[test]
    fn a_part_is_spared_as_long_as_what_it_is_made_of_stays() {
        let folder = std::env::temp_dir().join(format!("fastsync-passed-{}", std::process::id()));
        let file = folder.join("passed.json");
        let workspace = workspace();
        let (a, b) = (workspace.closure("a"), workspace.closure("b"));
        let before = [("Cargo.lock", 1), ("a/src/lib.rs", 2), ("b/src/lib.rs", 3), ("README.md", 4)];
        let first = with(&before, &file);
        assert!(!first.spares(&workspace, "test a", &a));
        first.passed(&workspace, "test a", &a).unwrap();
        first.passed(&workspace, "test b", &b).unwrap();
        let kept: BTreeMap<String, u64> =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let spared = |at: usize, content: u64| {
            let mut files = before;
            files[at].1 = content;
            let later = Unchanged { passed: Mutex::new(kept.clone()), ..with(&files, &file) };
            (later.spares(&workspace, "test a", &a), later.spares(&workspace, "test b", &b))
        };
        assert_eq!(spared(3, 9), (true, true));
        assert_eq!(spared(2, 9), (true, false));
        assert_eq!(spared(1, 9), (false, false));
        assert_eq!(spared(0, 9), (false, false));
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// Fails if a run would never spare anything, because what the program sets for itself counts, or if another server
    /// would not count.
    #[test]
    fn another_server_counts_and_another_run_does_not() {
        let with = |name: &str, value: &str| {
            let fixed = ("FASTSYNC_REQUIRE", "mysql");
            let variables = [fixed, (name, value)].map(|(name, value)| (name.into(), value.into()));
            around(variables.into_iter())
        };
        assert_eq!(with(guard::MARK, "1"), with(guard::MARK, "2"));
        assert_eq!(with("HOME", "1"), with("HOME", "2"));
        assert_ne!(with("FASTSYNC_MYSQL_URL", "1"), with("FASTSYNC_MYSQL_URL", "2"));
    }

    #[test]
    fn where_everything_runs_nothing_is_spared_or_kept() {
        let workspace = workspace();
        let a = workspace.closure("a");
        let nothing = Unchanged::nothing();
        nothing.passed(&workspace, "test a", &a).unwrap();
        assert!(!nothing.spares(&workspace, "test a", &a));
        assert_eq!(nothing.summary(), None);
    }
}
