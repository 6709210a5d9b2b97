//! The three types of objects: countries have regions, regions have cities.

use fastsync_core::{StoreBuilder, SyncableObject, TimestampOrdering};
use uuid::Uuid;

/// The types of this application, at both ends. Where two clients changed the same object, the later edit wins, whichever
/// arrives first.
pub(crate) fn types(store: StoreBuilder) -> StoreBuilder {
    store.sync::<Country>(TimestampOrdering).sync::<Region>(TimestampOrdering).sync::<City>(TimestampOrdering)
}

/// A country.
///
/// The derive makes it a type that can be stored and sent: a table `countries` with one column per field. The
/// priority is its place among the types: parents are written before their children, and deleted after them.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "countries", priority = 0)]
pub(crate) struct Country {
    /// Its ISO 3166 code: a natural key is an id like any other.
    #[syncable(id)]
    pub(crate) code: String,
    pub(crate) name: String,
}

/// A region of a country.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "regions", priority = 10)]
pub(crate) struct Region {
    /// The country's code, a dot, and the code within the country.
    #[syncable(id)]
    pub(crate) id: String,
    pub(crate) country: String,
    pub(crate) code: String,
    pub(crate) name: String,
}

/// A city or another place that people live in.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "cities", priority = 20)]
pub(crate) struct City {
    #[syncable(id)]
    pub(crate) id: Uuid,
    pub(crate) country: String,
    /// The id of its region, where it has one.
    pub(crate) region: Option<String>,
    /// The code of the district within the region.
    pub(crate) admin2: Option<String>,
    pub(crate) name: String,
    pub(crate) lat: f64,
    pub(crate) lng: f64,
}
