//! What ours has to reach, in parts of what limits it, measured beside it in the same run.

mod against_peers;
mod checks;

use std::process::ExitCode;

use anyhow::Result;
use benches::encoding::Encoding;
use benches::http::runtime;
use benches::ours::PER_SESSION;
use benches::records::{Item, Shape, make_many};
use benches::report::{Report, kept_in, megabytes, thousands};
use benches::role::Side;
use benches::scratch::Scratch;
pub(crate) use benches::settings::Repeated as Args;
use benches::stats::{median, per, rate};
use benches::stores::{StoreKind, server_versions};
use serde_json::json;

use super::first_pull::FirstPull;
use super::kept::Kept;
use super::rounds::{Bench, Pick, Rounds, seconds};
use super::worlds::{Worlds, sync_in_turn};
use checks::{Bound, Checks, Found};

/// Ours on a pair of stores, and what it has to reach of the floor on the same ones.
#[derive(Debug)]
struct Pair {
    client: StoreKind,
    server: StoreKind,
    /// What the floor does for a push and for a pull.
    floors: [&'static str; 2],
    at_least: f64,
}

const PAIRS: [Pair; 6] = [
    Pair {
        client: StoreKind::Sqlite,
        server: StoreKind::Sqlite,
        floors: ["floor, 1,000 per request"; 2],
        at_least: 0.85,
    },
    Pair {
        client: StoreKind::Sqlite,
        server: StoreKind::Mysql,
        floors: ["floor on multi-row upserts", "floor on SELECT"],
        at_least: 0.6,
    },
    Pair {
        client: StoreKind::Sqlite,
        server: StoreKind::Postgres,
        floors: ["floor on `UNNEST` upserts", "floor on SELECT"],
        at_least: 0.5,
    },
    Pair {
        client: StoreKind::Redb,
        server: StoreKind::Redb,
        floors: ["floor on redb transactions"; 2],
        at_least: 0.65,
    },
    Pair {
        client: StoreKind::Sled,
        server: StoreKind::Sled,
        floors: ["floor on sled batches"; 2],
        at_least: 0.6,
    },
    Pair {
        client: StoreKind::Sqlite,
        server: StoreKind::Mongo,
        floors: ["floor on `update` commands", "floor on `find`"],
        at_least: 0.5,
    },
];

const PHASES: [(&str, Pick); 2] = [("W1", |round| &round.push), ("W2", |round| &round.pull)];

/// The records of the small store that a sync with nothing to do is compared with, and its syncs in a round.
const FEW: u64 = 1_000;
const NOOPS: usize = 100;
const NOOP_GROWTH: f64 = 1.2;

/// How many times the records the larger first pull has.
const TIMES: u64 = 10;
const MEMORY_GROWTH: f64 = 1.2;

/// The most records that the bytes on the wire are counted with, and the most bytes, in parts of the fields' own.
const COUNTED: u64 = 20_000;
const PLAIN: f64 = 1.3;
const COMPRESSED: f64 = 0.5;

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let rounds = args.rounds(5, 7);
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let sync_millis = scratch.sync_millis()?;
    println!(
        "{} items, medians of {rounds} rounds, ours and its limit in turn; 4 KiB reach this disk in {sync_millis:.2} ms\n",
        args.n
    );
    let report = Report::new(
        "ratios",
        json!({
            "records": args.n, "rounds": rounds, "batch": 1000, "synchronous": "full",
            "workers": args.settings.workers, "fdatasync_ms": sync_millis,
            "servers": runtime(0)?.block_on(server_versions())?,
        }),
    );
    let mut run = Run {
        scratch: &scratch,
        count: args.n.max(FEW),
        rounds,
        workers: args.settings.workers,
        checks: Checks::new(report),
    };
    run.pairs()?;
    run.noop()?;
    run.wire()?;
    run.memory()?;
    against_peers::check(&mut run.checks, &Kept::read(&kept_in()?)?);
    Ok(run.checks.finish())
}

struct Run<'a> {
    scratch: &'a Scratch,
    count: u64,
    rounds: usize,
    workers: usize,
    checks: Checks,
}

