//! The cities of the world, from files that are part of the program. Where they come from: `data/DATA.md`.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
};

use anyhow::Context;
use flate2::read::GzDecoder;
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::objects::{City, Country, Region};

const COUNTRIES: &str = include_str!("../data/countries.tsv");
const REGIONS: &[u8] = include_bytes!("../data/regions.jsonl.gz");
const CITIES: &[u8] = include_bytes!("../data/cities.jsonl.gz");

pub(crate) fn countries() -> anyhow::Result<Vec<Country>> {
    COUNTRIES
        .lines()
        .map(|line| {
            let (code, name) = line.split_once('\t').context("a country has a code and a name")?;
            Ok(Country { code: code.to_owned(), name: name.to_owned() })
        })
        .collect()
}

pub(crate) fn regions() -> anyhow::Result<Vec<Region>> {
    #[derive(Deserialize)]
    struct Line {
        country: String,
        code: String,
        name: String,
    }
    lines(REGIONS)
        .map(|line| {
            let Line { country, code, name } = read(&line?)?;
            Ok(Region { id: format!("{country}.{code}"), country, code, name })
        })
        .collect()
}

/// The cities one by one: there is no need to have them all in memory.
pub(crate) fn cities(regions: &[Region]) -> impl Iterator<Item = anyhow::Result<City>> {
    #[derive(Deserialize)]
    struct Line {
        name: String,
        country: String,
        admin1: String,
        admin2: String,
        lat: f64,
        lng: f64,
    }
    let regions: HashSet<String> = regions.iter().map(|region| region.id.clone()).collect();
    (0..).zip(lines(CITIES)).map(move |(place, line)| {
        let line = line?;
        let Line { name, country, admin1, admin2, lat, lng } = read(&line)?;
        let region = Some(format!("{country}.{admin1}")).filter(|id| regions.contains(id));
        let admin2 = Some(admin2).filter(|code| !code.is_empty());
        Ok(City { id: city_id(place, &line), country, region, admin2, name, lat, lng })
    })
}

/// An id made from the city's place in the file, and from what its line says, so that loading again gives the same.
///
/// Ids that grow, as these do and those of UUID version 7 do, are stored next to each other. Random ones work as
/// well, but are spread over the whole table, and the database then writes many times as much.
fn city_id(place: u32, line: &str) -> Uuid {
    let mut bytes = Uuid::new_v5(&GEONAMES, line.as_bytes()).into_bytes();
    for (byte, of_place) in bytes.iter_mut().zip(place.to_be_bytes()) {
        *byte = of_place;
    }
    Uuid::new_v8(bytes)
}

const GEONAMES: Uuid = Uuid::from_u128(0x6765_6f6e_616d_6573_0000_0000_0000_0000);

fn lines(compressed: &'static [u8]) -> impl Iterator<Item = std::io::Result<String>> {
    BufReader::new(GzDecoder::new(compressed)).lines()
}

fn read<T: DeserializeOwned>(line: &str) -> anyhow::Result<T> {
    serde_json::from_str(line).with_context(|| format!("a line of the data cannot be read: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_city_has_an_id_of_its_own_and_every_parent_is_there() {
        let countries: HashSet<String> =
            countries().unwrap().into_iter().map(|country| country.code).collect();
        let regions = regions().unwrap();
        assert_eq!((countries.len(), regions.len()), (247, 3_865));
        assert!(regions.iter().all(|region| countries.contains(&region.country)));
        let mut ids = HashSet::new();
        for city in cities(&regions) {
            let city = city.unwrap();
            assert!(countries.contains(&city.country) && ids.insert(city.id), "{city:?}");
        }
        assert_eq!(ids.len(), 171_075);
    }
}
