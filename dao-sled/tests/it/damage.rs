//! A damaged store is found out: opening or reading it is `Corrupt`, or nothing of it is other than it was. It can be
//! moved aside, and a client starts anew.

use std::path::{Path, PathBuf};

use fastsync_conformance::samples::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_sled::{SledConfig, SledDataSource, Synchronous};

/// Everything that can be read.
#[derive(Debug, PartialEq)]
struct Contents {
    found: Vec<Record>,
    page: ChangesPage,
    pending: Vec<Record>,
    sessions: Vec<SessionSummary>,
    state: Vec<(String, Vec<u8>)>,
}

async fn contents(source: &SledDataSource) -> Result<Contents> {
    let all =
        ChangesRequest { limits: PageLimits { records: 100_000, bytes: 1 << 30 }, ..request(&Zone::Global) };
    Ok(Contents {
        found: source.find(&Query::all(name("items"), Zone::Global)).await?.records,
        page: match source.changes(&all).await? {
            Changes::Page(page) => page,
            other => panic!("{other:?}"),
        },
        pending: source.pending_after(0, 100_000).await?,
        sessions: source.sessions_of(&Zone::Global, Position::START, 100_000).await?,
        state: source.entries("").await?,
    })
}

/// A store whose log has several segments, with rewritten and deleted records, closed properly or not.
async fn fill(path: &Path) -> Contents {
    let config = SledConfig::new(path).synchronous(Synchronous::Normal);
    let source = SledDataSource::open_with(&config).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    for round in 0..40 {
        let mut writes: Vec<_> = (0..100)
            .map(|n| {
                put(item(&format!("{:04}", (round * 37 + n * 7) % 900), &format!("round {round} ").repeat(9)))
            })
            .collect();
        writes.push(put(record("items", &Zone::Global, &format!("gone-{round}"), None)));
        let state = vec![StateWrite::set("round", Some(vec![u8::try_from(round).unwrap()]))];
        assert!(matches!(
            source.commit_alone(Commit { state, ..commit(writes) }).await.unwrap(),
            CommitOutcome::Applied(_)
        ));
    }
    let edit = item("0001", "edited");
    let edit = Write { action: Action::Put { record: edit, pending: true }, ..put(item("x", "x")) };
    source.commit_alone(Commit { positioned: false, ..commit(vec![edit]) }).await.unwrap();
    contents(&source).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn snapshot(store: &Path) -> PathBuf {
    let names = std::fs::read_dir(store.join("sled")).unwrap().map(|entry| entry.unwrap().path());
    let is_snapshot = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snap.");
    names.into_iter().find(is_snapshot).expect("sled writes a snapshot")
}

struct Original {
    folder: tempfile::TempDir,
    contents: Contents,
    copies: u64,
}

impl Original {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let contents = fill(&path).await;
        // Opened and closed once more, so that there is a snapshot and a log after it.
        let again = reopened(&path);
        assert_eq!(self::contents(&again).await.unwrap(), contents);
        drop(again);
        drop(reopened(&path));
        Self { folder, contents, copies: 0 }
    }

    fn copy(&mut self) -> PathBuf {
        self.copies += 1;
        let to = self.folder.path().join(format!("copy-{}", self.copies));
        copy(&self.folder.path().join("store"), &to);
        to
    }

    /// `true` if the damage was noticed, `false` if everything is there as it was.
    async fn is_noticed(&self, store: &Path) -> bool {
        let found = match SledDataSource::open(store) {
            Ok(source) => contents(&source).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                assert!(found == self.contents, "{} shows something else", store.display());
                false
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
                assert_eq!(error.backend(), Some("sled"));
                true
            }
        }
    }
}

/// A handle that was dropped may still be closing.
fn reopened(path: &Path) -> SledDataSource {
    let config = SledConfig::new(path).lock_timeout(std::time::Duration::from_secs(20));
    SledDataSource::open_with(&config).unwrap()
}

