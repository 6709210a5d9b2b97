//! Runs named things, one after the other or several at once, and says at the end how each went.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How a thing that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// It had nothing to do; why is in the skips.
    Skipped,
}

/// What was left out, and why: said at once, and again at the end.
#[derive(Debug, Default)]
pub(crate) struct Skips(Vec<String>);

impl Skips {
    pub(crate) fn add(&mut self, name: &str, reason: &str) {
        let line = format!("SKIPPED {name}: {reason}");
        println!("  {line}");
        self.0.push(line);
    }
}

#[derive(Debug)]
struct Row {
    name: String,
    took: Duration,
    /// What it may take.
    budget: Option<Duration>,
    result: Result<Outcome, String>,
}

/// The results so far.
#[derive(Debug)]
pub(crate) struct Summary {
    began: Instant,
    rows: Vec<Row>,
    not_run: Vec<String>,
    pub(crate) skips: Skips,
}

impl Default for Summary {
    fn default() -> Self {
        Self { began: Instant::now(), rows: Vec::new(), not_run: Vec::new(), skips: Skips::default() }
    }
}

impl Summary {
    /// Runs one thing, with its name and its time around it, and says whether it did not fail.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce(&mut Skips) -> Result<Outcome>) -> bool {
        self.step_within(name, None, run)
    }

    /// The same with a budget; more is a warning at the end.
    pub(crate) fn step_within(
        &mut self,
        name: &str,
        budget: Option<Duration>,
        run: impl FnOnce(&mut Skips) -> Result<Outcome>,
    ) -> bool {
        let row = measured(name, budget, run, &mut self.skips);
        let good = row.result.is_ok();
        self.rows.push(row);
        good
    }

    /// Runs several things at once, each with its name and its budget, and says whether none failed.
    pub(crate) fn at_once<F>(&mut self, things: Vec<(&str, Duration, F)>) -> bool
    where
        F: FnOnce(&mut Skips) -> Result<Outcome> + Send,
    {
        let done: Vec<_> = std::thread::scope(|scope| {
            let begin = |(name, budget, run)| {
                let thread = scope.spawn(move || {
                    let mut skips = Skips::default();
                    (measured(name, Some(budget), run, &mut skips), skips)
                });
                (name, thread)
            };
            let running: Vec<_> = things.into_iter().map(begin).collect();
            let panicked = |name: &str| {
                let result = Err("it panicked; the message stands above".to_owned());
                Row { name: name.to_owned(), took: Duration::ZERO, budget: None, result }
            };
            let join = |(name, thread): (_, std::thread::ScopedJoinHandle<'_, _>)| {
                thread.join().unwrap_or_else(|_| (panicked(name), Skips::default()))
            };
            running.into_iter().map(join).collect()
        });
        let good = done.iter().all(|(row, _)| row.result.is_ok());
        for (row, skips) in done {
            self.rows.push(row);
            self.skips.0.extend(skips.0);
        }
        good
    }

    /// Notes a thing that an earlier failure kept from running.
    pub(crate) fn not_run(&mut self, name: &str) {
        self.not_run.push(name.to_owned());
    }

    /// Prints the table and says whether nothing failed.
    pub(crate) fn finish(&self) -> bool {
        println!("\n{}", self.table());
        self.failed() == 0
    }

    fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.result.is_err()).count()
    }

    fn table(&self) -> String {
        let names = self.rows.iter().map(|row| &row.name).chain(&self.not_run);
        let width = names.map(|name| name.len()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for row in &self.rows {
            let (word, why) = match &row.result {
                Ok(Outcome::Passed) => ("passed", None),
                Ok(Outcome::Skipped) => ("skipped", None),
                Err(error) => ("FAILED", error.lines().next()),
            };
            let why = why.map(|why| format!("  {why}")).unwrap_or_default();
            lines.push(format!("{:<width$}  {word:<7}  {:>8}{why}", row.name, seconds(row.took)));
        }
        lines.extend(self.not_run.iter().map(|name| format!("{name:<width$}  not run")));
        lines.extend(self.skips.0.iter().cloned());
        lines.extend(self.rows.iter().filter_map(over_budget));

        let count = |outcome| self.rows.iter().filter(|row| row.result.as_ref() == Ok(&outcome)).count();
        let total = self.began.elapsed();
        let mut last = format!(
            "{} passed, {} failed, {} skipped",
            count(Outcome::Passed),
            self.failed(),
            count(Outcome::Skipped)
        );
        if !self.not_run.is_empty() {
            last += &format!(", {} not run", self.not_run.len());
        }
        lines.push(format!("{last} in {}", seconds(total)));
        lines.join("\n")
    }
}

