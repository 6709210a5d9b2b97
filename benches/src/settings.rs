//! What the figures that run processes of their own take alike.

use std::path::PathBuf;

/// How a figure runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The long form: more rounds or repetitions, and larger numbers where the figure has them.
    #[arg(long)]
    pub long: bool,
    /// Threads of our runtimes; 0 for the current thread only.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Where the stores lie during the run (unless set: beside this program).
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

impl Settings {
    /// The short form's number or the long form's.
    #[must_use]
    pub fn of<T>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }
}

/// What the figures take that measure ours and its limit in turn.
#[derive(Debug, Clone, clap::Args)]
pub struct Repeated {
    /// How it runs.
    #[command(flatten)]
    pub settings: Settings,
    /// How many records.
    #[arg(long, default_value_t = 100_000)]
    pub n: u64,
    /// How many rounds.
    #[arg(long)]
    rounds: Option<usize>,
}

impl Repeated {
    /// The number of rounds: what was asked for, else the short form's or the long form's.
    #[must_use]
    pub fn rounds(&self, short: usize, long: usize) -> usize {
        self.rounds.unwrap_or_else(|| self.settings.of(short, long)).max(1)
    }
}