fn edit_file(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Repeatable places, well spread.
fn spread(n: u64, below: usize) -> usize {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)) % below as u64).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_log_is_noticed() {
    let mut original = Original::new().await;
    let length = std::fs::metadata(original.folder.path().join("store/sled/db")).unwrap().len();
    for kept in [0, 1, length / 4, length / 2, length - (512 << 10)] {
        let store = original.copy();
        edit_file(&store.join("sled/db"), |bytes| bytes.truncate(usize::try_from(kept).unwrap()));
        assert!(original.is_noticed(&store).await, "{kept} of {length} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_noticed_or_harmless() {
    const FLIPS: u64 = 150;
    let mut original = Original::new().await;
    let mut noticed = 0;
    for flip in 0..FLIPS {
        let store = original.copy();
        edit_file(&store.join("sled/db"), |bytes| {
            let at = spread(flip, bytes.len());
            bytes[at] ^= 1 << (flip % 8);
        });
        noticed += u64::from(original.is_noticed(&store).await);
        std::fs::remove_dir_all(store).unwrap();
    }
    // Much of a log is what was replaced since.
    assert!(noticed > FLIPS / 20, "{noticed} of {FLIPS} flips were noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_snapshot_is_noticed_or_harmless() {
    let mut original = Original::new().await;
    let store = original.copy();
    std::fs::remove_file(snapshot(&store)).unwrap();
    original.is_noticed(&store).await;
    let store = original.copy();
    edit_file(&snapshot(&store), Vec::clear);
    assert!(original.is_noticed(&store).await);
    for flip in 0..20 {
        let store = original.copy();
        edit_file(&snapshot(&store), |bytes| {
            let at = spread(flip, bytes.len());
            bytes[at] ^= 1 << (flip % 8);
        });
        original.is_noticed(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_files_are_noticed() {
    let mut original = Original::new().await;
    for missing in ["mark", "sled/db", "sled"] {
        let store = original.copy();
        let path = store.join(missing);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
        assert!(original.is_noticed(&store).await, "{missing}");
    }
    let store = original.copy();
    edit_file(&store.join("mark"), |bytes| bytes[3] ^= 4);
    assert!(original.is_noticed(&store).await);
    let store = original.copy();
    edit_file(&store.join("sled/conf"), |bytes| bytes.truncate(3));
    original.is_noticed(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_sleds_files_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let source = SledDataSource::open(&path).unwrap();
    source.prepare(&[items()], Preparation::Apply).await.unwrap();
    apply(&source, vec![put(item("a", "one"))]).await;
    drop(source);
    drop(reopened(&path));
    let source = reopened(&path);
    copy(&path.join("sled"), &folder.path().join("older"));
    apply(&source, vec![put(item("a", "two"))]).await;
    drop(source);
    drop(reopened(&path));
    std::fs::remove_dir_all(path.join("sled")).unwrap();
    copy(&folder.path().join("older"), &path.join("sled"));
    let error = SledDataSource::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("3 writes were acknowledged, 2 are there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_moved_aside_and_a_new_one_takes_its_place() {
    let mut original = Original::new().await;
    let store = original.copy();
    edit_file(&store.join("sled/db"), |bytes| bytes.truncate(bytes.len() / 2));
    let damaged = std::fs::read(store.join("sled/db")).unwrap();
    assert_eq!(SledDataSource::open(&store).unwrap_err().kind(), ErrorKind::Corrupt);

    let aside = SledDataSource::move_aside(&store).unwrap();
    assert_eq!(aside, store.with_extension("damaged"));
    // Opening it has let sled cut off what it could not read, and nothing else.
    let kept = std::fs::read(aside.join("sled/db")).unwrap();
    assert!(kept.len() >= damaged.len() / 2 && !store.exists());

    let new = SledDataSource::open(&store).unwrap();
    new.prepare(&[items()], Preparation::Apply).await.unwrap();
    assert_eq!(new.count(&Query::all(name("items"), Zone::Global)).await.unwrap(), 0);
    let error = SledDataSource::move_aside(&store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "a store that is open stays where it is");
    drop(new);
    drop(reopened(&store));
    // It closes in the background.
    let again = loop {
        match SledDataSource::move_aside(&store) {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(again, store.with_extension("damaged-2"));
    assert_eq!(SledDataSource::move_aside(&store).unwrap_err().kind(), ErrorKind::NotFound);
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: String,
    text: String,
}

impl SyncableObject for Row {
    fn schema() -> Result<TypeSchema> {
        TypeSchema::builder("rows", "id").field("text", FieldKind::Text).build()
    }

    fn id(&self) -> Result<ObjectId> {
        ObjectId::new(&self.id)
    }

    fn to_body(&self) -> Result<Vec<Value>> {
        Ok(vec![self.text.as_str().into()])
    }

    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
        let Some(Value::Text(text)) = body.into_iter().next() else {
            return Err(Error::new(ErrorKind::Corrupt, "decode", "no text"));
        };
        Ok(Self { id: id.as_str().to_owned(), text })
    }
}

async fn client(path: &Path, server: &SyncManager<Server>) -> (Repository<Row>, SyncManager<Client>) {
    let store = Store::client(reopened(path)).register::<Row>().open().await.unwrap();
    let rows = Repository::<Row>::new(&store);
    let manager = SyncManager::client(&store)
        .register(rows.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server.clone(), SyncContext::new("ann")))
        .build()
        .unwrap();
    (rows, manager)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_syncs_into_a_new_store_after_damage() {
    let folder = tempfile::tempdir().unwrap();
    let server = Store::server(MemoryDataSource::new()).register::<Row>().open().await.unwrap();
    let server = SyncManager::server(&server)
        .register(Repository::<Row>::new(&server), LastWriterWins)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
        .unwrap();
    let path = folder.path().join("store");
    let (rows, manager) = client(&path, &server).await;
    let written: Vec<_> =
        (0..300).map(|n| Row { id: format!("{n:03}"), text: format!("text {n}") }).collect();
    rows.add_many(&written).await.unwrap();
    manager.sync().await.unwrap();
    drop((rows, manager));
    drop(reopened(&path));
    drop(reopened(&path));

    edit_file(&path.join("sled/db"), |bytes| bytes.truncate(100));
    assert_eq!(SledDataSource::open(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    SledDataSource::move_aside(&path).unwrap();
    let (rows, manager) = client(&path, &server).await;
    let report = manager.sync().await.unwrap();
    assert_eq!(report.pull.received, 300);
    assert_eq!(rows.get_all().await.unwrap(), written);
    // The new store is a new device: it edits and pushes as the old one did.
    rows.update(&Row { text: "edited".into(), ..written[7].clone() }).await.unwrap();
    assert_eq!(manager.sync().await.unwrap().push.applied, 1);
}
