//! A process that is killed while it migrates its store.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastsync_core::source::SyncableDataSourceExt as _;
use fastsync_core::{Migration, Repository, Result, Store, SyncableObject, SyncableRepositoryExt};
use simulation::storage::OnDisk;

mod first {
    use fastsync_core::SyncableObject;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "accounts")]
    pub(super) struct Account {
        #[syncable(id)]
        pub(super) id: i64,
        pub(super) owner: String,
        pub(super) euros: i64,
    }
}

/// Cents in place of euros, under the same name: who migrates an account twice makes it a hundred times richer.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "accounts", version = 2)]
struct Account {
    #[syncable(id)]
    id: i64,
    owner: String,
    euros: i64,
}

const ACCOUNTS: i64 = 4_000;

/// Tells this program that it is the process to be killed: where the store is.
const JOB: &str = "FASTSYNC_MIGRATE";

async fn migrate(kind: OnDisk, place: &Path) -> Result<Store> {
    let cents = Migration::to(2, |account| {
        let euros: i64 = account.get("euros")?;
        account.set("euros", euros * 100)
    });
    let source = kind.open(place)?;
    Store::client(source).register::<Account>().migrate::<Account>(cents).open().await
}

/// The store as the first release leaves it, with every edit waiting.
async fn fill(kind: OnDisk, place: &Path) {
    let store = Store::client(kind.open(place).unwrap()).register::<first::Account>().open().await.unwrap();
    let account = |id| first::Account { id, owner: format!("owner {id}"), euros: id };
    let accounts: Vec<_> = (0..ACCOUNTS).map(account).collect();
    Repository::new(&store).add_many(&accounts).await.unwrap();
}

/// Kills processes at later and later moments of a migration until one ends by itself.
async fn kill_while_it_migrates(kind: OnDisk, test: &str) {
    if let Some(place) = std::env::var_os(JOB) {
        migrate(kind, Path::new(&place)).await.unwrap();
        std::process::exit(0);
    }
    let mut killed = 0;
    // Short steps where a migration takes a few milliseconds, and not too many of them on a slow disk.
    for delay in (0..).map(|n: u32| Duration::from_millis(2) * (n * n)) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("store");
        fill(kind, &place).await;
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(JOB, &place)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(delay);
        let ended = process.try_wait().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        let store = migrate(kind, &place).await.unwrap();
        let accounts = Repository::<Account>::new(&store).get_all().await.unwrap();
        assert_eq!(accounts.len(), usize::try_from(ACCOUNTS).unwrap());
        for account in accounts {
            assert_eq!(account.euros, account.id * 100, "killed after {delay:?}");
        }
        assert_eq!(store.source().count_pending().await.unwrap(), ACCOUNTS.unsigned_abs());
        match ended {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => killed += 1,
        }
    }
    assert!(killed > 3, "the migration is too short to be killed in");
}

/// Fails if a migration leaves records of both releases behind, begins anew with what it has converted, or loses an edit.
#[tokio::test]
async fn a_migration_that_is_killed_is_whole_or_not_begun_on_sqlite() {
    kill_while_it_migrates(
        OnDisk::Sqlite,
        "migrations::a_migration_that_is_killed_is_whole_or_not_begun_on_sqlite",
    )
    .await;
}

#[tokio::test]
async fn a_migration_that_is_killed_is_whole_or_not_begun_on_sled() {
    kill_while_it_migrates(
        OnDisk::Sled,
        "migrations::a_migration_that_is_killed_is_whole_or_not_begun_on_sled",
    )
    .await;
}

#[tokio::test]
async fn a_migration_that_is_killed_is_whole_or_not_begun_on_redb() {
    kill_while_it_migrates(
        OnDisk::Redb,
        "migrations::a_migration_that_is_killed_is_whole_or_not_begun_on_redb",
    )
    .await;
}
