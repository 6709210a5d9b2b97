//! Two releases of your application in use at once: old and new devices, old and new servers, on your own types.
//!
//! [`evolution_tests!`](crate::evolution_tests) takes the type as the last release has it and as the next one will have
//! it, and makes one `#[test]` per case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use fastsync_conformance::Harness;
//! use fastsync_core::{MemoryDataSource, SyncableDataSource};
//!
//! mod v1 {
//!     use fastsync_core::*;
//!
//!     #[derive(SyncableObject)]
//!     #[syncable(name = "tasks")]
//!     pub struct Task {
//!         #[syncable(id)]
//!         pub id: String,
//!         pub title: String,
//!     }
//! }
//!
//! mod v2 {
//!     use fastsync_core::*;
//!
//!     #[derive(SyncableObject)]
//!     #[syncable(name = "tasks", version = 2)]
//!     pub struct Task {
//!         #[syncable(id)]
//!         pub id: String,
//!         #[syncable(was = "title")]
//!         pub text: String,
//!         #[syncable(default = 1_u8)]
//!         pub stars: u8,
//!     }
//! }
//!
//! /// Of the data source that your application has: the same harness as for `conformance_tests!`.
//! #[derive(Default)]
//! struct MyHarness {
//!     storage: MemoryDataSource,
//! }
//!
//! #[async_trait]
//! impl Harness for MyHarness {
//!     async fn open(&self) -> Arc<dyn SyncableDataSource> {
//!         Arc::new(self.storage.clone())
//!     }
//! }
//!
//! fastsync_conformance::evolution_tests!(harness = MyHarness::default(), old = v1::Task, new = v2::Task);
//! # fn main() {
//! #     use fastsync_conformance::Outcome;
//! #     use fastsync_conformance::evolution::{Evolution, cases};
//! #     for case in cases() {
//! #         let evolution = Evolution::<v1::Task, v2::Task>::new(MyHarness::default);
//! #         assert_eq!(evolution.run(case.name()), Outcome::Passed);
//! #     }
//! # }
//! ```
//!
//! # What is checked
//!
//! - What the old release stored, the new one reads, as the migration has made it if there is one. Fields of both have their values, new ones have their initial value.
//! - Opened by the old release again, the store is readable, or refused and left as it is.
//! - Devices of both releases share, at a server of either, what both have. An edit leaves the fields that its device
//!   does not have as they are.
//! - What one end cannot hold waits, and is named (`unknown_types`, `outdated_types`). That is expected where a new
//!   device meets an old server, and no failure.
//! - Upgrades of either end first, with edits that were not sent or whose answer was lost, lose nothing and apply nothing
//!   twice. Once both are upgraded, nothing waits after three syncs.
//!
//! Fields of both releases are those of one name, or of one named by `was`. A case that fails says what was done, what
//! was expected and what was found.
//!
//! # Samples
//!
//! Unless you give samples, objects are made of the schema: each kind has values of its own, an enum and JSON have their
//! default. Where your types take other values only, write a function for each and add
//! `samples = (old_task, new_task)`; each is a `fn(u64) -> T`. Objects of other numbers must have other ids. The cases also
//! store one sample's values under the id of another.
//!
//! Cases with a device and a server use samples that both releases can hold: an old device refuses a number that is too
//! large for it, and null where it has no `Option`. If there are too few of these, the case is skipped and says so.

mod cases;
mod network;
pub mod pairs;
mod release;
mod rules;
mod sample;
mod world;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use fastsync_core::{MemoryDataSource, Migration, Result, SyncableObject};

use crate::harness::Harness;
use crate::run::{Outcome, Title, attempt, block_on_one_thread, conclude};
use crate::steps::Steps;
use network::Loopback;
pub use network::Network;
use release::{Release, Sample, Typed};
use world::{Storage, World};

/// A case of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct EvolutionCase {
    name: &'static str,
    sentence: &'static str,
    run: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl EvolutionCase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it checks.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.sentence
    }
}

