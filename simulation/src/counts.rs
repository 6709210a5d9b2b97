//! Counting what happened, so that a run in which nothing did is not a success.

use std::{collections::BTreeMap, fmt};

/// How often each thing happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Notes that something happened once.
    pub fn note(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// Notes that something happened so many times.
    pub fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Takes over what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    /// What happened less often than it has to.
    #[must_use]
    pub fn missing(&self, minimum: &[(&'static str, u64)]) -> Vec<String> {
        let too_few = minimum.iter().filter(|(what, least)| self.of(what) < *least);
        too_few.map(|(what, least)| format!("{what}: {} of at least {least}", self.of(what))).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.keys().map(|what| what.len()).max().unwrap_or(0);
        for (what, times) in &self.0 {
            writeln!(f, "  {what:<width$}  {times:>10}")?;
        }
        Ok(())
    }
}
