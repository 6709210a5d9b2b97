//! One round of each side: fill, push, pull, and a look at whether everything arrived.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use benches::contents::Contents;
use benches::encoding::Encoding;
use benches::http::runtime;
use benches::ours::PER_SESSION;
use benches::process::{Server, Usage, run};
use benches::records::Shape;
use benches::role::{Records, Role, Side, Task, Took};
use benches::scratch::Scratch;
use benches::stats::{median, per};
use benches::stores::StoreKind;
use benches::wire::Counter;

/// How a round is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) scratch: &'a Scratch,
    /// What the clients and the server are on.
    pub(crate) stores: (StoreKind, StoreKind),
    pub(crate) count: u64,
    pub(crate) workers: usize,
    /// How ours writes bodies.
    pub(crate) encoding: Option<Encoding>,
}

/// A push or a pull.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) client: Took,
    pub(crate) server: Usage,
    /// Bytes sent and received by the client, where they are counted.
    bytes: (u64, u64),
}

/// A push to an empty server and a pull into an empty client.
#[derive(Debug)]
pub(crate) struct Round {
    /// Only ours has a local store to add to.
    pub(crate) add_seconds: Option<f64>,
    pub(crate) push: Phase,
    pub(crate) pull: Phase,
}

/// Which part of a round.
pub(crate) type Pick = fn(&Round) -> &Phase;

/// Bytes per record, sent and received by the client.
#[derive(Debug)]
pub(crate) struct OnWire {
    pub(crate) push: (f64, f64),
    pub(crate) pull: (f64, f64),
}

/// Rounds of ours and of the floor, which took turns.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<Round>,
    pub(crate) floor: Vec<Round>,
}

impl Rounds {
    /// One more round of each.
    pub(crate) fn add(&mut self, bench: &Bench<'_>) -> Result<()> {
        // Whatever the machine does meanwhile meets both, and neither always goes first.
        let ours_first = self.ours.len().is_multiple_of(2);
        for side in if ours_first { [Side::Ours, Side::Floor] } else { [Side::Floor, Side::Ours] } {
            let round = bench.round(side, false)?;
            match side {
                Side::Ours => self.ours.push(round),
                Side::Floor => self.floor.push(round),
            }
        }
        Ok(())
    }

    /// The middle one of the rounds' ratios: both sides of a ratio were measured one after the other.
    pub(crate) fn ratio(&self, pick: Pick) -> f64 {
        let ratios = self.ours.iter().zip(&self.floor);
        let ratios = ratios.map(|(ours, floor)| pick(floor).client.seconds / pick(ours).client.seconds);
        median(&ratios.collect::<Vec<_>>())
    }
}

/// The middle one of the rounds' times.
pub(crate) fn seconds(rounds: &[Round], pick: Pick) -> f64 {
    median(&rounds.iter().map(|round| pick(round).client.seconds).collect::<Vec<_>>())
}

impl Bench<'_> {
    /// The bytes on the wire, in a round of its own: counting them takes time.
    pub(crate) fn on_wire(&self, side: Side) -> Result<OnWire> {
        let round = self.round(side, true)?;
        let each = |phase: &Phase| (per(phase.bytes.0, self.count), per(phase.bytes.1, self.count));
        Ok(OnWire { push: each(&round.push), pull: each(&round.pull) })
    }

    /// A round of one side, in stores that are removed at its end.
    pub(crate) fn round(&self, side: Side, counting: bool) -> Result<Round> {
        let (on_client, on_server) = self.stores;
        let pusher = self.end(side, on_client, "pusher");
        let server = self.end(side, on_server, "server");
        let puller = self.end(side, on_client, "puller");
        let count = self.count;
        let add_seconds = match side {
            Side::Ours => {
                let records = Records { first: 0, count, per_session: PER_SESSION };
                Some(run::<Took>(&pusher(Task::FillClient(records)))?.seconds)
            }
            Side::Floor => None,
        };
        let push = phase(&server(Task::Serve), counting, |port| pusher(Task::Push { port, count }))?;
        let pull = phase(&server(Task::Serve), counting, |port| puller(Task::Pull { port, count }))?;
        let mut ends =
            vec![(on_server, self.scratch.path("server")), (on_client, self.scratch.path("puller"))];
        if side == Side::Ours {
            ends.push((on_client, self.scratch.path("pusher")));
        }
        runtime(0)?.block_on(self.check_and_remove(side, &ends))?;
        Ok(Round { add_seconds, push, pull })
    }

    fn end(&self, side: Side, store: StoreKind, name: &str) -> impl Fn(Task) -> Role {
        let database = self.scratch.path(name);
        let (workers, encoding) = (self.workers, self.encoding);
        move |task| Role {
            task,
            side,
            store,
            shape: Shape::Items,
            database: database.clone(),
            workers,
            encoding,
        }
    }

    /// Every record must be at every end, with every value.
    async fn check_and_remove(&self, side: Side, ends: &[(StoreKind, PathBuf)]) -> Result<()> {
        let expected = Contents::expected(self.count);
        for (kind, place) in ends {
            let found = Contents::of_items(side, *kind, place).await?;
            let (rows, name) = (found.rows, kind.name());
            ensure!(found == expected, "{side:?}, {name}: {rows} rows of {}, or other values", self.count);
        }
        for (kind, place) in ends {
            kind.remove(place).await?;
        }
        Ok(())
    }
}

/// Runs a client against a server that was started for it.
fn phase(server: &Role, counting: bool, client: impl FnOnce(u16) -> Role) -> Result<Phase> {
    let server = Server::start(server)?;
    let counter = counting.then(|| Counter::start(server.port())).transpose()?;
    let port = counter.as_ref().map_or(server.port(), Counter::port);
    let took = run(&client(port))?;
    let bytes = counter.map(|counter| counter.bytes()).unwrap_or_default();
    let usage = server.usage();
    server.stop()?;
    Ok(Phase { client: took, server: usage, bytes })
}
