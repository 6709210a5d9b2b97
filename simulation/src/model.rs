//! The objects of the simulations, and the rules for their conflicts.

mod later;

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use async_trait::async_trait;
use fastsync_core::{
    ConflictsHandler, LastWriterWins, ObjectConflict, PredefinedRules, Rejection, Repository, Resolution,
    Result, ServerWins, Store, SyncableObject, SyncableRepository, TimestampOrdering, Zone,
};

pub use later::LaterNote;

/// A parent, shared by everyone.
#[derive(Debug, Clone, PartialEq, Eq, SyncableObject)]
#[syncable(name = "shelves", priority = 0)]
pub struct Shelf {
    /// The id.
    #[syncable(id)]
    pub id: String,
    /// Written together with that of an item: the two are always equal.
    pub counter: i64,
    /// Text that grows by tokens only, see [`with_token`].
    pub tokens: String,
}

/// A child, shared by everyone.
#[derive(Debug, Clone, PartialEq, Eq, SyncableObject)]
#[syncable(name = "items", priority = 10)]
pub struct Item {
    /// The id.
    #[syncable(id)]
    pub id: String,
    /// The shelf that it stands on.
    pub shelf: String,
    /// Written together with that of a shelf: the two are always equal.
    pub counter: i64,
    /// Text that grows by tokens only.
    pub tokens: String,
    /// Whether servers refuse it.
    pub refused: bool,
}

/// A note in a restricted zone.
#[derive(Debug, Clone, PartialEq, Eq, SyncableObject)]
#[syncable(name = "notes", priority = 5, restricted)]
pub struct Note {
    /// The id.
    #[syncable(id)]
    pub id: String,
    /// Text that grows by tokens only.
    pub tokens: String,
}

/// The names of the types, parents first.
pub const TYPES: [&str; 3] = ["shelves", "notes", "items"];

/// Adds a token to a text: `a b` and `c` are `a b c`.
#[must_use]
pub fn with_token(tokens: &str, token: &str) -> String {
    union(tokens, token)
}

/// Every token of either text, in one order whatever the order of merging. Of tokens `name=number` the greatest
/// number of each name is kept.
#[must_use]
pub fn union(left: &str, right: &str) -> String {
    let mut tallies: BTreeMap<&str, u64> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for token in left.split_whitespace().chain(right.split_whitespace()) {
        match token.split_once('=').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?))) {
            Some((name, number)) => {
                let greatest = tallies.entry(name).or_default();
                *greatest = number.max(*greatest);
            }
            None => drop(others.insert(token)),
        }
    }
    let tallies = tallies.into_iter().map(|(name, number)| format!("{name}={number}"));
    others.into_iter().map(str::to_owned).chain(tallies).collect::<Vec<_>>().join(" ")
}

/// The number of a name in a text of tokens; 0 if it is not there.
#[must_use]
pub fn tally(tokens: &str, name: &str) -> u64 {
    let numbers = tokens.split_whitespace().filter_map(|token| token.split_once('='));
    numbers.filter(|(of, _)| *of == name).find_map(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// An object of which two versions can be made one without losing an edit.
pub trait Mergeable: SyncableObject + Clone + PartialEq {
    /// What both versions say.
    #[must_use]
    fn merge(&self, other: &Self) -> Self;
}

impl Mergeable for Shelf {
    fn merge(&self, other: &Self) -> Self {
        Self {
            id: self.id.clone(),
            counter: self.counter.max(other.counter),
            tokens: union(&self.tokens, &other.tokens),
        }
    }
}

impl Mergeable for Item {
    fn merge(&self, other: &Self) -> Self {
        Self {
            id: self.id.clone(),
            shelf: self.shelf.clone().max(other.shelf.clone()),
            counter: self.counter.max(other.counter),
            tokens: union(&self.tokens, &other.tokens),
            refused: self.refused || other.refused,
        }
    }
}

impl Mergeable for Note {
    fn merge(&self, other: &Self) -> Self {
        Self { id: self.id.clone(), tokens: union(&self.tokens, &other.tokens) }
    }
}

/// How the conflicts of a run are settled, on both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// [`LastWriterWins`].
    LastWriter,
    /// [`TimestampOrdering`].
    Timestamps,
    /// [`ServerWins`].
    Server,
    /// [`PredefinedRules`] that keep every token of both versions; an edit is stronger than a deletion.
    Union,
}

#[async_trait]
impl<T: Mergeable> ConflictsHandler<T> for Rule {
    async fn resolve(&self, conflict: ObjectConflict<T>) -> Result<Resolution<T>> {
        match self {
            Self::LastWriter => LastWriterWins.resolve(conflict).await,
            Self::Timestamps => TimestampOrdering.resolve(conflict).await,
            Self::Server => ServerWins.resolve(conflict).await,
            Self::Union => PredefinedRules::new(unite::<T>).resolve(conflict).await,
        }
    }
}

fn unite<T: Mergeable>(conflict: ObjectConflict<T>) -> Result<Resolution<T>> {
    Ok(match (conflict.server.object, conflict.client.object) {
        (Some(server), Some(client)) => Resolution::Merged(server.merge(&client)),
        (Some(_), None) => Resolution::Server,
        (None, _) => Resolution::Client,
    })
}

/// A repository of any type in any zone, for code that does not know which sort of zone the type has.
pub(crate) struct Anywhere<T> {
    store: Store,
    zone: Zone,
    object: PhantomData<fn() -> T>,
}

impl<T: SyncableObject> Anywhere<T> {
    pub(crate) fn new(store: &Store, zone: Zone) -> Self {
        Self { store: store.clone(), zone, object: PhantomData }
    }
}

impl<T: SyncableObject> SyncableRepository for Anywhere<T> {
    type Object = T;

    fn store(&self) -> &Store {
        &self.store
    }

    fn zone(&self) -> Zone {
        self.zone.clone()
    }
}

/// The items of a server, which refuses some.
#[derive(Debug, Clone)]
pub struct CheckedItems(pub Repository<Item>);

impl SyncableRepository for CheckedItems {
    type Object = Item;

    fn store(&self) -> &Store {
        self.0.store()
    }

    fn validate(&self, item: &Item) -> Result<(), Rejection> {
        if item.refused { Err(Rejection::new("refused", "an item that is to be refused")) } else { Ok(()) }
    }
}

/// A restricted zone of the simulations.
///
/// # Panics
/// If `key` cannot be the key of a zone; the simulations' own can.
#[must_use]
pub fn zone(key: &str) -> Zone {
    Zone::restricted(key).expect("a valid key")
}
