//! The workloads W1 to W5 on each pair of data sources, over HTTP, durable at both ends, and the floor beside; push and pull
//! of a second shape of records on SQLite.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use benches::contents::Contents;
use benches::http::runtime;
use benches::ours::PER_SESSION;
use benches::process::{Server, run};
use benches::records::{City, Shape};
use benches::report::{Report, Table, megabytes, or_na, thousands};
use benches::role::{Records, Role, Side, Task, Took};
use benches::scratch::Scratch;
use benches::settings::Settings;
use benches::stats::{median, rate};
use benches::stores::{StoreKind, server_versions};
use benches::workload::{Workload, nth};
use serde_json::{Value, json};

use super::rounds::Bench as OnWire;

/// Records that are changed where two clients are in step.
const CHANGED: u64 = 100;

/// Clients that push and pull at once, and the records of each.
const CROWD: u64 = 16;
const EACH: u64 = 1_000;

/// The records that the bytes on the wire are counted with, which are the same whatever the stores are.
const COUNTED: u64 = 10_000;

/// Client and server.
const PAIRS: [(StoreKind, StoreKind); 6] = [
    (StoreKind::Sqlite, StoreKind::Sqlite),
    (StoreKind::Redb, StoreKind::Redb),
    (StoreKind::Sled, StoreKind::Sled),
    (StoreKind::Sqlite, StoreKind::Mysql),
    (StoreKind::Sqlite, StoreKind::Postgres),
    (StoreKind::Sqlite, StoreKind::Mongo),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// One line of the results.
struct Line {
    pair: String,
    workload: &'static str,
    n: u64,
    seconds: Vec<f64>,
    /// Peaks of client and server in bytes.
    peaks: (u64, u64),
    /// Seconds of processor time of client and server; that of a database's own process is in neither.
    cpu: Vec<(f64, f64)>,
    /// Bytes per record, both ways.
    wire: Option<f64>,
}

impl Line {
    /// Records per second for the bulk workloads, milliseconds for the others.
    fn figure(&self) -> (f64, &'static str) {
        let seconds = median(&self.seconds);
        match self.workload {
            "W1" | "W2" => (rate(self.n, seconds), "records/s"),
            "W5 push" => (rate(CROWD * EACH, seconds), "records/s"),
            "W5 pull" => (rate(CROWD * (CROWD - 1) * EACH, seconds), "records/s"),
            _ => (seconds * 1e3, "ms"),
        }
    }

    /// Of client and server; none where the system does not tell.
    fn cpu(&self) -> (Option<f64>, Option<f64>) {
        let middle = |of: fn(&(f64, f64)) -> f64| {
            (!self.cpu.is_empty()).then(|| median(&self.cpu.iter().map(of).collect::<Vec<_>>()))
        };
        (middle(|cpu| cpu.0), middle(|cpu| cpu.1))
    }

    fn json(&self) -> Value {
        let (value, unit) = self.figure();
        let (client_cpu, server_cpu) = self.cpu();
        json!({
            "pair": self.pair, "workload": self.workload, "n": self.n, "value": value, "unit": unit,
            "seconds": self.seconds, "client_rss_mb": megabytes(self.peaks.0), "server_rss_mb": megabytes(self.peaks.1),
            "client_cpu_s": client_cpu, "server_cpu_s": server_cpu, "wire_bytes_per_record": self.wire,
        })
    }
}

pub(crate) fn figure(args: &Args) -> Result<ExitCode> {
    let scratch = Scratch::new(args.settings.dir.as_deref())?;
    let (rounds, sizes): (usize, &[u64]) =
        args.settings.of((1, &[1_000, 10_000]), (5, &[1_000, 10_000, 100_000]));
    let sync_millis = scratch.sync_millis()?;
    println!("{rounds} rounds, pairs in turn; 4 KiB reach this disk in {sync_millis:.2} ms\n");
    let mut bench = Bench { scratch: &scratch, workers: args.settings.workers, runs: 0, lines: Vec::new() };
    for _ in 0..rounds {
        for (client, server) in PAIRS {
            match server.missing() {
                Some(why) => println!("SKIPPED: a server on {}: {why}", server.name()),
                None => {
                    for &n in sizes {
                        bench.floor(client, server, n)?;
                    }
                    bench.pair(client, server, sizes)?;
                }
            }
        }
        bench.cities(sizes)?;
    }
    bench.wire()?;
    let mut report = Report::new(
        "workloads",
        json!({ "rounds": rounds, "synchronous": "full", "workers": args.settings.workers, "fdatasync_ms": sync_millis,
            "servers": runtime(0)?.block_on(server_versions())? }),
    );
    let mut table = Table::new(&[
        "client - server, workload",
        "n",
        "median",
        "unit",
        "client MB",
        "server MB",
        "client CPU s",
        "server CPU s",
        "bytes/record",
    ]);
    for line in &bench.lines {
        let (value, unit) = line.figure();
        let value = if unit == "ms" { format!("{value:.2}") } else { thousands(value) };
        let [client, server] = [line.peaks.0, line.peaks.1].map(|peak| format!("{:.0}", megabytes(peak)));
        let (client_cpu, server_cpu) = line.cpu();
        let [client_cpu, server_cpu] =
            [client_cpu, server_cpu].map(|seconds| or_na(seconds.map(|seconds| format!("{seconds:.2}"))));
        let wire = line.wire.map(|bytes| format!("{bytes:.0}")).unwrap_or_default();
        let what = format!("{}, {}", line.pair, line.workload);
        let unit = unit.to_owned();
        table.row([what, line.n.to_string(), value, unit, client, server, client_cpu, server_cpu, wire]);
    }
    table.print();
    report.figure("lines", bench.lines.iter().map(Line::json).collect::<Vec<_>>());
    Ok(report.finish())
}

struct Bench<'a> {
    scratch: &'a Scratch,
    workers: usize,
    /// So that no two runs share a store.
    runs: usize,
    lines: Vec<Line>,
}

