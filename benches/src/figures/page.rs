//! The results page: `docs/performance.md` with a plot for each workload, and the figures as JSON, made of what the last
//! runs of the benchmarks have kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use benches::plot::{Bar, bars};
use benches::report::{kept_in, thousands};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the page.
    #[arg(long, default_value = "docs")]
    out: PathBuf,
}

/// A workload, what it is, and whether more is better.
const WORKLOADS: [(&str, &str, bool); 7] = [
    ("W1", "push of new records to an empty server, until they are durable there", true),
    ("W2", "pull of all records by a fresh client, until they are durable locally", true),
    ("W3 A", "100 records changed on A, both in step before: sync A", false),
    ("W3 B", "the same: sync B", false),
    ("W4", "sync with nothing to do", false),
    ("W5 push", "16 clients push 1,000 records each at once", true),
    ("W5 pull", "then each pulls everyone's", true),
];

const FOLDER: &str = "performance";

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let kept = read_kept(&kept_in()?)?;
    let lines = lines(&kept);
    let plots = args.out.join(FOLDER);
    fs::create_dir_all(&plots)?;
    let mut page = head(&kept)?;
    for (workload, about, more_is_better) in WORKLOADS {
        let mut of: Vec<&Line> = lines.iter().filter(|line| line.workload == workload).collect();
        let Some(largest) = of.iter().map(|line| line.n).max() else { continue };
        // Peers that are too slow for the largest number are shown in the table alone.
        of.sort_by(|a, b| (b.n, a.is_peer, &a.who).cmp(&(a.n, b.is_peer, &b.who)));
        writeln!(page, "\n## {workload}: {about}\n")?;
        let file = format!("{}.svg", workload.to_lowercase().replace(' ', "-"));
        let shown: Vec<Bar> = of
            .iter()
            .filter(|line| line.n == largest)
            .map(|line| Bar {
                label: line.who.clone(),
                value: line.value,
                figure: line.figure(),
                is_ours: !line.is_peer && line.who != "floor",
            })
            .collect();
        let unit = of.first().map_or("", |line| &line.unit);
        let better = if more_is_better { "more is better" } else { "less is better" };
        bars(&plots.join(&file), &format!("{workload}, n = {largest}: {unit}, {better}"), &shown)?;
        writeln!(page, "![{workload}]({FOLDER}/{file})\n")?;
        writeln!(page, "| | n | {unit} | client MB | server MB |\n|---|---|---|---|---|")?;
        for line in of {
            let [client, server] = [line.client_mb, line.server_mb].map(|mb| format!("{mb:.0}"));
            writeln!(page, "| {} | {} | {} | {client} | {server} |", line.who, line.n, line.figure())?;
        }
    }
    page.push_str(&limits(&kept)?);
    fs::write(args.out.join("performance.md"), page)?;
    let all: BTreeMap<_, _> = kept.into_iter().collect();
    fs::write(plots.join("figures.json"), serde_json::to_string_pretty(&json!(all))? + "\n")?;
    println!("written: {}", args.out.join("performance.md").display());
    Ok(ExitCode::SUCCESS)
}

/// Everything that was kept, by name.
fn read_kept(folder: &Path) -> Result<Vec<(String, Value)>> {
    let mut kept = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("nothing was measured: {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            kept.push((name, serde_json::from_str(&fs::read_to_string(&path)?)?));
        }
    }
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(kept)
}

/// One row of the page.
struct Line {
    who: String,
    workload: String,
    n: u64,
    value: f64,
    unit: String,
    client_mb: f64,
    server_mb: f64,
    is_peer: bool,
}

impl Line {
    fn figure(&self) -> String {
        if self.unit == "ms" { format!("{:.2}", self.value) } else { thousands(self.value) }
    }
}