/// Hands the cases to a macro, after its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_evolution_case {
    ([$($callback:tt)*] $arguments:tt) => {
        $($callback)*! { $arguments
            the_new_release_reads_what_the_old_one_stored:
                "after an upgrade every object is readable, with its values, and new fields have their initial value",
            the_old_release_opens_the_store_again_or_leaves_it_as_it_is:
                "opened by the old release again, a store is readable, or is refused and left as it is",
            at_a_new_server_devices_of_both_releases_share_what_both_have:
                "an edit leaves the fields that its device does not have as they are, and what cannot be shared waits",
            at_an_old_server_devices_of_both_releases_share_what_both_have:
                "what an old server cannot hold waits on the device, and goes once the server is upgraded",
            a_device_that_is_upgraded_first_loses_no_edit:
                "edits that were not sent before a device is upgraded are sent, at the latest to an upgraded server",
            a_server_that_is_upgraded_first_loses_no_edit:
                "edits of an old device reach an upgraded server, at the latest when the device is upgraded",
            a_push_without_an_answer_is_settled_after_the_server_is_upgraded:
                "a push whose answer was lost is the same push at an upgraded server, and is not applied again",
            a_push_without_an_answer_is_settled_after_both_are_upgraded:
                "a push whose answer was lost is the same push after both are upgraded, and is not applied again",
        }
    };
}

macro_rules! table {
    ([] $($case:ident: $sentence:literal),* $(,)?) => {
        &[$(EvolutionCase {
            name: stringify!($case),
            sentence: $sentence,
            run: |world| Box::pin(cases::$case(world)),
        }),*]
    };
}

const CASES: &[EvolutionCase] = crate::__for_each_evolution_case!([table][]);

/// Every case of the matrix.
#[must_use]
pub fn cases() -> &'static [EvolutionCase] {
    CASES
}

/// Two releases of a type, and where they are stored.
pub struct Evolution<Old, New> {
    make: Box<dyn Fn() -> Arc<dyn Harness>>,
    network: Arc<dyn Network>,
    old: Option<Sample<Old>>,
    new: Option<Sample<New>>,
    migration: Option<Migration>,
}

impl<Old, New> fmt::Debug for Evolution<Old, New> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evolution").finish_non_exhaustive()
    }
}

impl<Old: SyncableObject, New: SyncableObject> Evolution<Old, New> {
    /// `make` makes the harness of a storage. Each case makes two: for the server, and for a device.
    pub fn new<H: Harness>(make: impl Fn() -> H + 'static) -> Self {
        let make = Box::new(move || -> Arc<dyn Harness> { Arc::new(make()) });
        Self { make, network: Arc::new(Loopback), old: None, new: None, migration: None }
    }

    /// Sets how objects are made. Objects of other numbers have other ids.
    #[must_use]
    pub fn samples(
        mut self,
        old: impl Fn(u64) -> Old + Send + Sync + 'static,
        new: impl Fn(u64) -> New + Send + Sync + 'static,
    ) -> Self {
        self.old = Some(Box::new(old));
        self.new = Some(Box::new(new));
        self
    }

    /// Sets the migration with which the new release opens stores of the old one.
    #[must_use]
    pub fn migrating(mut self, migration: Migration) -> Self {
        self.migration = Some(migration);
        self
    }

    /// Sets how devices reach servers. Unless set, both are in one process.
    #[must_use]
    pub fn over(mut self, network: impl Network) -> Self {
        self.network = Arc::new(network);
        self
    }

    /// Runs the case with this name. It blocks, for at most a little longer than [`Harness::time_limit`].
    ///
    /// # Panics
    /// If there is no case of this name.
    #[must_use]
    pub fn run(self, name: &str) -> Outcome {
        let case = CASES.iter().find(|case| case.name == name);
        let Some(case) = case else { panic!("there is no case {name}") };
        let (server, device) = ((self.make)(), (self.make)());
        if let Some(reason) = server.skip() {
            return Outcome::Skipped(reason);
        }
        let (limit, network) = (server.time_limit(), self.network);
        let releases = releases(self.old, self.new, self.migration);
        let run = move |steps: Arc<Steps>| {
            let (old, new) = releases.unwrap_or_else(|error| panic!("a type has no schema: {error}"));
            let (ours, theirs) = (old.schema().name(), new.schema().name());
            assert_eq!(ours, theirs, "both releases have the type under one name");
            let (server, device) = (Storage::new(server), Storage::new(device));
            let peer = MemoryDataSource::new();
            let world = World { old, new, network, server, device, peer, steps };
            block_on_one_thread(limit, (case.run)(world))
        };
        attempt(Title { name: case.name, sentence: case.sentence }, limit, run)
    }

