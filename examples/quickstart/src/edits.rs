//! What the two clients edit while they are offline.

use anyhow::Context;
use fastsync_core::{
    Filter, ObjectId, Selection, SyncableDataSource, SyncableObject, SyncableRepository,
    SyncableRepositoryExt,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::objects::{City, Country, Region};
use crate::replica::Replica;

/// What a client did offline.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Edited {
    pub(crate) updated: u64,
    pub(crate) removed: u64,
    pub(crate) added: u64,
    /// Its version of the city that the other client renames too.
    pub(crate) renamed: Renamed,
}

impl Edited {
    pub(crate) fn count(&self) -> u64 {
        self.updated + self.removed + self.added
    }
}

/// A city under a new name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Renamed {
    pub(crate) id: Uuid,
    pub(crate) before: String,
    pub(crate) name: String,
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
}

/// Rounds the coordinates of the United States, removes San Marino's cities and Vaduz, founds a country.
pub(crate) async fn by_client_a(replica: &Replica) -> anyhow::Result<Edited> {
    let updated = round_coordinates(replica, "US").await?;
    let mut gone = cities_of(replica, "SM").await?;
    gone.push(city(replica, "LI", "Vaduz").await?);
    let removed = remove(replica, &gone).await?;

    // One atomic session over three types: nobody ever sees the city without its region and country.
    let country = Country { code: "AQ".to_owned(), name: "Antarctica".to_owned() };
    let region = Region {
        id: "AQ.RD".to_owned(),
        country: country.code.clone(),
        code: "RD".to_owned(),
        name: "Ross Dependency".to_owned(),
    };
    let station = City {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, b"McMurdo Station"),
        country: country.code.clone(),
        region: Some(region.id.clone()),
        admin2: None,
        name: "McMurdo Station".to_owned(),
        lat: -77.846,
        lng: 166.676,
    };
    let mut session = replica.store.edit();
    replica.countries.stage_add(&mut session, &country)?;
    replica.regions.stage_add(&mut session, &region)?;
    replica.cities.stage_add(&mut session, &station)?;
    session.commit().await?;

    let renamed = rename(replica, "CH", "Zürich", "Zürich (Limmat)").await?;
    Ok(Edited { updated: updated + 1, removed, added: 3, renamed })
}

/// Rounds the coordinates of Brazil, removes Monaco's cities, adds one to Iceland, renames Vaduz.
pub(crate) async fn by_client_b(replica: &Replica) -> anyhow::Result<Edited> {
    let updated = round_coordinates(replica, "BR").await?;
    let removed = remove(replica, &cities_of(replica, "MC").await?).await?;
    let village = City {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, b"Nyjabaer"),
        country: "IS".to_owned(),
        region: Some("IS.39".to_owned()),
        admin2: None,
        name: "Nýjabær".to_owned(),
        lat: 64.1,
        lng: -21.7,
    };
    replica.cities.add(&village).await?;
    rename(replica, "LI", "Vaduz", "Vaduz am Rhein").await?;
    let renamed = rename(replica, "CH", "Zürich", "Zurich").await?;
    Ok(Edited { updated: updated + 2, removed, added: 1, renamed })
}

/// Rounds to two digits after the point, about a kilometre.
async fn round_coordinates(replica: &Replica, country: &str) -> anyhow::Result<u64> {
    let mut cities = cities_of(replica, country).await?;
    for city in &mut cities {
        city.lat = (city.lat * 100.0).round() / 100.0;
        city.lng = (city.lng * 100.0).round() / 100.0;
    }
    for some in cities.chunks(replica.store.limits().records) {
        replica.cities.update_many(some).await?;
    }
    Ok(cities.len() as u64)
}

async fn remove(replica: &Replica, cities: &[City]) -> anyhow::Result<u64> {
    let ids: Vec<ObjectId> = cities.iter().map(SyncableObject::id).collect::<Result<_, _>>()?;
    Ok(replica.cities.remove_many(&ids).await? as u64)
}

async fn rename(replica: &Replica, country: &str, before: &str, name: &str) -> anyhow::Result<Renamed> {
    let mut city = city(replica, country, before).await?;
    city.name = name.to_owned();
    replica.cities.update(&city).await?;
    // The record beside the object knows when it was edited; that is what the two clients' versions go by.
    let schema = City::schema()?;
    let source = replica.store.source();
    let records = source.get(schema.name(), &replica.cities.zone(), &[city.id()?]).await?;
    let record = records.first().context("the renamed city is there")?;
    let at = record.metadata.modified_at.timestamp().as_millis();
    Ok(Renamed { id: city.id, before: before.to_owned(), name: name.to_owned(), at })
}

/// The database runs the filter: only these cities are read.
async fn cities_of(replica: &Replica, country: &str) -> anyhow::Result<Vec<City>> {
    Ok(replica.cities.query(Selection::matching(City::COUNTRY.equal(country)?)).await?)
}

async fn city(replica: &Replica, country: &str, name: &str) -> anyhow::Result<City> {
    let both = Filter::And(vec![City::COUNTRY.equal(country)?, City::NAME.equal(name)?]);
    let found = replica.cities.query(Selection::matching(both).limit(1)).await?;
    found.into_iter().next().with_context(|| format!("there is no city {name} in {country}"))
}
