//! What a benchmark prints: tables to read, one line of JSON, and whether every stated limit was kept.
#![allow(clippy::print_stdout)] // printing is what this is for

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// A table with a heading, whose first column is text and whose others are figures.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
        for (n, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
            if n == 0 {
                text.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1)));
                text.push('\n');
            }
        }
        text
    }

    /// Prints it.
    pub fn print(&self) {
        println!("{}", self.render());
    }
}

/// The outcome of a benchmark.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    settings: Value,
    figures: Map<String, Value>,
    limits: Vec<Value>,
    missed: Vec<String>,
}

impl Report {
    /// A report of the benchmark `name`, as it was set.
    #[must_use]
    pub fn new(name: &'static str, settings: Value) -> Self {
        Self { name, settings, figures: Map::new(), limits: Vec::new(), missed: Vec::new() }
    }

    /// Notes a figure.
    pub fn figure(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.figures.insert(name.into(), value.into());
    }

    /// States a limit that a figure must not go below.
    pub fn at_least(&mut self, what: &str, value: f64, limit: f64) {
        self.limit(what, value, "at_least", limit, value >= limit);
    }

    /// States a limit that a figure must not go above.
    pub fn at_most(&mut self, what: &str, value: f64, limit: f64) {
        self.limit(what, value, "at_most", limit, value <= limit);
    }

    fn limit(&mut self, what: &str, value: f64, relation: &str, limit: f64, kept: bool) {
        let relation_text = relation.replace('_', " ");
        let verdict = if kept { "kept" } else { "MISSED" };
        println!("{verdict}: {what} is {value:.3}, {relation_text} {limit:.3} is required");
        self.limits.push(json!({ "what": what, "value": value, relation: limit, "kept": kept }));
        if !kept {
            self.missed.push(what.to_owned());
        }
    }

    /// Prints the line for programs, and tells by the exit code whether every limit was kept.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        let Self { name, settings, figures, limits, missed } = self;
        let is_long = std::env::args().any(|argument| argument == "--long");
        let outcome = json!({ "bench": name, "long": is_long, "settings": settings, "figures": figures, "limits": limits,
            "ok": missed.is_empty() });
        println!("{outcome}");
        if let Err(error) = keep(name, &outcome) {
            println!("the figures were not kept in a file: {error:#}");
        }
        if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Where the figures of the last run of each benchmark are kept: `bench/` in the target folder.
///
/// # Errors
/// This program does not lie in a target folder.
pub fn kept_in() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program lies in no target folder")?;
    Ok(target.join("bench"))
}

fn keep(name: &str, outcome: &Value) -> Result<()> {
    let folder = kept_in()?;
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(outcome)?)?)
}

/// Thousands, as people read rates.
#[must_use]
pub fn thousands(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.1} k", value / 1e3) } else { format!("{value:.0}") }
}

/// A figure that a system may not give.
#[must_use]
pub fn or_na(value: Option<String>) -> String {
    value.unwrap_or_else(|| "n/a".to_owned())
}

/// Megabytes (10^6 bytes), rounded.
#[must_use]
// Only for reading.
#[allow(clippy::cast_precision_loss)]
pub fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e5).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "rate"]);
        table.row(["é".to_owned(), "1".to_owned()]);
        table.row(["longer".to_owned(), "12345".to_owned()]);
        assert_eq!(table.render(), "what     rate\n-------------\né           1\nlonger  12345\n");
    }
}
