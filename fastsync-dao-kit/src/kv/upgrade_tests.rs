//! Rows of an earlier version. There is only one version yet, so the steps are made up.

use fastsync_core::source::upgrade::{UpgradeStep, Upgrades};
use fastsync_core::source::{PlannedChange, Preparation, StateWrite, SyncableDataSourceExt as _};
use fastsync_core::{ErrorKind, FieldKind, Query, Result, SyncableDataSource, TypeSchema, Zone};

use crate::kv::engine::View;
use crate::kv::fail::Fail;
use crate::kv::tests::{commit, items, open};
use crate::kv::toy::{Disk, Rows, Toy};
use crate::kv::upgrade::Upgrade;
use crate::kv::{KvDataSource, read};

/// Keys of no version, which the steps write.
const FIRST: &[u8] = b"1";
const SECOND: &[u8] = b"2";

const TO_2: UpgradeStep<Upgrade<Rows>> = UpgradeStep {
    from: 1,
    what: "write the first key",
    action: |draft| {
        draft.put(FIRST.to_vec(), b"done".to_vec());
        Ok(())
    },
};
const TO_3: UpgradeStep<Upgrade<Rows>> = UpgradeStep {
    from: 2,
    what: "give it another name",
    // Fails as long as there is such a state entry.
    action: |draft| match (draft.get(FIRST)?, read::state_entry(draft, "trip")?) {
        (_, Some(_)) => Err(Fail::corrupt("it trips")),
        (Some(value), None) => {
            draft.remove(FIRST.to_vec());
            draft.put(SECOND.to_vec(), value.as_ref().to_vec());
            Ok(())
        }
        (None, None) => Err(Fail::corrupt("the step before is not done")),
    },
};

/// A release that knows version 2, and the one after it.
const NEXT: Upgrades<Upgrade<Rows>> = Upgrades::new(&[TO_2]);
const LATER: Upgrades<Upgrade<Rows>> = Upgrades::new(&[TO_2, TO_3]);

fn open_as(disk: &Disk, upgrades: Upgrades<Upgrade<Rows>>) -> Result<KvDataSource<Toy>> {
    KvDataSource::open_as(2, || Ok(Toy::open(disk)), upgrades)
}

fn types() -> [TypeSchema; 1] {
    [TypeSchema::builder("items", "id").field("name", FieldKind::Text).build().unwrap()]
}

fn all() -> Query {
    Query::all(items(), Zone::Global)
}

#[tokio::test]
async fn rows_of_version_1_are_upgraded_by_prepare_and_by_nothing_else() {
    let disk = Disk::default();
    open(&disk).await.commit_alone(commit(1, 10)).await.unwrap();
    let source = open_as(&disk, LATER).unwrap();
    let steps: Vec<_> = [TO_2, TO_3].iter().map(UpgradeStep::planned).collect();
    for _ in 0..2 {
        assert_eq!(source.plan(&types()).await.unwrap(), steps);
        let errors = [
            source.count(&all()).await.map(drop),
            source.commit_alone(commit(2, 1)).await.map(drop),
            source.unstage(None).await,
        ];
        for error in errors.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains("`prepare` upgrades"), "{error}");
        }
    }
    // What contradicts is refused before anything is upgraded.
    let other = TypeSchema::builder("items", "id").field("name", FieldKind::Integer).build().unwrap();
    assert_eq!(source.prepare(&[other], Preparation::Apply).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(source.plan(&types()).await.unwrap(), steps);
    // Several tasks at once, as far as one handle has the store to itself.
    let types = types();
    let (a, b) =
        tokio::join!(source.prepare(&[], Preparation::Apply), source.prepare(&types, Preparation::Apply));
    a.and(b).unwrap();
    assert_eq!(source.plan(&types).await.unwrap(), []);
    assert_eq!(source.count(&all()).await.unwrap(), 10);
    source.commit_alone(commit(2, 1)).await.unwrap();
    drop(source);

    for release in [crate::kv::upgrade::upgrades(), NEXT] {
        let error = open_as(&disk, release).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("newer release"), "{error}");
    }
    let source = open_as(&disk, LATER).unwrap();
    assert_eq!(source.count(&all()).await.unwrap(), 11);
}

#[tokio::test]
async fn a_new_store_has_the_latest_version() {
    let disk = Disk::default();
    let source = open_as(&disk, LATER).unwrap();
    assert_eq!(source.plan(&types()).await.unwrap(), [PlannedChange::AddType { type_name: items() }]);
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    drop(source);
    assert_eq!(open_as(&disk, NEXT).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_upgrade_goes_on_where_a_step_failed() {
    let disk = Disk::default();
    let trip = |value| vec![StateWrite::set("trip", value)];
    let source = open(&disk).await;
    let mut first = commit(1, 10);
    first.state = trip(Some(vec![1]));
    source.commit_alone(first).await.unwrap();
    drop(source);
    for due in [vec![TO_2.planned(), TO_3.planned()], vec![TO_3.planned()]] {
        let source = open_as(&disk, LATER).unwrap();
        assert_eq!(source.plan(&types()).await.unwrap(), due);
        for _ in 0..2 {
            let error = source.prepare(&types(), Preparation::Apply).await.unwrap_err();
            assert!(error.message().contains("it trips"), "{error}");
            assert_eq!(source.plan(&types()).await.unwrap(), [TO_3.planned()], "the first step is done");
        }
        assert_eq!(source.count(&all()).await.unwrap_err().kind(), ErrorKind::Config);
    }
    // The release between works with what is there.
    let source = open_as(&disk, NEXT).unwrap();
    let mut second = commit(2, 1);
    second.state = trip(None);
    source.commit_alone(second).await.unwrap();
    drop(source);
    let source = open_as(&disk, LATER).unwrap();
    source.prepare(&types(), Preparation::Apply).await.unwrap();
    assert_eq!(source.plan(&types()).await.unwrap(), []);
    assert_eq!(source.count(&all()).await.unwrap(), 11);
}
