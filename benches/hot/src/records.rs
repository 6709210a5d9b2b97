//! The records: made up, and the same in every run.

use fastsync_core::{Result, SyncableObject};
use serde::{Deserialize, Serialize};

/// The shape of the records of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// [`Item`].
    Items,
    /// [`City`].
    Cities,
}

/// A type of records of which any number can be made.
pub trait Made: SyncableObject {
    /// The record with this number.
    fn make(n: u64) -> Self;
}

/// The record that the rates are measured with: about 200 bytes of fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, SyncableObject)]
#[syncable(name = "items", priority = 0)]
pub struct Item {
    /// A random UUID.
    #[syncable(id)]
    pub id: String,
    /// About 20 characters.
    pub name: String,
    /// About 120 characters.
    pub description: String,
    /// A small number.
    pub quantity: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
}

impl Made for Item {
    fn make(n: u64) -> Self {
        let mut random = Random::new(n);
        Self {
            id: random.uuid(),
            name: random.words(20),
            description: random.words(120),
            quantity: random.below(10_000),
            updated_at: 1_700_000_000_000 + random.below(50_000_000_000),
        }
    }
}

/// A city: the shape of the real data of the quickstart, with made-up values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, SyncableObject)]
#[syncable(name = "cities", priority = 20)]
pub struct City {
    /// A random UUID.
    #[syncable(id)]
    pub id: String,
    /// About 10 characters, partly not ASCII.
    pub name: String,
    /// Two letters.
    pub country: String,
    /// The code of a region.
    pub admin1: String,
    /// The code of a part of the region; a third of the cities have none.
    pub admin2: Option<String>,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

impl Made for City {
    // Coordinates of five decimals are exact in 52 bits.
    #[allow(clippy::cast_precision_loss)]
    fn make(n: u64) -> Self {
        let mut random = Random::new(n);
        let size = 5 + usize::try_from(random.below(11)).unwrap_or(0);
        let mut name = random.words(size);
        if random.below(4) == 0 {
            name.push_str("été");
        }
        let letters = random.words(2).to_uppercase();
        Self {
            id: random.uuid(),
            name,
            country: letters,
            admin1: format!("{:02}", random.below(80)),
            admin2: (random.below(3) > 0).then(|| format!("{:03}", random.below(600))),
            lat: (random.below(18_000_000) - 9_000_000) as f64 / 1e5,
            lng: (random.below(36_000_000) - 18_000_000) as f64 / 1e5,
        }
    }
}

/// The records with the numbers from `first` on.
pub fn make_many<T: Made>(first: u64, count: u64) -> Vec<T> {
    (first..first + count).map(T::make).collect()
}

/// The name of a type's table.
///
/// # Errors
/// Its schema is invalid.
pub fn table_of<T: Made>() -> Result<String> {
    Ok(T::schema()?.name().to_string())
}

/// SplitMix64: good enough to look random, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Far apart, so that the sequences of neighbours do not overlap.
        Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// 0 to `limit` - 1.
    fn below(&mut self, limit: i64) -> i64 {
        let limit = u64::try_from(limit).unwrap_or(1).max(1);
        i64::try_from(self.next() % limit).unwrap_or(0)
    }

    fn uuid(&mut self) -> String {
        let bits = uuid::Uuid::from_u64_pair(self.next(), self.next());
        uuid::Builder::from_random_bytes(bits.into_bytes()).into_uuid().to_string()
    }

    /// Letters, with a space here and there, exactly `length` of them.
    fn words(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"eeeaaaiiooutnnsrrlldhhmcgpbfwyvk";
        let mut bits = 0;
        let mut text = String::with_capacity(length);
        for at in 0..length {
            if at % 8 == 0 {
                bits = self.next();
            }
            let letter = LETTERS.get((bits & 31) as usize).copied().unwrap_or(b'e');
            // A space ends about every sixth word position, never the first or the last.
            let space = bits >> 5 & 7 == 0 && at > 0 && at + 1 < length;
            text.push(if space { ' ' } else { char::from(letter) });
            bits >>= 8;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn items_have_the_stated_sizes_and_distinct_ids() {
        let items: Vec<Item> = make_many(0, 2_000);
        let ids: BTreeSet<_> = items.iter().map(|item| &item.id).collect();
        assert_eq!(ids.len(), items.len());
        assert!(items.iter().all(|item| item.id.parse::<uuid::Uuid>().is_ok()));
        assert!(items.iter().all(|item| item.name.len() == 20 && item.description.len() == 120));
        assert_eq!(Item::make(7), items[7]);
    }

    #[test]
    fn cities_are_on_earth() {
        let cities: Vec<City> = make_many(0, 2_000);
        assert!(cities.iter().all(|city| city.lat.abs() <= 90.0 && city.lng.abs() <= 180.0));
        assert!(cities.iter().any(|city| city.admin2.is_none()));
    }
}