    /// As [`run`](Self::run), for the tests of [`evolution_tests`](crate::evolution_tests). A case that is skipped says
    /// so on the standard error stream.
    ///
    /// # Panics
    /// If the case fails, with a report of it, or there is none of this name.
    pub fn check(self, name: &str) {
        conclude(name, self.run(name));
    }
}

type Releases = (Arc<dyn Release>, Arc<dyn Release>);

fn releases<Old: SyncableObject, New: SyncableObject>(
    old: Option<Sample<Old>>,
    new: Option<Sample<New>>,
    migration: Option<Migration>,
) -> Result<Releases> {
    Ok((Arc::new(Typed::new(old, None)?), Arc::new(Typed::new(new, migration)?)))
}

/// Makes the tests of [`evolution`](crate::evolution): one `#[test]` per case, in a module `evolution` (or of the name
/// given first).
///
/// - `harness`: an expression that makes a [`Harness`](crate::Harness), evaluated twice per test.
/// - `old`, `new`: the type in the release that is in use, and in the next one.
/// - `samples`, if the schema does not say enough: a function `fn(u64) -> T` for each of the two.
/// - `migrate`, if the new release has one: an expression that makes the [`Migration`](fastsync_core::Migration).
/// - `over`, if devices shall reach servers in another way than in one process: a [`Network`](crate::evolution::Network).
///
/// With an expression alone, which makes the harness, it is for authors of data sources: all the
/// [`pairs`](crate::evolution::pairs) of this crate, each in a module of its own. `pairs = [everything, removed]` after it
/// runs these two, which have every change: where each storage is a database on a server, all of them take longer.
///
/// The module [`evolution`](crate::evolution) has an example.
#[macro_export]
macro_rules! evolution_tests {
    ($module:ident, harness = $make:expr, old = $old:ty, new = $new:ty
        $(, samples = ($old_sample:expr, $new_sample:expr))? $(, migrate = $migration:expr)? $(, over = $network:expr)?
        $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::__for_each_evolution_case!([$crate::__evolution_tests][
                $crate::evolution::Evolution::<$old, $new>::new(|| $make)
                    $(.samples($old_sample, $new_sample))? $(.migrating($migration))? $(.over($network))?
            ]);
        }
    };
    (harness = $($rest:tt)*) => {
        $crate::evolution_tests!(evolution, harness = $($rest)*);
    };
    ($make:expr, pairs = [$($pair:ident),+] $(, over = $network:expr)? $(,)?) => {
        mod evolution {
            #[allow(unused_imports)]
            use super::*;

            $crate::__evolution_pairs!([$make] [$(, over = $network)?] $($pair)+);
        }
    };
    ($make:expr $(, over = $network:expr)? $(,)?) => {
        $crate::evolution_tests!($make, pairs = [added, defaulted, renamed, optional, required, widened, removed,
            migrated, everything] $(, over = $network)?);
    };
}

/// The tests of [`evolution_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __evolution_tests {
    ([$evolution:expr] $($case:ident: $sentence:literal),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                $evolution.check(stringify!($case));
            }
        )*
    };
}

/// One module of [`evolution_tests`] for each pair.
#[doc(hidden)]
#[macro_export]
macro_rules! __evolution_pairs {
    ([$make:expr] $over:tt $($pair:ident)*) => {
        $($crate::__evolution_pair!([$make] $over $pair);)*
    };
}

/// One module of [`__evolution_pairs`].
#[doc(hidden)]
#[macro_export]
macro_rules! __evolution_pair {
    ([$make:expr] [$($over:tt)*] migrated) => {
        $crate::evolution_tests!(migrated, harness = $make,
            old = $crate::evolution::pairs::migrated::Old, new = $crate::evolution::pairs::migrated::New,
            migrate = $crate::evolution::pairs::migrated::migration() $($over)*);
    };
    ([$make:expr] [$($over:tt)*] $pair:ident) => {
        $crate::evolution_tests!($pair, harness = $make,
            old = $crate::evolution::pairs::$pair::Old, new = $crate::evolution::pairs::$pair::New $($over)*);
    };
}
