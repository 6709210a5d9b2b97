//! `cargo xtask peers`: other libraries under the workloads of our benchmarks; see `benches/peers/README.md`.
//!
//! On demand only: a peer is fetched by its own package client, into `target/peers/NAME`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::registry;
use crate::summary::{Outcome, Summary};
use crate::workspace::Workspace;

/// How the programs of a peer are made ready.
#[derive(Debug, Clone, Copy)]
enum Setup {
    /// Its packages are installed by npm.
    Npm,
    /// These folders, each a workspace of its own, are built by cargo.
    Cargo(&'static [&'static str]),
}

/// A library that we are compared with.
#[derive(Debug)]
struct Peer {
    name: &'static str,
    about: &'static str,
    setup: Setup,
    /// How often the long form measures the largest number of records.
    largest_runs: u32,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "watermelondb",
        about: "WatermelonDB on SQLite, with a backend on SQLite after its documentation",
        setup: Setup::Npm,
        largest_runs: 1,
    },
    Peer {
        name: "pouchdb",
        about: "PouchDB on LevelDB, with its own server on LevelDB",
        setup: Setup::Npm,
        largest_runs: 1,
    },
    Peer {
        name: "rxdb",
        about: "RxDB in memory, with its replication over HTTP; nothing is durable",
        setup: Setup::Npm,
        largest_runs: 3,
    },
    Peer {
        name: "taskchampion",
        about: "TaskChampion on SQLite, with the core of its sync server on SQLite; encrypted",
        setup: Setup::Cargo(&["client", "server"]),
        largest_runs: 1,
    },
    Peer {
        name: "turso",
        about: "Turso sync, with the sync server of its command line; a pull gets pages of the database",
        setup: Setup::Npm,
        largest_runs: 3,
    },
];

/// How many records the short and the long form measure with.
const SHORT: &[u32] = &[10_000];
const LONG: &[u32] = &[1_000, 10_000, 100_000];
const LONG_RUNS: u32 = 3;

/// What has to be in the answer of every peer: nobody passes by saying nothing.
const WITH_TWO: &[&str] = &["w1", "w2", "w3a", "w3b", "w4a", "w4b"];
const WITH_MANY: &[&str] = &["w5_push", "w5_pull"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Say what there is and run nothing.
    #[arg(long)]
    list: bool,
    /// Measure with 1,000, 10,000 and 100,000 records, mostly three times, instead of once with 10,000.
    #[arg(long)]
    long: bool,
    /// Names of peers, or `all`.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if args.list {
        registry::list(PEERS.iter().map(|peer| (peer.name, peer.about)));
        return Ok(true);
    }
    let selected = registry::select(PEERS, |peer| peer.name, &args.names)?;
    let mut lines = Vec::new();
    let mut summary = Summary::default();
    for peer in selected {
        summary.step(peer.name, |_| {
            println!("  {}", peer.about);
            let folder = prepare(workspace, peer)?;
            for plan in plans(peer, args.long) {
                lines.extend(measure(&folder, &plan)?);
            }
            Ok(Outcome::Passed)
        });
        // After each, so that a later one that hangs costs nothing; and never nothing over earlier figures.
        if !lines.is_empty() {
            write(workspace, &lines)?;
        }
    }
    if !lines.is_empty() {
        println!("\n{}", table(&lines));
    }
    Ok(summary.finish())
}

/// One call of a peer's program.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    records: u32,
    runs: u32,
    /// Whether the workload with many clients is part of it; it is the same for any number of records.
    many: bool,
}

fn plans(peer: &Peer, long: bool) -> Vec<Plan> {
    let sizes = if long { LONG } else { SHORT };
    let plan = |(at, &records): (usize, &u32)| {
        let largest = at + 1 == sizes.len();
        let runs = match (long, largest) {
            (false, _) => 1,
            (true, true) => peer.largest_runs,
            (true, false) => LONG_RUNS,
        };
        Plan { records, runs, many: largest }
    };
    sizes.iter().enumerate().map(plan).collect()
}

