//! The options that every proof takes.

use std::time::{Duration, SystemTime};

use crate::pace::Budget;
use crate::storage::{OnDisk, StorageKind};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct Args {
    /// The long form instead of the short one.
    pub long: bool,
    /// What everything random derives from.
    pub seed: u64,
    /// The one case to run.
    pub case: Option<u64>,
    /// How many cases, kills or sessions instead of the default.
    pub count: Option<u64>,
    /// How many seconds to go on for, in place of a count.
    pub seconds: Option<u64>,
    /// The data source that the run is about, if the proof knows several.
    pub store: Option<String>,
    /// Whether the database's own server is killed, instead of the process that uses it.
    pub database: bool,
    /// Whether this process is one that the proof started itself, with what it is told.
    pub child: Option<Vec<String>>,
}

/// What [`Args::parse`] reads.
pub const USAGE: &str =
    "[--long] [--seed N [--case N]] [--count N | --seconds N] [--store NAME] [--database]";

impl Args {
    /// Reads the arguments after the name of a proof: [`USAGE`], or `--child` and what the proof tells itself.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            long: false,
            seed: fresh_seed(),
            case: None,
            count: None,
            seconds: None,
            store: None,
            database: false,
            child: None,
        };
        let mut is_seeded = false;
        let mut args = args;
        while let Some(arg) = args.next() {
            if arg == "--database" {
                parsed.database = true;
                continue;
            }
            if arg == "--store" {
                parsed.store = Some(args.next().ok_or("--store needs a name")?);
                continue;
            }
            let mut number = || {
                let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
                text.parse::<u64>().map_err(|_| format!("{text} is not a number"))
            };
            match arg.as_str() {
                "--long" => parsed.long = true,
                "--seed" => (parsed.seed, is_seeded) = (number()?, true),
                "--case" => parsed.case = Some(number()?),
                "--count" => parsed.count = Some(number()?),
                "--seconds" => parsed.seconds = Some(number()?),
                "--child" => {
                    parsed.child = Some(args.collect());
                    return Ok(parsed);
                }
                other => return Err(format!("{other} is not an option")),
            }
        }
        if parsed.case.is_some() && !is_seeded {
            return Err("--case needs the --seed that it is a case of".to_owned());
        }
        if parsed.count.is_some() && parsed.seconds.is_some() {
            return Err("--count and --seconds exclude each other".to_owned());
        }
        Ok(parsed)
    }

    /// For a run that does not consist of cases, for this reason.
    ///
    /// # Errors
    /// If one is asked for.
    pub fn no_case(&self, reason: &str) -> Result<(), String> {
        match self.case {
            None => Ok(()),
            Some(_) => Err(format!("--case is refused: {reason}; the seed alone is the repeat")),
        }
    }

    /// The store on this machine's disk that the run is about.
    ///
    /// # Errors
    /// What the names are.
    pub fn on_disk(&self) -> Result<OnDisk, String> {
        self.store.as_deref().map_or(Ok(OnDisk::default()), OnDisk::named)
    }

    /// The storage that the run is about: SQLite if none is named.
    ///
    /// # Errors
    /// What the names are.
    pub fn storage(&self) -> Result<StorageKind, String> {
        self.store.as_deref().unwrap_or("sqlite").parse()
    }

    /// How much to do: as many cases, kills or sessions, if nothing else is asked for.
    #[must_use]
    pub fn budget(&self, short: u64, long: u64) -> Budget {
        match self.seconds {
            Some(seconds) => Budget::Seconds(seconds),
            None => Budget::Count(self.count.unwrap_or(if self.long { long } else { short })),
        }
    }
}

/// A seed from the clock: small enough to type.
#[allow(clippy::disallowed_methods, reason = "a run is to differ from the last one")]
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_micros().try_into().unwrap_or(u64::MAX) % 10_000_000_000
}