fn lines(kept: &[(String, Value)]) -> Vec<Line> {
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).unwrap_or_default();
    let find = |name: &str| kept.iter().find(|(kept, _)| kept == name).map(|(_, value)| value);
    let ours = find("workloads").and_then(|run| run.pointer("/figures/lines")?.as_array());
    let ours = ours.into_iter().flatten().map(|line| Line {
        who: text(line, "pair"),
        workload: text(line, "workload"),
        n: line.get("n").and_then(Value::as_u64).unwrap_or_default(),
        value: number(line, "value"),
        unit: text(line, "unit"),
        client_mb: number(line, "client_rss_mb"),
        server_mb: number(line, "server_rss_mb"),
        is_peer: false,
    });
    let peers = find("peers").and_then(|run| run.get("figures")?.as_array());
    let peers = peers.into_iter().flatten().filter_map(|line| {
        Some(Line {
            who: format!("{} {}", text(line, "peer"), text(line, "version")),
            workload: of_peers(&text(line, "workload"))?.to_owned(),
            n: line.get("n").and_then(Value::as_u64).unwrap_or_default(),
            value: match line.get("records_per_second").and_then(Value::as_f64) {
                Some(rate) => rate,
                None => number(line, "seconds") * 1e3,
            },
            unit: if line.get("records_per_second").is_some_and(Value::is_number) {
                "records/s"
            } else {
                "ms"
            }
            .to_owned(),
            client_mb: number(line, "client_rss_mb"),
            server_mb: number(line, "server_rss_mb"),
            is_peer: true,
        })
    });
    ours.chain(peers).collect()
}

/// What the peers' programs call a workload.
fn of_peers(name: &str) -> Option<&'static str> {
    Some(match name {
        "w1" => "W1",
        "w2" => "W2",
        "w3a" => "W3 A",
        "w3b" => "W3 B",
        "w4a" => "W4",
        "w5_push" => "W5 push",
        "w5_pull" => "W5 pull",
        _ => return None,
    })
}

fn head(kept: &[(String, Value)]) -> Result<String> {
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    let unknown = || "unknown".to_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(": ").map(|(_, name)| name.to_owned())
    });
    let cores = std::thread::available_parallelism()?;
    let names: Vec<&str> = kept.iter().map(|(name, _)| &**name).collect();
    Ok(format!(
        "# Performance\n\n\
         Made by `cargo xtask bench page` from the last run of each benchmark ({}); nothing here is typed by hand. The\n\
         figures themselves: [{FOLDER}/figures.json]({FOLDER}/figures.json).\n\n\
         | | |\n|---|---|\n| date | {} |\n| processor | {}, {cores} cores |\n| system | {} |\n| compiler | {} |\n\
         | SQLite | {} |\n\n\
         Make them anew: `cargo xtask bench all --long`, `cargo xtask peers --long`, `cargo xtask bench page`.\n\n\
         The record: id (UUID), name (20 characters), description (120), quantity, updated_at. Client and server are\n\
         processes of their own on this one machine and talk HTTP over its loopback interface. Everything is durable at\n\
         both ends (SQLite with `synchronous = FULL`) unless a peer is not; [what is unfair about each\n\
         peer](../benches/peers/README.md), both ways, is told with it. *floor* is a hand-written loop of parse, post and upsert in\n\
         1,000s on SQLite, without ids of its own, conflicts, sessions, or a local store to push from: what remains when\n\
         nothing is synchronised. The machine is shared: compare the rows of one run, not runs.\n",
        names.join(", "),
        output("date", &["+%Y-%m-%d"]).unwrap_or_else(unknown),
        cpu.unwrap_or_else(unknown),
        output("uname", &["-sr"]).unwrap_or_else(unknown),
        output("rustc", &["--version"]).unwrap_or_else(unknown),
        rusqlite::version(),
    ))
}

/// Every limit that the benchmarks state, and what they found.
fn limits(kept: &[(String, Value)]) -> Result<String> {
    let mut text = "\n## Limits that are kept watch over\n\n| benchmark | what | found | required |\n|---|---|---|---|\n".to_owned();
    for (name, run) in kept {
        for limit in run.get("limits").and_then(Value::as_array).into_iter().flatten() {
            let number = |key: &str| limit.get(key).and_then(Value::as_f64);
            let required = match (number("at_least"), number("at_most")) {
                (Some(least), _) => format!("at least {least:.3}"),
                (_, Some(most)) => format!("at most {most:.3}"),
                _ => String::new(),
            };
            let missed = if limit.get("kept") == Some(&Value::Bool(true)) { "" } else { " (missed)" };
            let what = limit.get("what").and_then(Value::as_str).unwrap_or_default();
            writeln!(
                text,
                "| {name} | {what} | {:.3}{missed} | {required} |",
                number("value").unwrap_or_default()
            )?;
        }
    }
    Ok(text)
}
