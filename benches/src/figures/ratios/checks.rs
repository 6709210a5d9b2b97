//! The table of what is required and what was found.

use std::process::ExitCode;

use benches::report::{Report, Table};
use serde_json::{Value, json};

/// What a ratio has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn words(self) -> String {
        match self {
            Self::AtLeast(limit) => format!("at least {limit}"),
            Self::AtMost(limit) => format!("at most {limit}"),
        }
    }

    fn is_kept(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(limit) => ratio >= limit,
            Self::AtMost(limit) => ratio <= limit,
        }
    }
}

/// Ours, what it is compared with, and the ratio of the two.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ours: String,
    pub(super) theirs: String,
    pub(super) ratio: f64,
}

/// The rows so far. One that was not measured is a row too: nothing passes by not being there.
#[derive(Debug)]
pub(super) struct Checks {
    report: Report,
    table: Table,
    rows: Vec<Value>,
    unmeasured: Vec<String>,
}

impl Checks {
    pub(super) fn new(report: Report) -> Self {
        let table = Table::new(&["workload", "against", "ours", "theirs", "ratio", "required", ""]);
        Self { report, table, rows: Vec::new(), unmeasured: Vec::new() }
    }

    /// Notes what was found, and whether it is as required.
    pub(super) fn measured(&mut self, workload: &str, against: &str, bound: Bound, found: Found) {
        let what = format!("{workload} / {against}");
        match bound {
            Bound::AtLeast(limit) => self.report.at_least(&what, found.ratio, limit),
            Bound::AtMost(limit) => self.report.at_most(&what, found.ratio, limit),
        }
        let verdict = if bound.is_kept(found.ratio) { "kept" } else { "missed" };
        self.row([workload, against], Some(found), &bound.words(), (verdict, ""));
    }

    /// Notes what was found where nothing is required.
    pub(super) fn unbound(&mut self, workload: &str, against: &str, found: Found, why: &str) {
        self.row([workload, against], Some(found), "", ("not required", why));
    }

    /// Says loudly that something was not measured.
    pub(super) fn not_measured(&mut self, workload: &str, against: &str, bound: Bound, why: &str) {
        println!("SKIPPED: {workload}: {why}");
        self.unmeasured.push(workload.to_owned());
        self.row([workload, against], None, &bound.words(), ("not measured", why));
    }

    fn row(
        &mut self,
        [workload, against]: [&str; 2],
        found: Option<Found>,
        required: &str,
        (verdict, why): (&str, &str),
    ) {
        let (ours, theirs, value) = match found {
            Some(Found { ours, theirs, ratio }) => (ours, theirs, Some(ratio)),
            None => (String::new(), String::new(), None),
        };
        let ratio = value.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        self.rows.push(json!({
            "workload": workload, "against": against, "ours": ours, "theirs": theirs, "ratio": value,
            "required": required, "verdict": verdict, "why": why,
        }));
        let [workload, against, required, verdict] =
            [workload, against, required, verdict].map(str::to_owned);
        self.table.row([workload, against, ours, theirs, ratio, required, verdict]);
    }

    /// Of each row what ours is compared with, and how it went.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<(String, String)> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        self.rows.iter().map(|row| (text(row, "against"), text(row, "verdict"))).collect()
    }

    /// Prints the table; fails by the exit code where something is missed.
    pub(super) fn finish(mut self) -> ExitCode {
        println!();
        self.table.print();
        if !self.unmeasured.is_empty() {
            println!("NOT MEASURED: {}\n", self.unmeasured.join("; "));
        }
        self.report.figure("table", self.rows);
        self.report.finish()
    }
}
