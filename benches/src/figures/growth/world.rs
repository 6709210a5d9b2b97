//! A server with a history, and what it costs to read its end and to add to it.

use anyhow::{Context, Result, bail, ensure};
use benches::ours;
use benches::records::Item;
use benches::scratch::Scratch;
use benches::stores::StoreKind;
use benches::time::{now, since};
use fastsync_core::protocol::{PullReply, PullRequest};
use fastsync_core::{Client, MemoryDataSource, Store, SyncContext, SyncHandler, SyncManager};

use super::watched::Watched;

/// Records of a session.
pub(super) const PER_SESSION: u64 = 5;

/// Sessions of the page that is read, the last ones.
const LAST: u64 = 10;

/// Records of that page.
pub(super) const PAGE: u64 = LAST * PER_SESSION;

/// A server with a history, a reader of it and one of its devices.
pub(super) struct World {
    pub(super) sessions: u64,
    pub(super) devices: u64,
    server: Watched,
    /// A reader's request for the last sessions, and its next one, for which there is nothing.
    requests: (PullRequest, PullRequest),
    device: Device,
    /// The number of the next new record.
    next: u64,
    pub(super) pages: Vec<f64>,
    pub(super) empty: Vec<f64>,
    pub(super) commits: Vec<f64>,
}

/// A client, in memory: what it costs is not looked at.
struct Device {
    store: Store,
    client: SyncManager<Client>,
}

impl Device {
    async fn new(server: &Watched) -> Result<Self> {
        let store = Store::client(MemoryDataSource::new()).register::<Item>().open().await?;
        let client = ours::client_of::<Item>(&store, server.clone())?;
        Ok(Self { store, client })
    }

    /// Makes a session of new records and pushes it.
    async fn push(&self, first: u64) -> Result<()> {
        ours::fill::<Item>(&self.store, first, PER_SESSION, PER_SESSION).await?;
        let report = self.client.push().await?;
        ensure!((report.sessions, report.applied) == (1, PER_SESSION), "not one session: {report:?}");
        Ok(())
    }
}

impl World {
    /// Makes so many sessions, by so many devices in turn.
    pub(super) async fn make(scratch: &Scratch, sessions: u64, devices: u64) -> Result<Self> {
        let place = scratch.path(&format!("growth-{sessions}-{devices}.db"));
        let store = ours::server_store::<Item>(StoreKind::Sqlite, &place).await?;
        let server = Watched::new(ours::server::<Item>(&store).await?);
        let reader = Device::new(&server).await?;
        let mut pushers = Vec::new();
        for _ in 0..devices {
            pushers.push(Device::new(&server).await?);
        }
        for (session, device) in (0..sessions).zip((0..pushers.len()).cycle()) {
            if session + LAST == sessions {
                ours::pull(&reader.client, session * PER_SESSION).await?;
            }
            let pusher = pushers.get(device).context("no device")?;
            pusher.push(session * PER_SESSION).await?;
        }
        let mut requests = Vec::new();
        for new in [PAGE, 0] {
            ours::pull(&reader.client, new).await?;
            requests.push(server.last_pull().context("no pull came")?);
        }
        let (Some(empty), Some(page)) = (requests.pop(), requests.pop()) else { bail!("no requests") };
        let device = pushers.pop().context("no device")?;
        Ok(Self {
            sessions,
            devices,
            server,
            requests: (page, empty),
            device,
            next: sessions * PER_SESSION,
            pages: Vec::new(),
            empty: Vec::new(),
            commits: Vec::new(),
        })
    }

    /// Asks the server for the last sessions, and for what comes after them.
    pub(super) async fn read(&mut self) -> Result<()> {
        let (page, empty) = self.requests.clone();
        let (pages, nothing) = (self.ask(page, PAGE).await?, self.ask(empty, 0).await?);
        self.pages.push(pages);
        self.empty.push(nothing);
        Ok(())
    }

    /// The milliseconds until the server has answered.
    async fn ask(&self, request: PullRequest, expected: u64) -> Result<f64> {
        let start = now();
        let reply = self.server.process_pull(&SyncContext::new(ours::USER), request).await?;
        let millis = since(start) * 1e3;
        let PullReply::Page(page) = reply else { bail!("a reader is told to start over") };
        ensure!(page.payload.len() as u64 == expected, "{} of {expected} records came", page.payload.len());
        Ok(millis)
    }

    /// Pushes one more session.
    pub(super) async fn commit(&mut self) -> Result<()> {
        self.device.push(self.next).await?;
        self.next += PER_SESSION;
        self.commits.push(self.server.push_millis());
        Ok(())
    }
}