impl Run<'_> {
    /// Push and pull on every pair.
    fn pairs(&mut self) -> Result<()> {
        let mut measured = PAIRS.map(|_| Rounds::default());
        for round in 0..self.rounds {
            println!("round {} of {}", round + 1, self.rounds);
            for (Pair { client, server, .. }, measured) in PAIRS.iter().zip(&mut measured) {
                if server.missing().is_none() {
                    measured.add(&self.bench((*client, *server), self.count, None))?;
                }
            }
        }
        for (pair, measured) in PAIRS.iter().zip(&measured) {
            for ((phase, pick), floor) in PHASES.into_iter().zip(pair.floors) {
                let (client, server) = (pair.client.name(), pair.server.name());
                let workload = format!("{phase}, {client} - {server}, {}", self.count);
                let bound = Bound::AtLeast(pair.at_least);
                if let Some(why) = pair.server.missing() {
                    self.checks.not_measured(&workload, floor, bound, &why);
                    continue;
                }
                let per_second =
                    |rounds| format!("{} /s", thousands(rate(self.count, seconds(rounds, pick))));
                let found = Found {
                    ours: per_second(&measured.ours),
                    theirs: per_second(&measured.floor),
                    ratio: measured.ratio(pick),
                };
                self.checks.measured(&workload, floor, bound, found);
            }
        }
        Ok(())
    }

    fn bench(&self, stores: (StoreKind, StoreKind), count: u64, encoding: Option<Encoding>) -> Bench<'_> {
        Bench { scratch: self.scratch, stores, count, workers: self.workers, encoding }
    }

    /// A sync with nothing to do, with many records and with few.
    fn noop(&mut self) -> Result<()> {
        println!("W4");
        let make = Worlds { scratch: self.scratch, workers: self.workers };
        for (name, count) in [("few", FEW), ("many", self.count)] {
            make.fill(name, count)?;
        }
        let runtime = runtime(self.workers)?;
        let mut worlds = Vec::new();
        for (name, count) in [("few", FEW), ("many", self.count)] {
            worlds.push(runtime.block_on(make.open(name, count, count.div_ceil(PER_SESSION), 0))?);
        }
        for _ in 0..self.rounds {
            runtime.block_on(sync_in_turn(&mut worlds, NOOPS))?;
        }
        if let [few, many] = worlds.as_slice() {
            let (few, many) = (in_rounds(&few.millis), in_rounds(&many.millis));
            let workload = format!("W4, SQLite - SQLite, {}", self.count);
            let found = Found {
                ours: format!("{:.3} ms", median(&many)),
                theirs: format!("{:.3} ms", median(&few)),
                ratio: ratio(&many, &few),
            };
            let against = format!("W4 at {FEW}");
            self.checks.measured(&workload, &against, Bound::AtMost(NOOP_GROWTH), found);
        }
        worlds.into_iter().try_for_each(super::worlds::World::close)
    }

    /// Bytes on the wire, both ways, heads included.
    fn wire(&mut self) -> Result<()> {
        println!("bytes on the wire");
        let count = self.count.min(COUNTED);
        let raw = raw_bytes(count);
        let mut counted = Vec::new();
        for encoding in Encoding::ALL {
            let stores = (StoreKind::Sqlite, StoreKind::Sqlite);
            let bytes = self.bench(stores, count, Some(encoding)).on_wire(Side::Ours)?;
            counted.push((encoding, [bytes.push.0 + bytes.push.1, bytes.pull.0 + bytes.pull.1]));
        }
        for (at, phase) in ["W1", "W2"].into_iter().enumerate() {
            for (encoding, bytes) in &counted {
                let bytes = bytes[at];
                let compressed = encoding.is_compressed();
                let kind = counted.iter().filter(|(other, _)| other.is_compressed() == compressed);
                let least = kind.map(|(_, bytes)| bytes[at]).fold(f64::INFINITY, f64::min);
                let workload = format!("bytes per record, {phase}, {}", encoding.name());
                let bound = Bound::AtMost(if compressed { COMPRESSED } else { PLAIN });
                let found =
                    Found { ours: format!("{bytes:.1}"), theirs: format!("{raw:.1}"), ratio: bytes / raw };
                if bytes > least {
                    let why = "another encoding of its kind is smaller";
                    self.checks.unbound(&workload, "bytes of the fields", found, why);
                } else {
                    self.checks.measured(&workload, "bytes of the fields", bound, found);
                }
            }
        }
        Ok(())
    }

    /// Peaks of both ends in a first pull, of many records and of more.
    fn memory(&mut self) -> Result<()> {
        println!("peak memory");
        let pulls = FirstPull { scratch: self.scratch, shape: Shape::Items, workers: self.workers };
        let sizes = [self.count, self.count * TIMES];
        let servers = [pulls.prepare(sizes[0])?, pulls.prepare(sizes[1])?];
        // By end, then by size.
        let mut peaks: [[Vec<f64>; 2]; 2] = Default::default();
        for _ in 0..self.rounds {
            for (at, (count, server)) in sizes.into_iter().zip(&servers).enumerate() {
                let found = pulls.pull::<Item>(server, count)?;
                peaks[0][at].push(megabytes(found.client));
                peaks[1][at].push(megabytes(found.server));
            }
        }
        for (end, [few, many]) in ["client", "server"].into_iter().zip(&peaks) {
            let workload = format!("peak memory, W2, {}, {end}", sizes[1]);
            let found = Found {
                ours: format!("{:.1} MB", median(many)),
                theirs: format!("{:.1} MB", median(few)),
                ratio: ratio(many, few),
            };
            let against = format!("W2 at {}", sizes[0]);
            self.checks.measured(&workload, &against, Bound::AtMost(MEMORY_GROWTH), found);
        }
        Ok(())
    }
}

/// The middle value of each round.
fn in_rounds(millis: &[f64]) -> Vec<f64> {
    millis.chunks(NOOPS).map(median).collect()
}

/// The middle one of the rounds' ratios.
fn ratio(more: &[f64], less: &[f64]) -> f64 {
    median(&more.iter().zip(less).map(|(more, less)| more / less).collect::<Vec<_>>())
}

/// The bytes of an item's fields, on average over the first items: texts as they are, numbers as eight bytes.
fn raw_bytes(count: u64) -> f64 {
    let of = |item: &Item| (item.id.len() + item.name.len() + item.description.len() + 2 * 8) as u64;
    per(make_many::<Item>(0, count).iter().map(of).sum(), count)
}
