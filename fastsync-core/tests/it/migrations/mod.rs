//! Changes of a type that need code, in stores of their own.

use fastsync_core::*;
use futures_util::FutureExt as _;

mod synced;

use crate::support::*;

mod v1 {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "people")]
    pub(super) struct Person {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) name: String,
        pub(super) age: i64,
    }
}

mod v2 {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "people", version = 2)]
    pub(super) struct Person {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) first: String,
        pub(super) last: String,
        pub(super) age: i64,
    }
}

mod v3 {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "people", version = 3)]
    pub(super) struct Person {
        #[syncable(id)]
        pub(super) id: String,
        pub(super) last: String,
        #[syncable(was = "age")]
        pub(super) years: i64,
        #[syncable(default = Vec::new())]
        pub(super) initials: Vec<String>,
    }
}

fn split_name() -> Migration {
    Migration::to(2, |person| {
        let name: String = person.get("name")?;
        if name == "?" {
            return Err(Error::new(ErrorKind::InvalidInput, "split", "this is not a name"));
        }
        let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
        person.set("first", first)?;
        person.set("last", last)
    })
    .had::<String>("name")
}

fn initials() -> Migration {
    Migration::to(3, |person| {
        let names: [String; 2] = [person.get("first")?, person.get("last")?];
        let initials: Vec<_> = names.iter().filter_map(|name| name.get(..1)).collect();
        person.set_json("initials", &initials)?;
        // By the name that it had.
        let age: i64 = person.get("age")?;
        person.set("years", age + 1)
    })
    .had::<String>("first")
}

fn old(id: &str, name: &str) -> v1::Person {
    v1::Person { id: id.into(), name: name.into(), age: 36 }
}

fn new(id: &str, first: &str, last: &str) -> v2::Person {
    v2::Person { id: id.into(), first: first.into(), last: last.into(), age: 36 }
}

async fn opened<T: SyncableObject>(builder: StoreBuilder) -> Repository<T> {
    Repository::new(&builder.register::<T>().open().await.unwrap())
}

fn upgraded(source: impl SyncableDataSource) -> StoreBuilder {
    Store::client(source).register::<v2::Person>().migrate::<v2::Person>(split_name())
}

async fn migrated(source: impl SyncableDataSource) -> Repository<v2::Person> {
    Repository::new(&upgraded(source).open().await.unwrap())
}

async fn records(source: &impl SyncableDataSource) -> Vec<Record> {
    source.find(&Query::all(TypeName::new("people").unwrap(), Zone::Global)).await.unwrap().records
}

fn metadata(records: &[Record]) -> Vec<(ObjectId, SyncMetadata)> {
    records.iter().map(|record| (record.key.id.clone(), record.metadata)).collect()
}

/// Fails if a migration is not run, is run twice, or makes an edit of what it changes.
#[tokio::test]
async fn stored_objects_are_migrated_once_and_stay_what_they_are() {
    let source = MemoryDataSource::new();
    let people = opened::<v1::Person>(Store::client(source.clone())).await;
    people.add_many(&[old("1", "Ada Byron"), old("2", "Plato")]).await.unwrap();
    people.add(&old("3", "Alan Turing")).await.unwrap();
    people.remove(&id("3")).await.unwrap();
    let (before, waiting) = (records(&source).await, source.pending_after(0, 10).await.unwrap());

    let planned = upgraded(source.clone()).plan().await.unwrap();
    let planned: Vec<_> = planned.iter().map(ToString::to_string).collect();
    assert!(planned.contains(&"migrate the objects of people from version 1 to 2".into()), "{planned:?}");
    let people = migrated(source.clone()).await;
    assert_eq!(people.get_all().await.unwrap(), [new("1", "Ada", "Byron"), new("2", "Plato", "")]);
    assert_eq!(metadata(&records(&source).await), metadata(&before));
    assert_eq!(metadata(&source.pending_after(0, 10).await.unwrap()), metadata(&waiting));

    people.update(&new("2", "Platon", "of Athens")).await.unwrap();
    assert_eq!(upgraded(source.clone()).plan().await.unwrap(), []);
    let people = migrated(source.clone()).await;
    assert_eq!(people.find_by_id(&id("2")).await.unwrap(), Some(new("2", "Platon", "of Athens")));
    // The form of the entry, and the version.
    assert_eq!(source.entry("fastsync/migrated/people").await.unwrap(), Some(vec![1, 2]));
}

