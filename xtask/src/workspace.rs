//! What is in the workspace, and how its programs are run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A member of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest: PathBuf,
    /// Whether it goes to users; `publish = false` says no.
    pub(crate) published: bool,
    pub(crate) binaries: Vec<String>,
    /// Names of its dependencies, without those for tests and build scripts.
    pub(crate) dependencies: Vec<String>,
    /// Names of all that it needs, those for tests and build scripts too.
    pub(crate) needs: Vec<String>,
    /// Everything that `cargo metadata` says of it.
    pub(crate) manifest_json: Value,
}

/// The workspace as `cargo metadata` reports it.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// Whether `CI=true`: what is skipped on a desk is a failure there.
    pub(crate) ci: bool,
    /// Passed to every program: where the servers are.
    pub(crate) env: Vec<(String, String)>,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// What was built already.
    pub(crate) done: Arc<Mutex<BTreeSet<Build>>>,
}

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Build {
    /// Together with the tests, with checks on: whatever the whole check runs.
    Checked,
    /// As users run it: for what measures time.
    Release,
}

impl Build {
    /// The one command that builds it. Cargo chooses the features of the dependencies for all that a command builds:
    /// another selection of packages would compile them once more.
    const fn command(self) -> &'static [&'static str] {
        match self {
            Self::Checked => &["build", "--workspace", "--all-features", "--bins", "--tests"],
            Self::Release => &["build", "--release", "-p", "quickstart", "-p", "benches", "--bins"],
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Checked => "debug",
            Self::Release => "release",
        }
    }
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("`cargo metadata` could not be started")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed");
        }
        let metadata: Value =
            serde_json::from_slice(&output.stdout).context("`cargo metadata` is not JSON")?;
        let root = metadata["workspace_root"].as_str().context("`cargo metadata` names no root")?;
        let target = metadata["target_directory"].as_str().context("`cargo metadata` names no target")?;
        let ci = std::env::var("CI").is_ok_and(|value| is_on(&value));
        Ok(Self {
            root: PathBuf::from(root),
            packages: packages(&metadata),
            ci,
            env: Vec::new(),
            target: PathBuf::from(target),
            done: Arc::default(),
        })
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// A package and the members of the workspace that it needs, directly or not.
    pub(crate) fn closure(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = self.package(name).into_iter().collect();
        while let Some(package) = open.pop() {
            if found.insert(package.name.as_str()) {
                open.extend(package.needs.iter().filter_map(|name| self.package(name)));
            }
        }
        found
    }

    /// Runs cargo in the root; an exit code other than 0 is an error.
    pub(crate) fn cargo(&self, args: &[&str]) -> Result<()> {
        self.cargo_with(args, &[])
    }

    /// The same with more environment, which the printed command shows.
    pub(crate) fn cargo_with(&self, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        self.run(&cargo(), "cargo", args, env)
    }

    /// Builds a program, if that is not done, and runs it; an exit code other than 0 is an error.
    pub(crate) fn built(&self, build: Build, program: &str, args: &[&str]) -> Result<()> {
        let path = self.build(build, program)?;
        self.run(&path.display().to_string(), program, args, &[])
    }

    /// Builds what belongs to a build, once in the life of this program, and gives the path of one program of it.
    pub(crate) fn build(&self, build: Build, program: &str) -> Result<PathBuf> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if !done.contains(&build) {
            self.cargo(build.command())?;
            done.insert(build);
        }
        Ok(self.target.join(build.folder()).join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
    }

    /// How all tests are run.
    pub(crate) fn test_command(&self) -> &'static [&'static str] {
        if self.has_subcommand("nextest") {
            return &["nextest", "run", "--workspace", "--all-features", "--no-fail-fast"];
        }
        // Not `--all-targets`, which would run the benchmarks as well.
        &["test", "--workspace", "--all-features", "--lib", "--bins", "--tests", "--no-fail-fast"]
    }

    /// Runs any program in the root; an exit code other than 0 is an error.
    pub(crate) fn program(&self, program: &str, args: &[&str]) -> Result<()> {
        self.run(program, program, args, &[])
    }

    fn run(&self, program: &str, shown: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        let line = command_line(shown, args, env);
        println!("  $ {line}");
        let status = clean(program)
            .args(args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .envs(env.iter().copied())
            .current_dir(&self.root)
            .status()
            .with_context(|| format!("`{shown}` could not be started"))?;
        if !status.success() {
            bail!("`{line}`: {status}");
        }
        Ok(())
    }

    /// Runs cargo in the root and returns what it printed.
    pub(crate) fn cargo_output(&self, args: &[&str]) -> Result<String> {
        self.capture(&cargo(), "cargo", args)
    }

    /// Runs cargo in the root and shows what it printed only if it failed.
    pub(crate) fn cargo_quietly(&self, args: &[&str]) -> Result<()> {
        let line = command_line("cargo", args, &[]);
        println!("  $ {line}");
        let output = clean(&cargo())
            .args(args)
            .current_dir(&self.root)
            .output()
            .with_context(|| format!("`{line}` could not be started"))?;
        if !output.status.success() {
            bail!("`{line}`: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Runs any program in the root and returns what it printed.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        self.capture(program, program, args)
    }

    fn capture(&self, program: &str, shown: &str, args: &[&str]) -> Result<String> {
        let line = command_line(shown, args, &[]);
        println!("  $ {line}");
        let output = clean(program)
            .args(args)
            .current_dir(&self.root)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{shown}` could not be started"))?;
        if !output.status.success() {
            bail!("`{line}`: {}", output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{line}` printed something that is not UTF-8"))
    }

    /// Whether `cargo NAME` is installed.
    pub(crate) fn has_subcommand(&self, name: &str) -> bool {
        succeeds(Command::new(cargo()).args([name, "--version"]).current_dir(&self.root))
    }

    /// The text of a file of the workspace.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    }
}

/// Runs a command with its output thrown away and says whether it went well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A command without what `cargo run` tells this program of its own package. Build scripts look at such variables: with
/// them, what is built here is built anew when cargo is called by hand, and the other way round.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let is_ours = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn is_on(value: &str) -> bool {
    matches!(value, "true" | "1")
}

/// A command as one types it.
fn command_line(program: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let quoted = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:@+%".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{text}'") }
    };
    let env = env.iter().map(|(key, value)| format!("{key}={}", quoted(value)));
    let args = args.iter().map(|arg| quoted(arg));
    env.chain([program.to_owned()]).chain(args).collect::<Vec<_>>().join(" ")
}

