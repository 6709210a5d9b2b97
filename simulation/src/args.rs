//! The options that every proof takes.

use std::time::{Duration, SystemTime};

use crate::storage::{OnDisk, StorageKind};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct Args {
    /// The long form instead of the short one.
    pub long: bool,
    /// What everything random derives from.
    pub seed: u64,
    /// How many cases, kills or sessions instead of the default.
    pub count: Option<u64>,
    /// The data source that the run is about, if the proof knows several.
    pub store: Option<String>,
    /// Whether the database's own server is killed, instead of the process that uses it.
    pub database: bool,
    /// Whether this process is one that the proof started itself, with what it is told.
    pub child: Option<Vec<String>>,
}

/// What [`Args::parse`] reads.
pub const USAGE: &str = "[--long] [--seed N] [--count N] [--store NAME] [--database]";

impl Args {
    /// Reads the arguments after the name of a proof: [`USAGE`], or `--child` and what the proof tells itself.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed =
            Self { long: false, seed: fresh_seed(), count: None, store: None, database: false, child: None };
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
                "--seed" => parsed.seed = number()?,
                "--count" => parsed.count = Some(number()?),
                "--child" => {
                    parsed.child = Some(args.collect());
                    return Ok(parsed);
                }
                other => return Err(format!("{other} is not an option")),
            }
        }
        Ok(parsed)
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

    /// The number of cases, kills or sessions to do.
    #[must_use]
    pub fn target(&self, short: u64, long: u64) -> u64 {
        self.count.unwrap_or(if self.long { long } else { short })
    }
}

/// A seed from the clock: small enough to type.
#[allow(clippy::disallowed_methods, reason = "a run is to differ from the last one")]
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_micros().try_into().unwrap_or(u64::MAX) % 10_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_options_are_read() {
        let args = parse("--long --seed 7").unwrap();
        assert_eq!((args.long, args.seed, args.target(1, 2)), (true, 7, 2));
        assert_eq!(parse("--count 5").unwrap().target(1, 2), 5);
        assert_eq!(parse("--store sled").unwrap().on_disk(), Ok(OnDisk::Sled));
        assert_eq!(parse("").unwrap().on_disk(), Ok(OnDisk::Sqlite));
        assert_eq!(
            parse("--store mongo --database").map(|args| (args.storage(), args.database)),
            Ok((Ok(StorageKind::Mongo), true))
        );
        assert!(parse("--store").is_err() && parse("--store paper").unwrap().on_disk().is_err());
        assert_eq!(parse("--child a --b").unwrap().child.unwrap(), ["a", "--b"]);
        assert!(parse("--seed").is_err() && parse("--seed x").is_err() && parse("--what").is_err());
    }
}