/// Fails if versions that a device skipped are left out, come in the order of registration, or see other values.
#[tokio::test]
async fn migrations_that_a_store_lacks_are_run_in_the_order_of_their_versions() {
    for skip in [false, true] {
        let source = MemoryDataSource::new();
        opened::<v1::Person>(Store::client(source.clone())).await.add(&old("1", "Ada Byron")).await.unwrap();
        if !skip {
            migrated(source.clone()).await;
        }
        let builder = Store::client(source.clone()).register::<v3::Person>();
        let builder = builder.migrate::<v3::Person>(initials()).migrate::<v3::Person>(split_name());
        let people = Repository::<v3::Person>::new(&builder.open().await.unwrap());
        let ada = v3::Person {
            id: "1".into(),
            last: "Byron".into(),
            years: 37,
            initials: vec!["A".into(), "B".into()],
        };
        assert_eq!(people.get_all().await.unwrap(), [ada]);
    }
}

/// Fails if a store of the version, or a new one, is migrated, or if the entry hides a later migration.
#[tokio::test]
async fn a_store_of_the_version_is_not_migrated() {
    let source = MemoryDataSource::new();
    let people = migrated(source.clone()).await;
    people.add(&new("1", "Ada", "Byron")).await.unwrap();
    assert_eq!(migrated(source).await.get_all().await.unwrap(), [new("1", "Ada", "Byron")]);
}

/// Fails if an object that cannot be migrated is not named, or if the others are changed all the same.
#[tokio::test]
async fn a_migration_that_fails_changes_nothing_and_names_the_object() {
    let source = MemoryDataSource::new();
    let people = opened::<v1::Person>(Store::client(source.clone())).await;
    let all: Vec<_> = (0..3_000).map(|n| old(&format!("{n:04}"), "Ada Byron")).collect();
    people.add_many(&all).await.unwrap();
    people.update(&old("2999", "?")).await.unwrap();
    let error = upgraded(source.clone()).open().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, "this is not a name"));
    let context: Vec<_> = error.context().map(|(_, value)| value.to_owned()).collect();
    assert!(context.iter().any(|value| value == "people to version 2"), "{context:?}");
    assert!(context.iter().any(|value| value.contains("2999")), "{context:?}");
    assert_eq!(source.staged_batches(), 0);

    let people = opened::<v1::Person>(Store::client(source.clone())).await;
    assert_eq!(people.count(Selection::all()).await.unwrap(), 3_000);
    assert_eq!(people.find_by_id(&id("0001")).await.unwrap(), Some(old("0001", "Ada Byron")));
    people.update(&old("2999", "Ada Byron")).await.unwrap();
    let people = migrated(source.clone()).await.get_all().await.unwrap();
    assert!(people.len() == 3_000 && people.iter().all(|person| person.last == "Byron"));

    // What the type does not take is a failure as well.
    let source = MemoryDataSource::new();
    opened::<v1::Person>(Store::client(source.clone())).await.add(&old("1", "Ada")).await.unwrap();
    let wrong = Migration::to(2, |person| person.set("first", 7_i64));
    let builder = Store::client(source.clone()).register::<v2::Person>().migrate::<v2::Person>(wrong);
    let error = builder.open().await.unwrap_err();
    assert!(error.message().contains("people.first"), "{error}");
    let unknown = Migration::to(2, |person| person.get::<String>("name").map(drop));
    let builder = Store::client(source).register::<v2::Person>().migrate::<v2::Person>(unknown);
    let error = builder.open().await.unwrap_err();
    assert!(error.message().contains("has no field name") && error.message().contains("had"), "{error}");
}