/// One end of a run.
#[derive(Debug, Clone)]
struct End {
    side: Side,
    store: StoreKind,
    shape: Shape,
    place: PathBuf,
}

impl Bench<'_> {
    fn end(&mut self, side: Side, store: StoreKind, name: &str) -> End {
        self.runs += 1;
        End { side, store, shape: Shape::Items, place: self.scratch.path(&format!("{name}-{}", self.runs)) }
    }

    fn role(&self, end: &End, task: Task) -> Role {
        let End { side, store, shape, place } = end.clone();
        Role { task, side, store, shape, database: place, workers: self.workers, encoding: None }
    }

    /// Runs a client against a server, and notes what it took.
    fn measure(
        &mut self,
        line: (&str, &'static str, u64),
        client: &End,
        task: Task,
        server: &Server,
    ) -> Result<()> {
        let before = server.usage();
        let took: Took = run(&self.role(client, task))?;
        let after = server.usage();
        let (pair, workload, n) = line;
        let peaks = (took.peak_rss.unwrap_or_default(), after.peak_rss.unwrap_or_default());
        let served = after.cpu_seconds.zip(before.cpu_seconds).map(|(after, before)| after - before);
        let cpu = took.cpu_seconds.zip(served);
        let found =
            self.lines.iter_mut().find(|line| (&*line.pair, line.workload, line.n) == (pair, workload, n));
        match found {
            Some(line) => {
                line.seconds.push(took.seconds);
                line.peaks = (line.peaks.0.max(peaks.0), line.peaks.1.max(peaks.1));
                line.cpu.extend(cpu);
            }
            None => self.lines.push(Line {
                pair: pair.to_owned(),
                workload,
                n,
                seconds: vec![took.seconds],
                peaks,
                cpu: cpu.into_iter().collect(),
                wire: None,
            }),
        }
        Ok(())
    }

    /// The bytes on the wire of a push and a pull, noted with the lines of both sides.
    fn wire(&mut self) -> Result<()> {
        let stores = (StoreKind::Sqlite, StoreKind::Sqlite);
        let (scratch, workers) = (self.scratch, self.workers);
        let bench = OnWire { scratch, stores, count: COUNTED, workers, encoding: None };
        for side in [Side::Ours, Side::Floor] {
            let bytes = bench.on_wire(side)?;
            let is_of = |line: &&mut Line| line.pair.starts_with(FLOOR) == (side == Side::Floor);
            for line in self.lines.iter_mut().filter(|line| line.pair != CITIES).filter(is_of) {
                line.wire = match line.workload {
                    "W1" => Some(bytes.push.0 + bytes.push.1),
                    "W2" => Some(bytes.pull.0 + bytes.pull.1),
                    _ => None,
                };
            }
        }
        Ok(())
    }

    /// The hand-written loop, on the same stores.
    fn floor(&mut self, client: StoreKind, server: StoreKind, n: u64) -> Result<()> {
        let name = floor_of(server);
        let a = self.end(Side::Floor, client, "a");
        let b = self.end(Side::Floor, client, "b");
        let s = self.end(Side::Floor, server, "s");
        let server = Server::start(&self.role(&s, Task::Serve))?;
        let port = server.port();
        self.measure((&name, "W1", n), &a, Task::Push { port, count: n }, &server)?;
        self.measure((&name, "W2", n), &b, Task::Pull { port, count: n }, &server)?;
        server.stop()?;
        let ends = [b, s];
        ensure!(contents(&ends)?.iter().all(|end| *end == Contents::expected(n)), "{name} lost rows");
        self.remove(&ends)
    }

    fn pair(&mut self, client: StoreKind, server: StoreKind, sizes: &[u64]) -> Result<()> {
        let name = format!("{} - {}", client.name(), server.name());
        let largest = sizes.iter().copied().max().unwrap_or_default();
        for &n in sizes {
            let (a, b) = (self.end(Side::Ours, client, "a"), self.end(Side::Ours, client, "b"));
            let s = self.end(Side::Ours, server, "s");
            let records = Records { first: 0, count: n, per_session: PER_SESSION };
            run::<Took>(&self.role(&a, Task::FillClient(records)))?;
            let server = Server::start(&self.role(&s, Task::Serve))?;
            let port = server.port();
            self.measure((&name, "W1", n), &a, Task::Push { port, count: n }, &server)?;
            self.measure((&name, "W2", n), &b, Task::Pull { port, count: n }, &server)?;
            // A has pushed and not pulled yet: what comes after is about clients in step.
            run::<Took>(&self.role(&a, Task::Workload(Workload::Sync { port, count: 0 })))?;
            if n == largest {
                let change = Workload::Change { port, count: CHANGED };
                self.measure((&name, "W3 A", n), &a, Task::Workload(change), &server)?;
                let receive = Workload::Sync { port, count: CHANGED };
                self.measure((&name, "W3 B", n), &b, Task::Workload(receive), &server)?;
            }
            self.measure((&name, "W4", n), &a, Task::Workload(Workload::Noop { port }), &server)?;
            server.stop()?;
            let ends = [a, b, s];
            let found = contents(&ends)?;
            let same = found.iter().all(|end| end.rows == n && found.first() == Some(end));
            ensure!(same, "{name}: the ends differ");
            self.remove(&ends)?;
        }
        self.crowd(&name, client, server)
    }

    /// Push and pull of cities.
    fn cities(&mut self, sizes: &[u64]) -> Result<()> {
        for &n in sizes {
            let [a, b, s] = ["a", "b", "s"]
                .map(|name| End { shape: Shape::Cities, ..self.end(Side::Ours, StoreKind::Sqlite, name) });
            let records = Records { first: 0, count: n, per_session: PER_SESSION };
            run::<Took>(&self.role(&a, Task::FillClient(records)))?;
            let server = Server::start(&self.role(&s, Task::Serve))?;
            let port = server.port();
            self.measure((CITIES, "W1", n), &a, Task::Push { port, count: n }, &server)?;
            self.measure((CITIES, "W2", n), &b, Task::Pull { port, count: n }, &server)?;
            server.stop()?;
            let ends = [a, b, s];
            let found =
                ends.iter().map(|end| Contents::of::<City>(&end.place)).collect::<Result<Vec<_>>>()?;
            ensure!(found.iter().all(|end| end.rows == n && found.first() == Some(end)), "the cities differ");
            self.remove(&ends)?;
        }
        Ok(())
    }

    fn crowd(&mut self, name: &str, client: StoreKind, server: StoreKind) -> Result<()> {
        let (c, s) = (self.end(Side::Ours, client, "c"), self.end(Side::Ours, server, "s"));
        let server = Server::start(&self.role(&s, Task::Serve))?;
        let port = server.port();
        let push = Workload::CrowdPush { port, clients: CROWD, each: EACH };
        self.measure((name, "W5 push", CROWD * EACH), &c, Task::Workload(push), &server)?;
        let pull = Workload::CrowdPull { port, clients: CROWD, each: EACH };
        self.measure((name, "W5 pull", CROWD * EACH), &c, Task::Workload(pull), &server)?;
        server.stop()?;
        let crowd = (0..CROWD).map(|n| End { place: nth(&c.place, n), ..c.clone() });
        self.remove(&crowd.chain([s]).collect::<Vec<_>>())
    }

    fn remove(&self, ends: &[End]) -> Result<()> {
        runtime(0)?.block_on(async {
            for end in ends {
                end.store.remove(&end.place).await?;
            }
            Ok(())
        })
    }
}

const FLOOR: &str = "floor";

/// What the lines of the second shape are called.
const CITIES: &str = "SQLite - SQLite, cities";

/// What the floor on a server is called; without a name it is the one on SQLite.
fn floor_of(server: StoreKind) -> String {
    match server {
        StoreKind::Sqlite => FLOOR.to_owned(),
        other => format!("{FLOOR} {}", other.name()),
    }
}

/// What the ends of a run hold, once all are closed.
fn contents(ends: &[End]) -> Result<Vec<Contents>> {
    runtime(0)?.block_on(async {
        let mut found = Vec::new();
        for End { side, store, place, .. } in ends {
            found.push(Contents::of_items(*side, *store, place).await?);
        }
        Ok(found)
    })
}