fn packages(metadata: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    items(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            manifest: PathBuf::from(text(&package["manifest_path"])),
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            binaries: items(&package["targets"])
                .iter()
                .filter(|target| items(&target["kind"]).iter().any(|kind| kind == "bin"))
                .map(|target| text(&target["name"]))
                .collect(),
            dependencies: items(&package["dependencies"])
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .collect(),
            needs: items(&package["dependencies"]).iter().map(|needed| text(&needed["name"])).collect(),
            manifest_json: package.clone(),
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A package of this name that needs these.
    pub(crate) fn package(name: &str, manifest: &str, needs: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            manifest: PathBuf::from(manifest),
            published: false,
            binaries: Vec::new(),
            dependencies: Vec::new(),
            needs: needs.iter().map(|&name| name.to_owned()).collect(),
            manifest_json: Value::Null,
        }
    }

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let line = command_line("cargo", &["doc", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]);
        assert_eq!(line, "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn metadata_gives_binaries_normal_dependencies_and_what_is_published() {
        let metadata = json!({ "packages": [
            { "name": "a", "version": "0.1.0", "manifest_path": "/w/a/Cargo.toml", "publish": null,
              "targets": [{ "kind": ["lib"], "name": "a" }, { "kind": ["bin"], "name": "tool" }],
              "dependencies": [{ "name": "b", "kind": null }, { "name": "c", "kind": "dev" }] },
            { "name": "b", "version": "0.1.0", "manifest_path": "/w/b/Cargo.toml", "publish": [],
              "targets": [], "dependencies": [] },
        ]});
        let packages = packages(&metadata);
        assert_eq!(packages[0].binaries, ["tool"]);
        assert_eq!(packages[0].dependencies, ["b"]);
        assert_eq!(packages[0].needs, ["b", "c"]);
        assert!(packages[0].published);
        assert!(!packages[1].published);
    }

    #[test]
    fn ci_is_on_for_true_and_1_only() {
        assert!(is_on("true") && is_on("1"));
        assert!(!is_on("") && !is_on("false") && !is_on("0"));
    }
}
