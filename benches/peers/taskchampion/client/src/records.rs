//! The records: the same as `Item` in benches/src/records.rs, number by number. This is no member of that workspace, so
//! it cannot use it; the checksums of `common/records.mjs` say whether they are the same.

use anyhow::{Context as _, Result};

pub(crate) struct Item {
    pub(crate) id: String,
    name: String,
    description: String,
    quantity: u64,
    updated_at: u64,
}

impl Item {
    pub(crate) fn make(n: u64) -> Self {
        let mut random = Random::new(n);
        Self {
            id: random.uuid(),
            name: random.words(20),
            description: random.words(120),
            quantity: random.next() % 10_000,
            updated_at: 1_700_000_000_000 + random.next() % 50_000_000_000,
        }
    }

    /// After the one change that the benchmark makes.
    pub(crate) fn changed(self) -> Self {
        Self { quantity: self.quantity + 1, updated_at: self.updated_at + 1, ..self }
    }

    /// The record with these properties.
    pub(crate) fn of(id: String, property: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let property = |name| property(name).with_context(|| format!("{id} has no {name}"));
        let (name, description) = (property("name")?, property("description")?);
        let (quantity, updated_at) = (property("quantity")?.parse()?, property("updated_at")?.parse()?);
        Ok(Self { id, name, description, quantity, updated_at })
    }

    pub(crate) fn properties(&self) -> [(&'static str, String); 4] {
        [
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("quantity", self.quantity.to_string()),
            ("updated_at", self.updated_at.to_string()),
        ]
    }
}

/// Number and checksum of records in any order.
#[derive(Default)]
pub(crate) struct Digest {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, item: &Item) {
        let Item { id, name, description, quantity, updated_at } = item;
        let text = format!("{id}|{name}|{description}|{quantity}|{updated_at}");
        // FNV-1a of 32 bits.
        let hash = text
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        self.count += 1;
        self.sum += u64::from(hash);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn uuid(&mut self) -> String {
        let bits = uuid::Uuid::from_u64_pair(self.next(), self.next());
        uuid::Builder::from_random_bytes(bits.into_bytes()).into_uuid().to_string()
    }

    fn words(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"eeeaaaiiooutnnsrrlldhhmcgpbfwyvk";
        let mut bytes = [0; 8];
        (0..length)
            .map(|at| {
                if at % 8 == 0 {
                    bytes = self.next().to_le_bytes();
                }
                let byte = bytes[at % 8];
                let space = byte >> 5 == 0 && at > 0 && at + 1 < length;
                if space { ' ' } else { char::from(LETTERS[usize::from(byte & 31)]) }
            })
            .collect()
    }
}
