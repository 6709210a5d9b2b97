//! Types that have other fields than when they were pulled last: the application was upgraded.
//!
//! What the server has in the new fields is not here yet. So such a type is fetched anew before anything of it is pushed,
//! and an edit that waits takes the new fields from the server, but for those that it has set itself: where the server has
//! something in these, that is a conflict.

use std::collections::{BTreeMap, BTreeSet};

use super::{Client, PushReport};
use crate::error::Result;
use crate::model::{FieldName, Record, TypeName};
use crate::schema::FieldSchema;
use crate::source::entry::{decode, encode};
use crate::source::{StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

/// The places of the fields that are new, by type.
pub(super) type Grown = BTreeMap<TypeName, Vec<usize>>;

/// Version and fields of each type.
pub(super) type Fields = BTreeMap<TypeName, (u32, BTreeSet<FieldName>)>;

impl Client {
    /// The types that have other fields than when they were pulled up to the stored cursor, or that were not pulled with it.
    pub(super) async fn outgrown(&self) -> Result<Grown> {
        // Whoever has pulled nothing fetches everything.
        if self.load_cursor().await?.is_none() {
            return Ok(Grown::new());
        }
        let (pulled, unknown) = (self.load_fields().await?, self.load_unknown_types().await?);
        let mut grown = Grown::new();
        for (name, fields) in self.fields() {
            match pulled.get(&name) {
                Some(known) if *known == fields => {}
                Some((_, known)) => {
                    let places = self.places_beside(&name, known)?;
                    grown.insert(name, places);
                }
                // The server tells when it knows it.
                None if unknown.contains(&name) => {}
                None => drop(grown.insert(name, Vec::new())),
            }
        }
        // Another manager has fetched them anew in its zones.
        for (name, known) in self.grown_elsewhere().await? {
            let places = self.places_beside(&name, &known)?;
            let all = grown.entry(name).or_default();
            all.extend(places);
            all.sort_unstable();
            all.dedup();
        }
        Ok(grown)
    }

    /// Fetches what an upgrade of the application has made necessary, so that a push has the fields that the server has.
    pub(super) async fn catch_up(&self) -> Result<PushReport> {
        if self.outgrown().await?.is_empty() {
            return Ok(PushReport::default());
        }
        // What is in flight was made of the fields that were.
        let report = self.settle_in_flight().await?;
        let pulled = self.pull_once(super::pull::PullPlan::default()).await?;
        Ok(report.and(pulled.before_push()))
    }

    /// The entry that says which fields were pulled, if it is not as it was. Of types that the server does not know it
    /// stays.
    pub(super) async fn note_fields(&self, unknown: &BTreeSet<TypeName>) -> Result<Option<StateWrite>> {
        let before = self.load_fields().await?;
        let mut now: Fields = self.fields().filter(|(name, _)| !unknown.contains(name)).collect();
        for (name, fields) in &before {
            if unknown.contains(name) {
                now.insert(name.clone(), fields.clone());
            }
        }
        let entry = || Ok(StateWrite::set(StateKey::FIELDS, Some(encode(&now)?)));
        (now != before).then(entry).transpose()
    }

    /// Whether a type has other fields than it was pulled with, or was not pulled.
    pub(super) fn has_other_fields(&self, name: &TypeName, pulled: &Fields) -> bool {
        self.fields().find(|(of, _)| of == name).is_some_and(|(of, now)| pulled.get(&of) != Some(&now))
    }

    /// The places of the fields that are not among these.
    pub(super) fn places_beside(&self, name: &TypeName, known: &BTreeSet<FieldName>) -> Result<Vec<usize>> {
        let declared = self.store.schema(name)?.fields().iter().enumerate();
        Ok(declared.filter(|(_, field)| !known.contains(&field.name)).map(|(at, _)| at).collect())
    }

    pub(super) async fn load_fields(&self) -> Result<Fields> {
        let stored = self.store.source().entry(StateKey::FIELDS).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// The fields of the registered types.
    fn fields(&self) -> impl Iterator<Item = (TypeName, (u32, BTreeSet<FieldName>))> {
        let registered = self.store.schemas().filter(|schema| self.endpoints.contains_key(schema.name()));
        registered.map(|schema| {
            let fields = schema.fields().iter().map(|field| field.name.clone()).collect();
            (schema.name().clone(), (schema.version(), fields))
        })
    }

    /// Whether a local edit has set a field that is new here, in which the server has something else that nobody saw here.
    pub(super) fn is_set_unseen(&self, server: &Record, local: &Record, grown: &Grown) -> bool {
        let places = grown.get(&local.key.type_name).map_or(&[][..], Vec::as_slice);
        let (Some(theirs), Some(ours), Ok(schema)) =
            (&server.body, &local.body, self.store.schema(&server.key.type_name))
        else {
            return false;
        };
        places.iter().any(|&at| {
            let initial = schema.fields().get(at).map(FieldSchema::initial);
            theirs.get(at) != ours.get(at) && theirs.get(at) != initial.as_ref()
        })
    }

    /// A local edit with what the server has in fields that are new here, unless the edit has set them.
    pub(super) fn grown(&self, server: &Record, mut local: Record, grown: &Grown) -> Record {
        let places = grown.get(&local.key.type_name).map_or(&[][..], Vec::as_slice);
        let (Some(theirs), Some(ours), Ok(schema)) =
            (&server.body, &mut local.body, self.store.schema(&server.key.type_name))
        else {
            return local;
        };
        for &at in places {
            let (Some(theirs), Some(ours), Some(field)) =
                (theirs.get(at), ours.get_mut(at), schema.fields().get(at))
            else {
                continue;
            };
            if *ours == field.initial() {
                ours.clone_from(theirs);
            }
        }
        local
    }
}
