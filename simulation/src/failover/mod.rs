//! The server of a database dies for good, and its standby takes its place, while devices go on.

mod address;
mod device;
mod pair;

use std::collections::BTreeSet;
use std::time::Duration;

use fastsync_core::{LastWriterWins, Repository, Server, Store, SyncContext, SyncManager, Zone, ZoneAccess};
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::postgres::PgPoolOptions;

use address::Address;
use device::{Device, Entry, ids};
use pair::{Pair, Standby};

use crate::counts::Counts;
use crate::pace::Pace;
use crate::random::Seeded;
use crate::text;

/// The name of the proof.
pub const PROOF: &str = "failover";

const DEVICES: usize = 4;

/// How many synchronisations each device must have made in each part of a round.
const ENOUGH: u64 = 4;

/// How long a part of a round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What must have happened in so many rounds of either sort.
#[must_use]
pub fn minimum(rounds: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("primaries killed", rounds),
        ("synchronisations that a kill or the time without a primary cut off", rounds),
        ("objects acknowledged", rounds * DEVICES as u64 * ENOUGH * 2),
        ("acknowledged objects that an asynchronous standby lacked", rounds / 2),
        ("devices told to start over", rounds / 2),
        ("objects sent again", rounds / 2),
    ]
}

/// Why the proof cannot be run here.
#[must_use]
pub fn missing() -> Option<String> {
    pair::missing()
}

/// Rounds with a synchronous and with an asynchronous standby in turn.
///
/// # Errors
/// What does not hold.
pub async fn run(seed: u64, pace: &Pace) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut round = 0;
    while pace.goes_on(round, &counts) || round % 2 == 1 {
        let standby = if round % 2 == 0 { Standby::Synchronous } else { Standby::Asynchronous };
        let random = Seeded::stream(seed, round);
        let happened = one(standby, &random).await.map_err(|problem| format!("{standby:?}: {problem}"))?;
        counts.merge(&happened);
        round += 1;
    }
    Ok(counts)
}

async fn one(standby: Standby, random: &Seeded) -> Result<Counts, String> {
    let mut pair = Pair::start(standby).await?;
    let address = Address::of(pair.primary.port).await?;
    let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(5));
    let source =
        PostgresDataSource::new(pool.connect_lazy_with(pair::options(address.port))).await.map_err(text)?;
    let store = Store::server(source).sync::<Entry>(LastWriterWins).open().await.map_err(text)?;
    let server = server(&store).await?;
    let entries = Repository::<Entry>::new(&store);

    let mut devices = Vec::new();
    for name in 0..DEVICES {
        devices.push(Device::new(name, &server).await?);
    }
    devices = work(devices, ENOUGH).await?;
    if standby == Standby::Asynchronous {
        pair.part().await?;
        devices = work(devices, ENOUGH).await?;
    }
    // Devices go on while the primary is killed at some moment, while there is none, and when there is another.
    let before: Vec<_> = devices.iter().map(|device| device.successes).collect();
    let going_on = tokio::spawn(work_past_an_outage(devices));
    tokio::time::sleep(Duration::from_millis(random.below(400))).await;
    pair.kill_primary().await?;
    pair.promote().await?;
    address.moves_to(pair.standby.port);
    let mut devices = going_on.await.map_err(text)??;
    if devices.iter().zip(before).any(|(device, before)| device.successes == before) {
        return Err("a device never came back".to_owned());
    }

    let mut counts = Counts::default();
    counts.note("primaries killed");
    let mut acknowledged = BTreeSet::new();
    for device in &devices {
        acknowledged.extend(device.acknowledged.iter().cloned());
        counts.add("synchronisations that a kill or the time without a primary cut off", device.failures);
        counts.add("devices told to start over", u64::from(device.resets > 0));
    }
    counts.add("objects acknowledged", acknowledged.len() as u64);
    // Once more, so that each has seen what all the others pushed.
    for device in &mut devices {
        device.synchronise().await?;
    }
    let found = ids(&entries).await?;
    let lost: BTreeSet<_> = acknowledged.difference(&found).cloned().collect();
    match standby {
        Standby::Synchronous => nothing_lost(&devices, &lost).await?,
        Standby::Asynchronous => {
            counts.add("acknowledged objects that an asynchronous standby lacked", lost.len() as u64);
            all_told(&devices, &found, &lost).await?;
            for device in &mut devices {
                counts.add("objects sent again", device.send_forgotten().await?);
                device.synchronise().await?;
            }
        }
    }
    for device in &mut devices {
        device.synchronise().await?;
    }
    equal(&devices, &entries, &acknowledged).await?;
    pair.end().await?;
    Ok(counts)
}

