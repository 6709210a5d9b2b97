//! What a case is made of, and how cases are generated.
#![allow(missing_docs, reason = "the fields of the steps say what they are by their names")]

use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::Rule;
use crate::storage::{OnDisk, StorageKind};

/// A world and what happens in it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The world.
    pub setup: Setup,
    /// What happens in it, before the faults stop and everyone synchronises.
    pub steps: Vec<Step>,
}

/// A world.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What ids, tags and keys derive from.
    pub seed: u64,
    /// How conflicts are settled on both ends.
    pub rule: Rule,
    /// Whether one refused object keeps the rest of its session from being stored.
    pub atomic: bool,
    /// Where the server keeps its store; in memory if nowhere else.
    pub server: Option<StorageKind>,
    /// Where the clients keep theirs.
    pub clients: Option<OnDisk>,
    /// The most records of a client's session.
    pub session_records: usize,
    /// The most records of a pulled page.
    pub page_records: u32,
    /// Whether pages are cut by bytes too.
    pub tiny_pages: bool,
    /// The clocks of the server and of each client; as many clients as clocks but one.
    pub clocks: Vec<ClockSetup>,
}

/// How wrong a clock is.
#[derive(Debug, Clone, Copy)]
pub struct ClockSetup {
    /// Seconds ahead.
    pub offset: i32,
    /// Thousandths too fast.
    pub drift: i8,
}

/// Something that happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Step {
    /// A client edits.
    Edit { client: u8, edit: Edit },
    /// The server's application edits.
    ServerEdit { edit: Edit },
    /// A client synchronises.
    Sync { client: u8, how: How, calls: Vec<Call> },
    /// A client fetches types anew.
    HardReset { client: u8, types: u8, edits: u8, calls: Vec<Call> },
    /// A client drops the records of a type in a zone.
    HardDelete { client: u8, kind: u8, zone: u8 },
    /// The server forgets tombstones of a zone, up to so many sessions before its head.
    Purge { zone: u8, keep: u8 },
    /// A client's process ends and starts again.
    RestartClient { client: u8 },
    /// The server's process ends and starts again.
    RestartServer,
    /// A client's process ends and a later release starts.
    UpgradeClient { client: u8, to: Upgrade },
    /// The server's process ends and a later release starts.
    UpgradeServer { to: Upgrade },
    /// A request that was sent earlier, and perhaps never arrived, arrives (again).
    Replay { client: u8, which: u8 },
    /// A clock is set forward or back by so many seconds.
    ClockJump { node: u8, seconds: i16 },
    /// A client decides about its refused edits.
    Refused { client: u8, discard: bool },
}

/// What is later in a later release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// The application's types.
    Types,
    /// The protocol.
    Protocol,
}

/// What a client asks of its manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `push`
    Push,
    /// `pull`
    Pull,
    /// `sync`
    Sync,
}

/// A local edit.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Adds the object, or appends a token to it.
    Put { kind: u8, id: u8, zone: u8 },
    /// Removes the object if it is there.
    Remove { kind: u8, id: u8, zone: u8 },
    /// Writes one new counter to a shelf and an item, in one session.
    Pair { pair: u8 },
    /// Removes the shelf and the item of a pair, in one session.
    RemovePair { pair: u8 },
    /// Puts several objects of several types, in one session.
    Many { objects: Vec<(u8, u8, u8)> },
    /// Puts an item that the server refuses.
    Refused { id: u8 },
}

/// What the network does with one call of a client.
#[derive(Debug, Clone)]
pub enum Call {
    /// It goes through.
    Fine,
    /// The request is lost; a push may still arrive much later.
    LoseRequest,
    /// Something before the server refuses pushes of more records than so many.
    RefuseLarge { records: u8 },
    /// The answer is lost.
    LoseAnswer,
    /// The answer is an error, although the request is as it should be; it may have been processed all the same.
    Refuse { kind: u8, processed: bool },
    /// The request arrives twice.
    Twice,
    /// Meanwhile the client edits, before or after the server has looked.
    Meanwhile { edit: Edit, after: bool, yields: u8 },
    /// Before the request arrives, the server's application edits.
    ServerMeanwhile { edit: Edit },
    /// Before the request arrives, another client pushes.
    PushMeanwhile { client: u8 },
    /// Before the request arrives, a later release of the server starts.
    UpgradeMeanwhile { to: Upgrade },
}

/// Cases in memory, and a few with their stores elsewhere, with every data source that there is here at either end.
pub fn cases(disk_percent: u32) -> impl Strategy<Value = Case> {
    (setups(disk_percent), vec(steps(), 1..=200)).prop_map(|(setup, steps)| Case { setup, steps })
}

