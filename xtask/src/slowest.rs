//! The slowest tests, by the report that nextest leaves (`.config/nextest.toml`).

use std::path::Path;

/// Where the report is in the target folder.
pub(crate) const REPORT: &str = "nextest/default/junit.xml";

const SHOWN: usize = 10;

/// Prints the slowest tests of the report, if there is one.
pub(crate) fn print(report: &Path) {
    let Ok(report) = std::fs::read_to_string(report) else { return };
    println!("  the slowest tests:");
    for (seconds, name) in of(&report) {
        println!("  {seconds:>8.1} s  {name}");
    }
}

/// Seconds and names, the slowest first.
fn of(report: &str) -> Vec<(f64, String)> {
    let mut tests: Vec<_> = report.lines().filter_map(test).collect();
    tests.sort_by(|one, other| other.0.total_cmp(&one.0));
    tests.truncate(SHOWN);
    tests
}

/// A line `<testcase name="..." classname="..." ... time="...">`.
fn test(line: &str) -> Option<(f64, String)> {
    let line = line.trim_start().strip_prefix("<testcase ")?;
    let value = |name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    };
    // `name` is also the end of `classname`.
    let name = line.strip_prefix("name=\"")?.split('"').next()?;
    Some((value(" time")?.parse().ok()?, format!("{} {name}", value(" classname")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_come_first_and_ten_at_most() {
        let line = |n: u32| {
            format!(
                "        <testcase name=\"t::{n}\" classname=\"p::it\" timestamp=\"2026\" time=\"{n}.5\">\n"
            )
        };
        let report: String = (0..20).map(line).collect();
        let slowest = of(&report);
        assert_eq!(slowest.len(), SHOWN);
        assert_eq!(slowest[0], (19.5, "p::it t::19".to_owned()));
        assert!(of("<testsuite name=\"p\" time=\"3.0\">").is_empty());
    }
}