/// Copies the sources of a peer to where it may be built, and has its packages fetched.
fn prepare(workspace: &Workspace, peer: &Peer) -> Result<PathBuf> {
    has_node()?;
    let sources = workspace.root.join("benches").join("peers");
    let target = workspace.target.join("peers");
    for name in ["common", peer.name] {
        copy(&sources.join(name), &target.join(name))?;
    }
    let folder = target.join(peer.name);
    match peer.setup {
        Setup::Npm => {
            has_npm()?;
            // Without a lock file: the versions of the peers are exact, and those of what they use are theirs to say.
            command(&folder, "npm", &["install", "--no-package-lock", "--no-audit", "--no-fund"])?;
        }
        Setup::Cargo(programs) => {
            for program in programs {
                let manifest = format!("{program}/Cargo.toml");
                let args = ["build", "--release", "--manifest-path", &manifest, "--target-dir", "target"];
                command(&folder, &std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), &args)?;
            }
        }
    }
    Ok(folder)
}

const HOW_TO_INSTALL: &str = "install Node.js 20.11 or newer with npm (Debian: `apt-get install nodejs npm`)";

fn has_node() -> Result<()> {
    let version = version_of("node").with_context(|| format!("the peers need node: {HOW_TO_INSTALL}"))?;
    if !is_new_enough(&version) {
        bail!("node is {version}, which is too old: {HOW_TO_INSTALL}");
    }
    Ok(())
}

fn has_npm() -> Result<()> {
    version_of("npm").map(drop).with_context(|| format!("this peer needs npm: {HOW_TO_INSTALL}"))
}

fn version_of(program: &str) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("`{program}` could not be started"))?;
    if !output.status.success() {
        bail!("`{program} --version`: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether this is Node.js 20.11 or newer.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(20), Some(11))
}

/// Copies a folder over another one; what is only in the other one, such as installed packages, stays.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("{} cannot be copied", path.display()))?;
        }
    }
    Ok(())
}

fn command(folder: &Path, program: &str, args: &[&str]) -> Result<()> {
    println!("  $ {program} {}", args.join(" "));
    let status = Command::new(program)
        .args(args)
        .current_dir(folder)
        .status()
        .with_context(|| format!("`{program}` could not be started"))?;
    if !status.success() {
        bail!("`{program} {}`: {status}", args.join(" "));
    }
    Ok(())
}

/// Runs a peer's program and takes what it measured.
fn measure(folder: &Path, plan: &Plan) -> Result<Vec<Value>> {
    let mut args = vec!["bench.mjs".to_owned(), "--n".to_owned(), plan.records.to_string()];
    args.extend(["--runs".to_owned(), plan.runs.to_string()]);
    if !plan.many {
        args.extend(
            ["w1", "w2", "w3", "w4"].iter().flat_map(|name| ["--workload".to_owned(), (*name).to_owned()]),
        );
    }
    println!("  $ node {}", args.join(" "));
    let output = Command::new("node")
        .args(&args)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("`node` could not be started")?;
    if !output.status.success() {
        bail!("`node {}`: {}", args.join(" "), output.status);
    }
    let text = String::from_utf8(output.stdout).context("a peer printed something that is not UTF-8")?;
    measured(&text, plan)
}

/// The lines of a peer's program; one that is missing, or has no time, is an error.
fn measured(text: &str, plan: &Plan) -> Result<Vec<Value>> {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).with_context(|| format!("no JSON: {line}")))
        .collect::<Result<Vec<_>>>()?;
    let many = if plan.many { WITH_MANY } else { &[] };
    for workload in WITH_TWO.iter().chain(many) {
        let line = lines.iter().find(|line| line["workload"] == *workload);
        let seconds = line.and_then(|line| line["seconds"].as_f64());
        if !seconds.is_some_and(|seconds| seconds > 0.0) {
            bail!("{workload} was not measured");
        }
    }
    Ok(lines)
}

