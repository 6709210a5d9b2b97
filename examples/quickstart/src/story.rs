//! The story, step by step.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use fastsync_core::{Client, Random, SyncManager, SyncableRepositoryExt, SystemRandom};
use indicatif::HumanCount;

use crate::events::Event;
use crate::other_client::{self, KillWhile};
use crate::processes::Process;
use crate::replica::{Remote, Replica};
use crate::screen::Screen;
use crate::storage::Storage;
use crate::{dataset, edits, server, telling, verify};

/// Where the three stores are.
struct Files {
    server: PathBuf,
    client_a: PathBuf,
    client_b: PathBuf,
    /// Removed when this is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Files {
    fn new(keep: Option<&Path>, clients: Storage, server: Storage) -> anyhow::Result<Self> {
        let (folder, temporary) = match keep {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let file = |name: &str, storage: Storage| {
            let path = storage.path(&folder, name);
            ensure!(
                !path.exists(),
                "{} is there already: choose another folder, or remove it",
                path.display()
            );
            Ok(path)
        };
        Ok(Self {
            server: file("server", server)?,
            client_a: file("client-a", clients)?,
            client_b: file("client-b", clients)?,
            _temporary: temporary,
        })
    }

    /// Those that anyone can look into with SQL.
    fn sqlite(&self) -> Vec<(&'static str, &Path)> {
        let all = [("server", &self.server), ("client A", &self.client_a), ("client B", &self.client_b)];
        let sqlite = all.into_iter().filter(|(_, path)| Storage::of(path) == Storage::Sqlite);
        sqlite.map(|(name, path)| (name, path.as_path())).collect()
    }
}

/// Does all of it; gives whether the three stores were equal at the end.
pub(crate) async fn tell(
    keep: Option<PathBuf>,
    clients: Storage,
    server: Storage,
    bars: bool,
) -> anyhow::Result<bool> {
    let screen = &Screen::new(bars);
    let files = Files::new(keep.as_deref(), clients, server)?;
    println!(
        "FastSync quickstart: two offline clients on {} and a server on {}, over HTTP.",
        clients.name(),
        server.name()
    );
    println!("Data: GeoNames (https://www.geonames.org), CC BY 4.0.");

    screen.heading("1. The server starts, in a process of its own");
    let (server, remote) = start_server(&files.server).await?;
    screen.say(format!("listening on {}, a bearer token made up for this run lets clients in", remote.url));

    screen.heading("2. Client A loads the data into its own store; no network is needed");
    let a = Replica::open(&files.client_a).await?;
    load(&a, screen).await?;

    screen.heading("3. Client A sends everything");
    let listening = screen.clone();
    let a_manager = a.manager(&remote, move |progress| listening.progress(progress.done, progress.total))?;
    let measuring = screen.begin("A sends everything");
    let pushed = a_manager.push().await?;
    measuring.end(pushed.applied);

    screen.heading("4. Client B, in another process, fetches everything");
    let measuring = screen.begin("B fetches everything");
    let first = other_client::sync(&files.client_b, &remote, screen, None).await?;
    measuring.end(first.changed);
    let server_memory = server.peak_memory();

    screen.heading("5. Both edit while they are offline");
    let measuring = screen.begin("B edits offline");
    let b_edited = other_client::edit(&files.client_b).await?;
    measuring.end(b_edited.count());
    let measuring = screen.begin("A edits offline");
    let a_edited = edits::by_client_a(&a).await?;
    measuring.end(a_edited.count());
    telling::edits(screen, &a_edited, &b_edited);

    screen.heading("6. Client A synchronises; client B does too, and its process is killed twice on the way");
    let measuring = screen.begin("A synchronises");
    let synced = a_manager.sync().await?;
    measuring.end(synced.push.applied + synced.pull.received);
    let measuring = screen.begin("B synchronises, in three runs");
    let mut changed = 0;
    let mut conflicts = Vec::new();
    for kill in [Some(KillWhile::Sending), Some(KillWhile::Receiving), None] {
        let run = other_client::sync(&files.client_b, &remote, screen, kill).await?;
        changed += run.changed;
        conflicts.extend(run.conflicts);
    }
    measuring.end(changed);

    screen.heading("7. Both synchronise until there is nothing left to do");
    let measuring = screen.begin("A and B synchronise until quiet");
    measuring.end(until_quiet(&a_manager, &files.client_b, &remote, screen).await?);
    telling::conflicts(screen, &a, &a_edited.renamed, &b_edited.renamed, &conflicts).await?;
    server.stop().await?;

    screen.heading("8. Are the three stores equal?");
    let equal = compare(&files, &a, screen).await?;

    if keep.is_some() {
        for (_, file) in files.sqlite() {
            verify::empty_log(file)?;
        }
    }

    screen.heading("Times");
    screen.print_times();
    telling::memory(screen, first.peak_memory, server_memory);
    telling::verdict(equal, keep.as_deref(), clients);
    Ok(equal)
}

async fn start_server(db: &Path) -> anyhow::Result<(Process, Remote)> {
    let token = format!("{:016x}{:016x}", SystemRandom.next_u64(), SystemRandom.next_u64());
    let mut server = Process::server(db, &token)?;
    match server.next().await? {
        Some(Event::Listening { url }) => Ok((server, Remote { url, token })),
        other => anyhow::bail!("the server did not start: {other:?}"),
    }
}

async fn load(a: &Replica, screen: &Screen) -> anyhow::Result<()> {
    const CITIES: u64 = 171_075;
    let measuring = screen.begin("A loads the data");
    let countries = dataset::countries()?;
    let regions = dataset::regions()?;
    a.add_all(&a.countries, &countries).await?;
    a.add_all(&a.regions, &regions).await?;
    let mut done = 0;
    // A local commit has a limit, as a push has: 10,000 records and 2 MiB unless the store is opened with another one.
    let most = a.store.limits().records;
    let mut cities = dataset::cities(&regions);
    loop {
        let some = cities.by_ref().take(most).collect::<anyhow::Result<Vec<_>>>()?;
        if some.is_empty() {
            break;
        }
        a.cities.add_many(&some).await?;
        done += some.len() as u64;
        screen.progress(done, Some(CITIES));
    }
    ensure!(done == CITIES, "the data has {done} cities, there should be {CITIES}");
    measuring.end(done + (countries.len() + regions.len()) as u64);
    Ok(())
}

/// Gives how many records were sent and received on the way.
async fn until_quiet(
    a: &SyncManager<Client>,
    b: &Path,
    remote: &Remote,
    screen: &Screen,
) -> anyhow::Result<u64> {
    const MOST: usize = 10;
    let mut all = 0;
    for round in 1..=MOST {
        let started = Instant::now();
        let report = a.sync().await?;
        let time = started.elapsed();
        let by_a = report.push.applied + report.pull.received;
        let by_b = other_client::sync(b, remote, screen, None).await?.changed;
        screen.say(format!("round {round}: A {} records, B {}", HumanCount(by_a), HumanCount(by_b)));
        if by_a + by_b == 0 {
            screen.say(format!("a sync with nothing to do took A {:.1} ms", time.as_secs_f64() * 1_000.0));
            return Ok(all);
        }
        all += by_a + by_b;
    }
    anyhow::bail!("there is still something to do after {MOST} rounds")
}

async fn compare(files: &Files, a: &Replica, screen: &Screen) -> anyhow::Result<bool> {
    let measuring = screen.begin("all three are read and compared");
    let b = Replica::open(&files.client_b).await?;
    let server = server::open(&files.server).await?;
    let objects = verify::compare_objects(&[server, a.store.clone(), b.store.clone()]).await?;
    let (names, sqlite): (Vec<_>, Vec<_>) = files.sqlite().into_iter().unzip();
    let tables = verify::compare_tables(&sqlite)?;
    measuring.end(objects.unwrap_or(0) * 3);

    match objects {
        Some(objects) => {
            screen.say(format!("through the library: equal, {} objects in each", HumanCount(objects)))
        }
        None => screen.say("through the library: THEY DIFFER"),
    }
    if names.is_empty() {
        return Ok(objects.is_some());
    }
    screen.say("with plain SQL, rows and a hash of all values:");
    let names = names.iter().map(|name| format!(" {name:>25}")).collect::<String>();
    screen.say(format!("   {:<10}{names}", "table"));
    for table in &tables {
        let contents = table.contents.iter().map(|content| {
            let rows = HumanCount(content.rows).to_string();
            format!(" {rows:>8} {:016x}", content.hash)
        });
        let verdict = if table.equal() { "equal" } else { "DIFFERENT" };
        screen.say(format!("   {:<10}{}  {verdict}", table.table, contents.collect::<String>()));
    }
    Ok(objects.is_some() && tables.iter().all(verify::Comparison::equal))
}
