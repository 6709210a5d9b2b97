//! The zones that a store has records of: a manager may pull others than the one before it, or than another one beside it.
//!
//! A cursor keeps the places of all of them, since the server leaves those as they are that a pull does not name. What a
//! manager fetches anew is fetched in its own zones only, so it marks the others: who pulls them next fetches it there.

use std::collections::BTreeSet;

use super::Client;
use crate::error::Result;
use crate::model::{TypeName, Zone};
use crate::source::StateWrite;
use crate::source::entry::{decode, encode};
use crate::store::StateKey;

impl Client {
    /// Types that wait to be fetched anew in a zone of this manager.
    pub(super) async fn load_refetch(&self) -> Result<BTreeSet<TypeName>> {
        let mut types = BTreeSet::new();
        for (key, mark) in self.store.source().states(StateKey::REFETCH).await? {
            decode::<()>(&mark)?;
            let name = key.strip_prefix(StateKey::REFETCH).unwrap_or(&key);
            match name.split_once('/') {
                // In every zone.
                None => drop(types.insert(TypeName::new(name)?)),
                Some((name, zone)) if self.zones.contains(&Zone::parse(zone)?) => {
                    types.insert(TypeName::new(name)?);
                }
                Some(_) => {}
            }
        }
        // Nobody fetches what this application gave up.
        types.retain(|name| self.endpoints.contains_key(name));
        Ok(types)
    }

    /// The zones that any manager of this store has pulled.
    pub(super) async fn load_zones(&self) -> Result<BTreeSet<Zone>> {
        let stored = self.store.source().state(StateKey::ZONES).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// What the end of a pull notes of the zones, and of the types that it has fetched anew.
    pub(super) async fn note_zones(
        &self,
        anew: impl Iterator<Item = &TypeName> + Send,
    ) -> Result<Vec<StateWrite>> {
        let mut zones = self.load_zones().await?;
        let elsewhere: Vec<_> = zones.iter().filter(|zone| !self.zones.contains(zone)).cloned().collect();
        let mut entries = Vec::new();
        for name in anew {
            let fits = |zone: &&Zone| self.store.check_zone(name, zone).is_ok();
            let own = self.zones.iter().filter(fits).map(|zone| StateKey::refetch_in(name, zone));
            for mark in own.chain([StateKey::refetch(name)]) {
                entries.push(StateWrite { value: None, ..mark? });
            }
            for zone in elsewhere.iter().filter(fits) {
                entries.push(StateKey::refetch_in(name, zone)?);
            }
        }
        let before = zones.len();
        zones.extend(self.zones.iter().cloned());
        if zones.len() > before {
            entries.push(StateWrite::set(StateKey::ZONES, Some(encode(&zones)?)));
        }
        Ok(entries)
    }
}