/// Runs one thing, with its name and its time around it.
fn measured(
    name: &str,
    budget: Option<Duration>,
    run: impl FnOnce(&mut Skips) -> Result<Outcome>,
    skips: &mut Skips,
) -> Row {
    println!("\n==> {name}");
    let start = Instant::now();
    let result = run(skips).map_err(|error| format!("{error:#}"));
    let took = start.elapsed();
    match &result {
        Ok(Outcome::Passed) => println!("  {name}: passed in {}", seconds(took)),
        Ok(Outcome::Skipped) => println!("  {name}: skipped"),
        Err(error) => println!("  {name}: FAILED after {}: {error}", seconds(took)),
    }
    Row { name: name.to_owned(), took, budget, result }
}

/// A warning if something took longer than it may.
fn over_budget(row: &Row) -> Option<String> {
    let budget = row.budget.filter(|budget| row.took > *budget)?;
    Some(format!("WARNING {}: {} of a budget of {}", row.name, seconds(row.took), seconds(budget)))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_table_counts_and_names_everything() {
        let mut summary = Summary::default();
        assert!(summary.step("good", |_| Ok(Outcome::Passed)));
        assert!(summary.step("absent", |skips| {
            skips.add("absent", "it is not here");
            Ok(Outcome::Skipped)
        }));
        assert!(!summary.step("bad", |_| Err(anyhow!("it broke\nwith details"))));
        summary.not_run("later");
        assert!(!summary.finish());

        let table = summary.table();
        assert!(table.contains("good    passed "), "{table}");
        assert!(table.contains("absent  skipped"), "{table}");
        assert!(table.contains("it broke") && !table.contains("details"), "{table}");
        assert!(table.contains("later   not run"), "{table}");
        assert!(table.contains("SKIPPED absent: it is not here"), "{table}");
        assert!(table.contains("1 passed, 1 failed, 1 skipped, 1 not run in "), "{table}");
    }

    #[test]
    fn what_took_longer_than_its_budget_is_a_warning() {
        let mut summary = Summary::default();
        summary.step_within("slow", Some(Duration::ZERO), |_| Ok(Outcome::Passed));
        summary.step_within("fast", Some(Duration::from_secs(3_600)), |_| Ok(Outcome::Passed));
        assert!(summary.finish());
        let table = summary.table();
        assert!(table.contains("WARNING slow: ") && !table.contains("WARNING fast"), "{table}");
    }

    /// Fails if one begins after another has ended, or if a failure, a panic or a skip of one is forgotten.
    #[test]
    fn what_runs_at_once_is_counted_as_what_runs_alone() {
        let mut summary = Summary::default();
        let meet = std::sync::Barrier::new(4);
        let thing = |name: &'static str| {
            let meet = &meet;
            let run = move |skips: &mut Skips| {
                meet.wait();
                match name {
                    "absent" => {
                        skips.add(name, "it is not here");
                        Ok(Outcome::Skipped)
                    }
                    "bad" => Err(anyhow!("it broke")),
                    "wild" => panic!("it panics"),
                    _ => Ok(Outcome::Passed),
                }
            };
            (name, Duration::from_secs(3_600), run)
        };
        assert!(!summary.at_once(["good", "absent", "wild", "bad"].map(thing).into()));
        let table = summary.table();
        assert!(table.contains("SKIPPED absent: it is not here"), "{table}");
        assert!(table.contains("wild    FAILED") && table.contains("it panicked"), "{table}");
        assert!(table.contains("1 passed, 2 failed, 1 skipped in "), "{table}");
    }

    #[test]
    fn nothing_failed_is_success() {
        let mut summary = Summary::default();
        summary.step("absent", |_| Ok(Outcome::Skipped));
        assert!(summary.finish());
    }
}