async fn server(store: &Store) -> Result<SyncManager<Server>, String> {
    let zones = |_: &SyncContext| ZoneAccess::none().read_write(Zone::Global);
    SyncManager::server(store).zones(zones).build().await.map_err(text)
}

/// All devices at once, until each has synchronised so many times more.
async fn work(devices: Vec<Device>, times: u64) -> Result<Vec<Device>, String> {
    each(devices, false, times).await
}

/// The same until each has failed for want of a primary, and has synchronised enough times after that.
async fn work_past_an_outage(devices: Vec<Device>) -> Result<Vec<Device>, String> {
    each(devices, true, ENOUGH).await
}

async fn each(devices: Vec<Device>, must_fail: bool, times: u64) -> Result<Vec<Device>, String> {
    let tasks: Vec<_> = devices
        .into_iter()
        .map(|mut device| {
            tokio::spawn(async move {
                let failures = device.failures;
                // From the beginning, or from the last failure.
                let mut since = device.successes;
                while device.successes < since + times || (must_fail && device.failures == failures) {
                    if !device.step().await? {
                        since = device.successes;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                Ok::<_, String>(device)
            })
        })
        .collect();
    let mut devices = Vec::new();
    for task in tasks {
        let ended = tokio::time::timeout(PATIENCE, task).await;
        devices.push(
            ended.map_err(|_| format!("a device does not go on within {PATIENCE:?}"))?.map_err(text)??,
        );
    }
    Ok(devices)
}

/// What a synchronous standby must come to.
async fn nothing_lost(devices: &[Device], lost: &BTreeSet<String>) -> Result<(), String> {
    if !lost.is_empty() {
        return Err(format!("acknowledged and lost: {lost:?}"));
    }
    for device in devices {
        let forgotten = device.forgotten().await?;
        if !forgotten.is_empty() || device.resets > 0 {
            return Err(format!("a device was told of a loss that is none: {forgotten:?}"));
        }
    }
    Ok(())
}

/// What one that lagged must come to: whatever a device holds and the server lacks, the device knows of.
async fn all_told(
    devices: &[Device],
    found: &BTreeSet<String>,
    lost: &BTreeSet<String>,
) -> Result<(), String> {
    let mut told = BTreeSet::new();
    for device in devices {
        let forgotten = device.forgotten().await?;
        let held = device.ids().await?;
        let untold: Vec<_> = held.difference(found).filter(|id| !forgotten.contains(*id)).collect();
        if !untold.is_empty() {
            return Err(format!("a device holds what the server lacks, and was not told: {untold:?}"));
        }
        told.extend(forgotten);
    }
    let silent: Vec<_> = lost.difference(&told).collect();
    if silent.is_empty() {
        Ok(())
    } else {
        Err(format!("acknowledged, lost, and told to nobody: {silent:?}"))
    }
}

/// Everyone holds the same, and everything that was ever acknowledged.
async fn equal(
    devices: &[Device],
    entries: &Repository<Entry>,
    acknowledged: &BTreeSet<String>,
) -> Result<(), String> {
    let found = ids(entries).await?;
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    if !lost.is_empty() {
        return Err(format!("acknowledged and not there at the end: {lost:?}"));
    }
    for device in devices {
        let held = device.ids().await?;
        if held != found {
            let differ: Vec<_> = held.symmetric_difference(&found).collect();
            return Err(format!("a device and the server differ in {differ:?}"));
        }
    }
    Ok(())
}