fn write(workspace: &Workspace, lines: &[Value]) -> Result<()> {
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join("peers.json");
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let text = serde_json::to_string_pretty(&json!({ "cpus": cpus, "figures": lines }))?;
    fs::write(&path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
    println!("  {} figures in {}", lines.len(), path.display());
    Ok(())
}

/// One row for each peer and number of records; the workload with many clients is in the row of the largest.
fn table(lines: &[Value]) -> String {
    const HEAD: [&str; 13] = [
        "peer",
        "records",
        "W1 push/s",
        "W2 pull/s",
        "W3 A/B ms",
        "W4 A/B ms",
        "W5 push/s",
        "W5 pull/s",
        "MB server",
        "MB client",
        "wire W1/W2",
        "CPU s W1/W2",
        "load",
    ];
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for own in lines.chunk_by(|_, next| next["workload"] != WITH_TWO[0]) {
        let Some(first) = own.first() else { continue };
        let cell = |workload: &str, key: &str| -> Option<f64> {
            own.iter().find(|line| line["workload"] == workload)?[key].as_f64()
        };
        let rate = |workload| whole(cell(workload, "records_per_second"));
        let ms =
            |workload| cell(workload, "seconds").map_or("-".to_owned(), |time| format!("{:.1}", time * 1e3));
        let most =
            |key: &str| whole(WITH_TWO.iter().filter_map(|workload| cell(workload, key)).reduce(f64::max));
        let wire = |workload| whole(cell(workload, "wire_bytes_per_record"));
        // Of both ends: what remains comparable on a machine that is busy with something else.
        let cpu = |workload| match (cell(workload, "server_cpu_s"), cell(workload, "client_cpu_s")) {
            (Some(server), Some(client)) => format!("{:.1}", server + client),
            _ => "-".to_owned(),
        };
        rows.push(vec![
            first["peer"].as_str().unwrap_or("?").to_owned(),
            whole(first["n"].as_f64()),
            rate("w1"),
            rate("w2"),
            format!("{} / {}", ms("w3a"), ms("w3b")),
            format!("{} / {}", ms("w4a"), ms("w4b")),
            rate("w5_push"),
            rate("w5_pull"),
            most("server_rss_mb"),
            most("client_rss_mb"),
            format!("{} / {}", wire("w1"), wire("w2")),
            format!("{} / {}", cpu("w1"), cpu("w2")),
            first["load"].as_f64().map_or("-".to_owned(), |load| format!("{load:.1}")),
        ]);
    }
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:>0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn whole(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_measures_slow_peers_once_at_the_largest() {
        let pouchdb = PEERS.iter().find(|peer| peer.name == "pouchdb").unwrap();
        assert_eq!(plans(pouchdb, false), [Plan { records: 10_000, runs: 1, many: true }]);
        let runs = |peer| plans(peer, true).iter().map(|plan| (plan.runs, plan.many)).collect::<Vec<_>>();
        assert_eq!(runs(pouchdb), [(3, false), (3, false), (1, true)]);
        let rxdb = PEERS.iter().find(|peer| peer.name == "rxdb").unwrap();
        assert_eq!(runs(rxdb), [(3, false), (3, false), (3, true)]);
    }

    #[test]
    fn node_must_be_new_enough() {
        assert!(is_new_enough("v20.11.0") && is_new_enough("v22.1.0"));
        assert!(!is_new_enough("v20.10.9") && !is_new_enough("v18.20.0") && !is_new_enough(""));
    }

    fn lines(workloads: &[&str]) -> String {
        let line = |workload: &&str| {
            let rate = workload.starts_with("w5").then_some(7);
            json!({ "peer": "p", "workload": workload, "seconds": 0.5, "records_per_second": rate })
                .to_string()
        };
        workloads.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn silence_is_no_success() {
        let plan = Plan { records: 1_000, runs: 1, many: false };
        assert_eq!(measured(&lines(WITH_TWO), &plan).unwrap().len(), WITH_TWO.len());
        assert!(measured("", &plan).is_err());
        assert!(measured("done", &plan).is_err());
        assert!(measured(&lines(&WITH_TWO[1..]), &plan).unwrap_err().to_string().contains("w1"));
        assert!(measured(&lines(WITH_TWO), &Plan { many: true, ..plan }).is_err());
    }

    #[test]
    fn each_number_of_records_has_its_row() {
        let text = format!("{}\n{}\n{}", lines(WITH_TWO), lines(WITH_TWO), lines(WITH_MANY));
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let table = table(&lines);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 3, "{table}");
        assert!(rows[1].contains("500.0 / 500.0") && !rows[1].contains(" 7 "), "{table}");
        assert!(rows[2].contains(" 7 "), "{table}");
    }
}