/// Fails if an opening that is cut off anywhere leaves objects that were migrated in part, or are migrated twice.
#[tokio::test]
async fn a_migration_that_is_cut_off_anywhere_is_done_once() {
    for large in [false, true] {
        for nth in 1..20 {
            let hooked = Hooked::default();
            let people = opened::<v1::Person>(Store::client(hooked.clone())).await;
            let count = if large { 2_500 } else { 3 };
            let all: Vec<_> = (0..count).map(|n| old(&format!("{n:04}"), "Ada King Byron")).collect();
            people.add_many(&all).await.unwrap();
            // A name that is split twice has no first name any more.
            let twice = || {
                Migration::to(2, |person| {
                    let name: String = person.get("name")?;
                    let (first, last) = name.split_once(' ').unwrap_or(("", &name));
                    let (first, last) = (first.to_owned(), last.to_owned());
                    person.set("name", last.as_str())?;
                    person.set("first", first)?;
                    person.set("last", last)
                })
                .had::<String>("name")
            };
            let builder =
                || Store::client(hooked.clone()).register::<v2::Person>().migrate::<v2::Person>(twice());
            let mut left = nth;
            hooked.before_each(move |_| {
                left -= usize::from(left > 0);
                (left == 0).then(|| std::future::pending().boxed())
            });
            let cut_off = builder().open().now_or_never();
            let is_whole = cut_off.is_some();
            drop(cut_off);
            hooked.before_each(|_| None);
            let people = Repository::<v2::Person>::new(&builder().open().await.unwrap());
            let people = people.get_all().await.unwrap();
            assert_eq!(people.len(), count);
            assert!(people.iter().all(|person| (&*person.first, &*person.last) == ("Ada", "King Byron")));
            if is_whole {
                assert!(nth > 3, "every step was cut off");
                break;
            }
        }
    }
}

/// Fails if two processes that open a store at once both migrate it.
#[tokio::test]
async fn of_two_that_open_a_store_at_once_one_migrates_it() {
    for call in [Call::Prepare, Call::Stage, Call::Commit(SessionKind::Edit)] {
        for nth in 1..4 {
            let hooked = Hooked::default();
            let people = opened::<v1::Person>(Store::client(hooked.clone())).await;
            let all: Vec<_> = (0..1_500).map(|n| old(&format!("{n:04}"), "Ada Byron")).collect();
            people.add_many(&all).await.unwrap();
            let inner = hooked.inner.clone();
            hooked.before(call, nth, async move {
                let first = migrated(inner).await;
                first.update(&new("0001", "Lord", "Byron")).await.unwrap();
            });
            let people = migrated(hooked.clone()).await;
            let found = people.find_by_id(&id("0002")).await.unwrap();
            assert_eq!(found, Some(new("0002", "Ada", "Byron")), "before {call:?} {nth}");
            let edited = people.find_by_id(&id("0001")).await.unwrap().unwrap();
            assert!(["Ada", "Lord"].contains(&edited.first.as_str()), "{edited:?}");
            people.update(&new("0003", "B", "C")).await.unwrap();
        }
    }
}

/// Fails if a mistake in the registration is only found once objects are read.
#[tokio::test]
async fn migrations_that_cannot_be_meant_are_refused_at_once() {
    let builder = || Store::client(MemoryDataSource::new()).register::<v2::Person>();
    let late = Migration::to(3, |_| Ok(()));
    let bad = Migration::to(1, |_| Ok(())).had::<String>("1name");
    for (builder, parts) in [
        (builder().migrate::<v2::Person>(late), vec!["people", "version 3", "raise `version`"]),
        (builder().migrate::<List>(split_name()), vec!["lists", "not registered"]),
        (
            builder().migrate::<v2::Person>(split_name()).migrate::<v2::Person>(split_name()),
            vec!["two migrations to version 2"],
        ),
        (builder().migrate::<v2::Person>(bad), vec!["1name"]),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        for part in parts {
            assert!(error.message().contains(part), "{part} is missing in {error}");
        }
    }
}

/// Fails if objects in some zone are left as they were.
#[tokio::test]
async fn objects_in_every_zone_are_migrated() {
    mod later {
        use fastsync_core::*;

        #[derive(Debug, PartialEq, SyncableObject)]
        #[syncable(name = "notes", restricted, version = 2)]
        pub(super) struct Note {
            #[syncable(id)]
            pub(super) id: String,
            pub(super) text: String,
        }
    }
    let source = MemoryDataSource::new();
    let store = Store::client(source.clone()).register::<Note>().open().await.unwrap();
    for name in ["ada", "bob"] {
        let notes = Repository::<Note>::in_zone(&store, zone(name));
        notes.add(&Note { id: "1".into(), text: name.into() }).await.unwrap();
    }
    let louder = Migration::to(2, |note| {
        let text: String = note.get("text")?;
        let text = format!("{text} in {}", note.zone());
        note.set("text", text)
    });
    let builder = Store::client(source).register::<later::Note>().migrate::<later::Note>(louder);
    let store = builder.open().await.unwrap();
    for name in ["ada", "bob"] {
        let notes = Repository::<later::Note>::in_zone(&store, zone(name)).get_all().await.unwrap();
        assert_eq!(notes[0].text, format!("{name} in restricted:{name}"));
    }
}
