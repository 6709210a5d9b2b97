//! The results page: `docs/performance.md` with a plot for each workload, and the figures as JSON, made of what the last
//! runs of the benchmarks have kept.

mod head;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use benches::plot::{Bar, bars};
use benches::report::{kept_in, thousands};

use super::kept::{Kept, Line};

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

/// What the hot paths may cost.
const ACCEPTED: &str = "benches/hot/instructions.json";

/// Plots and figures, beside the page.
const FOLDER: &str = "performance";

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let folder = kept_in()?;
    let kept = Kept::read(&folder)?;
    ensure!(!kept.0.is_empty(), "nothing was measured: {}", folder.display());
    let plots = args.out.join(FOLDER);
    fs::create_dir_all(&plots)?;
    let mut page = head::head(&kept, &folder, FOLDER)?;
    tables::ratios(&mut page, &kept)?;
    let lines = kept.lines();
    for (workload, about, more_is_better) in WORKLOADS {
        let of: Vec<&Line> = lines.iter().filter(|line| line.workload == workload).collect();
        write_workload(&mut page, &plots, (workload, about, more_is_better), of)?;
    }
    tables::growth(&mut page, &kept)?;
    tables::alone(&mut page, &kept)?;
    tables::hot(&mut page, &fs::read_to_string(ACCEPTED).context(ACCEPTED)?)?;
    tables::limits(&mut page, &kept)?;
    fs::write(args.out.join("performance.md"), page)?;
    fs::write(plots.join("figures.json"), serde_json::to_string_pretty(&kept.0)? + "\n")?;
    println!("written: {}", args.out.join("performance.md").display());
    Ok(ExitCode::SUCCESS)
}

/// A plot of the largest number of records, and a table of all.
fn write_workload(
    page: &mut String,
    plots: &Path,
    (workload, about, more_is_better): (&str, &str, bool),
    mut of: Vec<&Line>,
) -> Result<()> {
    let Some(largest) = of.iter().map(|line| line.n).max() else { return Ok(()) };
    // Peers that are too slow for the largest number are shown in the table alone.
    of.sort_by(|a, b| (b.n, a.is_peer, &a.who).cmp(&(a.n, b.is_peer, &b.who)));
    writeln!(page, "\n## {workload}: {about}\n")?;
    let file = format!("{}.svg", workload.to_lowercase().replace(' ', "-"));
    // The crowd is the same for any number of records.
    let is_crowd = workload.starts_with("W5");
    let is_shown = |line: &&&Line| line.n == largest || is_crowd;
    let shown: Vec<Bar> = of
        .iter()
        .filter(is_shown)
        .map(|line| Bar {
            label: line.who.clone(),
            value: line.value,
            figure: figure_of(line),
            is_ours: !line.is_peer && !line.who.starts_with("floor"),
        })
        .collect();
    let unit = of.first().map_or("", |line| &line.unit);
    let better = if more_is_better { "more is better" } else { "less is better" };
    let n = |n: u64| if is_crowd { "-".to_owned() } else { n.to_string() };
    let of_many = if is_crowd { String::new() } else { format!(", n = {largest}") };
    bars(&plots.join(&file), &format!("{workload}{of_many}: {unit}, {better}"), &shown)?;
    writeln!(page, "![{workload}]({FOLDER}/{file})\n")?;
    writeln!(page, "| | n | {unit} | client MB | server MB | client CPU s | server CPU s | bytes/record |")?;
    writeln!(page, "|---|---|---|---|---|---|---|---|")?;
    for line in of {
        let cell = |value: Option<f64>, decimals: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
        };
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            line.who,
            n(line.n),
            figure_of(line),
            cell(line.client_mb, 0),
            cell(line.server_mb, 0),
            cell(line.client_cpu, 2),
            cell(line.server_cpu, 2),
            cell(line.wire, 0),
        )?;
    }
    Ok(())
}

fn figure_of(line: &Line) -> String {
    if line.unit == "ms" { format!("{:.2}", line.value) } else { thousands(line.value) }
}
