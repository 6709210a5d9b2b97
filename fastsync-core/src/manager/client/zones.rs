//! The zones that a store has records of: a manager may pull others than the one before it, or than another one beside it.
//!
//! A cursor keeps the places of all of them, since the server leaves those as they are that a pull does not name. What a
//! manager fetches anew is fetched in its own zones only, so it marks the others: who pulls them next fetches it there.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;
use super::pull::PullPlan;
use crate::error::Result;
use crate::model::{FieldName, TypeName, Zone};
use crate::source::entry::{self, decode, encode, encode_form};
use crate::source::{StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

/// Types with the zone in which they are to be fetched anew, if it is one, and what was known there before.
type Marks = BTreeMap<(TypeName, Option<Zone>), Known>;

/// The fields that a zone has values of, if those are not all that the type has.
type Known = Option<BTreeSet<FieldName>>;

/// The newest stored form of a mark. The first one says nothing, and is written where all fields are known.
const FORM: u8 = StateKey::REFETCH_FORM;

fn read_mark(stored: &[u8]) -> Result<Known> {
    match entry::parts(stored, FORM)? {
        (FORM, content) => entry::read(content).map(Some),
        (_, content) => entry::read::<()>(content).map(|()| None),
    }
}

impl Client {
    /// Types that wait to be fetched anew in a zone of this manager.
    pub(super) async fn load_refetch(&self) -> Result<BTreeSet<TypeName>> {
        Ok(self.own_refetch_marks().await?.map(|((name, _), _)| name).collect())
    }

    /// Of such types those that have fields which are new in a zone of this manager, with what it knows.
    pub(super) async fn grown_elsewhere(&self) -> Result<Vec<(TypeName, BTreeSet<FieldName>)>> {
        let own = self.own_refetch_marks().await?;
        Ok(own.filter_map(|((name, _), known)| Some((name, known?))).collect())
    }

    /// Types with fields that are new in a zone which this manager does not pull.
    pub(super) async fn unfetched_elsewhere(&self) -> Result<BTreeSet<(TypeName, Zone)>> {
        let marks = self.load_refetch_marks().await?.into_iter().filter(|(_, known)| known.is_some());
        let places = marks.filter_map(|((name, zone), _)| Some((name, zone?)));
        Ok(places.filter(|(_, zone)| !self.zones.contains(zone)).collect())
    }

    /// The marks that are of this manager's zones. Nobody fetches what this application gave up.
    async fn own_refetch_marks(&self) -> Result<impl Iterator<Item = ((TypeName, Option<Zone>), Known)>> {
        Ok(self.load_refetch_marks().await?.into_iter().filter(|((name, zone), _)| {
            zone.as_ref().is_none_or(|zone| self.zones.contains(zone)) && self.endpoints.contains_key(name)
        }))
    }

    async fn load_refetch_marks(&self) -> Result<Marks> {
        let mut marks = Marks::new();
        for (key, mark) in self.store.source().entries(StateKey::REFETCH).await? {
            let known = read_mark(&mark)?;
            let name = key.strip_prefix(StateKey::REFETCH).unwrap_or(&key);
            let (name, zone) = match name.split_once('/') {
                None => (name, None),
                Some((name, zone)) => (name, Some(Zone::parse(zone)?)),
            };
            marks.insert((TypeName::new(name)?, zone), known);
        }
        Ok(marks)
    }

    /// The zones that any manager of this store has pulled.
    pub(super) async fn load_zones(&self) -> Result<BTreeSet<Zone>> {
        let stored = self.store.source().entry(StateKey::ZONES).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// Whether other managers of this store pull zones that this one does not.
    pub(super) async fn others_pull(&self) -> Result<bool> {
        Ok(self.load_zones().await?.iter().any(|zone| !self.zones.contains(zone)))
    }

    /// What the end of a pull notes of the zones, and of the types that it has fetched anew, some of them because they have
    /// grown.
    pub(super) async fn note_zones(&self, plan: &PullPlan) -> Result<Vec<StateWrite>> {
        let (marks, fields) = (self.load_refetch_marks().await?, self.load_fields().await?);
        let mut zones = self.load_zones().await?;
        let elsewhere: Vec<_> = zones.iter().filter(|zone| !self.zones.contains(zone)).cloned().collect();
        let mut entries = Vec::new();
        for name in plan.anew.keys() {
            let fits = |zone: &&Zone| self.store.check_zone(name, zone).is_ok();
            let own = self.zones.iter().filter(fits).map(|zone| StateKey::refetch_in(name, zone));
            for mark in own.chain([StateKey::refetch(name)]) {
                entries.push(StateWrite { value: None, ..mark? });
            }
            // What other zones have of a type stays good as long as their places and its fields do.
            let is_as_before = !plan.loses_places && !self.has_other_fields(name, &fields);
            for zone in elsewhere.iter().filter(fits).filter(|_| !is_as_before) {
                let mut mark = StateKey::refetch_in(name, zone)?;
                // A zone that has waited since an earlier upgrade knows no more for this one.
                let waits_with = marks.get(&(name.clone(), Some(zone.clone()))).and_then(Option::as_ref);
                let before =
                    || fields.get(name).map(|(_, known)| known).filter(|_| plan.grown.contains_key(name));
                if let Some(known) = waits_with.or_else(before)
                    && !self.places_beside(name, known)?.is_empty()
                {
                    mark.value = Some(encode_form(FORM, known)?);
                }
                entries.push(mark);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::entry::assert_golden;

    /// Fails if the form of a mark changes: forms 1 and 2 stay as they are.
    #[test]
    fn both_forms_of_a_mark_stay_as_they_are() {
        let (name, zone) = (TypeName::new("items").unwrap(), Zone::Global);
        let all = StateKey::refetch_in(&name, &zone).unwrap().value.unwrap();
        let known: BTreeSet<_> = ["a", "b"].map(|field| FieldName::new(field).unwrap()).into();
        let some = encode_form(FORM, &known).unwrap();
        assert_golden("refetch", &[&all, &some]);
        assert_eq!(read_mark(&all).unwrap(), None);
        assert_eq!(read_mark(&some).unwrap(), Some(known));
    }
}