fn setups(disk_percent: u32) -> impl Strategy<Value = Setup> {
    let rule = prop_oneof![
        2 => Just(Rule::LastWriter),
        2 => Just(Rule::Timestamps),
        1 => Just(Rule::Server),
        4 => Just(Rule::Union),
    ];
    // What is not here is replaced, so that a case is the same world everywhere but for that.
    let here =
        |kind: StorageKind| if kind.missing().is_none() { kind } else { StorageKind::Disk(OnDisk::Sqlite) };
    let server = proptest::sample::select(StorageKind::ALL.to_vec()).prop_map(here);
    let clients = proptest::sample::select(OnDisk::ALL.to_vec());
    let stores =
        (0_u32..100, (server, clients)).prop_map(move |(at, kinds)| (at < disk_percent).then_some(kinds));
    let atomic = proptest::bool::weighted(0.7);
    (any::<u64>(), rule, atomic, stores, 4_usize..12, 1_u32..9, any::<bool>(), vec(clocks(), 4..=6)).prop_map(
        |(seed, rule, atomic, stores, session_records, page_records, tiny_pages, clocks)| Setup {
            seed,
            rule,
            atomic,
            server: stores.map(|(server, _)| server),
            clients: stores.map(|(_, clients)| clients),
            session_records,
            page_records,
            tiny_pages,
            clocks,
        },
    )
}

/// Mostly less than the five minutes that a server tolerates; some clocks are days behind.
fn clocks() -> impl Strategy<Value = ClockSetup> {
    let offset = prop_oneof![6 => -120..120, 1 => -172_800..-120, 1 => 120..270];
    (offset, -20_i8..20).prop_map(|(offset, drift)| ClockSetup { offset, drift })
}

fn steps() -> impl Strategy<Value = Step> {
    let client = any::<u8>;
    prop_oneof![
        30 => (client(), edits()).prop_map(|(client, edit)| Step::Edit { client, edit }),
        3 => edits().prop_map(|edit| Step::ServerEdit { edit }),
        22 => (client(), hows(), calls()).prop_map(|(client, how, calls)| Step::Sync { client, how, calls }),
        2 => (client(), any::<u8>(), any::<u8>(), calls())
            .prop_map(|(client, types, edits, calls)| Step::HardReset { client, types, edits, calls }),
        1 => (client(), any::<u8>(), any::<u8>())
            .prop_map(|(client, kind, zone)| Step::HardDelete { client, kind, zone }),
        2 => (any::<u8>(), 0_u8..6).prop_map(|(zone, keep)| Step::Purge { zone, keep }),
        2 => client().prop_map(|client| Step::RestartClient { client }),
        1 => Just(Step::RestartServer),
        2 => (client(), upgrades()).prop_map(|(client, to)| Step::UpgradeClient { client, to }),
        2 => upgrades().prop_map(|to| Step::UpgradeServer { to }),
        3 => (client(), any::<u8>()).prop_map(|(client, which)| Step::Replay { client, which }),
        1 => (any::<u8>(), -600_i16..150).prop_map(|(node, seconds)| Step::ClockJump { node, seconds }),
        1 => (client(), any::<bool>()).prop_map(|(client, discard)| Step::Refused { client, discard }),
    ]
}

fn upgrades() -> impl Strategy<Value = Upgrade> {
    prop_oneof![Just(Upgrade::Types), Just(Upgrade::Protocol)]
}

fn hows() -> impl Strategy<Value = How> {
    prop_oneof![2 => Just(How::Push), 2 => Just(How::Pull), 4 => Just(How::Sync)]
}

fn edits() -> impl Strategy<Value = Edit> {
    let byte = any::<u8>;
    prop_oneof![
        10 => (byte(), byte(), byte()).prop_map(|(kind, id, zone)| Edit::Put { kind, id, zone }),
        4 => (byte(), byte(), byte()).prop_map(|(kind, id, zone)| Edit::Remove { kind, id, zone }),
        4 => byte().prop_map(|pair| Edit::Pair { pair }),
        1 => byte().prop_map(|pair| Edit::RemovePair { pair }),
        2 => vec((byte(), byte(), byte()), 2..5).prop_map(|objects| Edit::Many { objects }),
        1 => byte().prop_map(|id| Edit::Refused { id }),
    ]
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        4 => Just(Call::Fine),
        1 => Just(Call::LoseRequest),
        1 => (0_u8..6).prop_map(|records| Call::RefuseLarge { records }),
        2 => Just(Call::LoseAnswer),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(kind, processed)| Call::Refuse { kind, processed }),
        1 => Just(Call::Twice),
        3 => (edits(), any::<bool>(), 0_u8..3)
            .prop_map(|(edit, after, yields)| Call::Meanwhile { edit, after, yields }),
        1 => edits().prop_map(|edit| Call::ServerMeanwhile { edit }),
        1 => any::<u8>().prop_map(|client| Call::PushMeanwhile { client }),
        2 => upgrades().prop_map(|to| Call::UpgradeMeanwhile { to }),
    ];
    prop_oneof![2 => Just(Vec::new()), 3 => vec(call, 1..5)]
}
