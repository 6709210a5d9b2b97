//! The last values of deleted objects: for types that opt in, written by the commit that deletes, and gone with the
//! tombstone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Store;
use crate::error::{ErrorKind, Result};
use crate::model::{
    Author, Clock, DeviceId, FieldName, Incarnation, ObjectId, Random, Record, RecordKey, SessionId,
    SessionKind, Tag, TypeName, Value, Zone,
};
use crate::source::entry::{decode, encode};
use crate::source::{
    Action, Commit, CommitOutcome, Layer, Purge, StateWrite, SyncableDataSource, SyncableDataSourceExt as _,
    Turn, Write, Writes,
};

const PREFIX: &str = "fastsync/deleted/";

/// Into how many parts the entries of a zone are split, so that no more than one is in memory.
const PARTS: u8 = 16;

/// From how many tombstones on the entries of a zone are read as a whole, and not one by one.
const MANY: usize = 1_000;

/// An entry. The key is there because its hash is all that names the entry; the life, because an object that was made
/// anew leaves the entry of its earlier life behind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    key: RecordKey,
    incarnation: Incarnation,
    values: Vec<(String, Value)>,
}

fn zone_prefix(zone: &Zone) -> String {
    format!("{PREFIX}{}/", blake3::hash(zone.to_string().as_bytes()).to_hex())
}

fn entry_key(key: &RecordKey) -> String {
    let mut hasher = blake3::Hasher::new();
    key.feed(&mut hasher);
    format!("{}{}", zone_prefix(&key.zone), hasher.finalize().to_hex())
}

fn write(key: &RecordKey, incarnation: Incarnation, values: Vec<(String, Value)>) -> Result<StateWrite> {
    let kept = Kept { key: key.clone(), incarnation, values };
    Ok(StateWrite::set(entry_key(key), Some(encode(&kept)?)))
}

impl Store {
    /// The write that keeps the last values of a deleted object, to be committed with its tombstone.
    ///
    /// The commits of a type that is [kept](super::StoreBuilder::keep_deleted) do it by themselves. This is for who
    /// stores a tombstone in place of nothing: an import, a gateway.
    ///
    /// # Errors
    /// `Backend` if the values cannot be written.
    pub fn keep_last_values(
        &self,
        tombstone: &Record,
        values: BTreeMap<String, Value>,
    ) -> Result<StateWrite> {
        write(&tombstone.key, tombstone.metadata.incarnation, values.into_iter().collect())
    }

    /// The last values of deleted objects by the name of the field, where they were kept. Fields may be missing, and values
    /// may not fit the type as it is now: they are of the type as it was.
    ///
    /// # Errors
    /// Those of the data source; `Corrupt`, `Unsupported`.
    pub async fn last_values(
        &self,
        tombstones: &[&Record],
    ) -> Result<HashMap<RecordKey, BTreeMap<String, Value>>> {
        let lives: HashMap<&RecordKey, Incarnation> =
            tombstones.iter().map(|record| (&record.key, record.metadata.incarnation)).collect();
        let mut found = HashMap::new();
        let mut take = |stored: &[u8]| -> Result<()> {
            let Kept { key, incarnation, values } = decode(stored)?;
            if lives.get(&key) == Some(&incarnation) {
                found.insert(key, values.into_iter().collect());
            }
            Ok(())
        };
        let mut by_zone: BTreeMap<&Zone, Vec<&RecordKey>> = BTreeMap::new();
        for record in tombstones {
            by_zone.entry(&record.key.zone).or_default().push(&record.key);
        }
        for (zone, keys) in by_zone {
            if keys.len() < MANY {
                for key in keys {
                    if let Some(stored) = self.source().entry(&entry_key(key)).await? {
                        take(&stored)?;
                    }
                }
                continue;
            }
            for part in 0..PARTS {
                let prefix = format!("{}{part:x}", zone_prefix(zone));
                for (_, stored) in self.source().entries(&prefix).await? {
                    take(&stored)?;
                }
            }
        }
        Ok(found)
    }
}

/// Around a server's data source: every commit passes here, whoever makes it.
#[derive(Debug)]
pub(super) struct KeepDeleted {
    pub(super) inner: Arc<dyn SyncableDataSource>,
    /// The fields of the types that are kept.
    pub(super) types: BTreeMap<TypeName, Vec<FieldName>>,
    pub(super) means: Means,
}

/// What a commit needs.
pub(super) struct Means {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Means")
    }
}

impl Layer for KeepDeleted {
    type Inner = dyn SyncableDataSource;

    fn inner(&self) -> &Self::Inner {
        &*self.inner
    }

    async fn commit(&self, mut commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        let writes = match &commit.writes {
            Writes::Inline(writes) | Writes::Staged { overrides: writes } => writes,
        };
        let deleted = self.deleted_by(writes);
        if !deleted.is_empty() {
            // What the commit before this one wrote is what is deleted.
            turn.comes().await;
            for ((type_name, zone), ids) in deleted {
                let Some(fields) = self.types.get(&type_name) else { continue };
                let current = self.inner.get(&type_name, &zone, &ids).await?;
                for Record { key, body, metadata } in current {
                    let Some(body) = body else { continue };
                    let names = fields.iter().map(|field| field.as_str().to_owned());
                    let kept = write(&key, metadata.incarnation, names.zip(body).collect())?;
                    // An id that was named twice may come twice; and who gives values of their own knows better.
                    if commit.state.iter().all(|given| given.key != kept.key) {
                        commit.state.push(kept);
                    }
                }
            }
        }
        self.inner.commit(commit, turn).await
    }

    async fn purge(&self, what: &Purge) -> Result<u64> {
        let removed = self.inner.purge(what).await?;
        if let Purge::Tombstones { zone, .. } = what {
            self.sweep(zone).await?;
        }
        Ok(removed)
    }
}

impl KeepDeleted {
    /// The objects that writes delete, of the types that are kept.
    fn deleted_by(&self, writes: &[Write]) -> BTreeMap<(TypeName, Zone), Vec<ObjectId>> {
        let mut deleted: BTreeMap<_, Vec<ObjectId>> = BTreeMap::new();
        if self.types.is_empty() {
            return deleted;
        }
        for write in writes.iter().filter(|write| write.is_deletion()) {
            let Action::Put { record, .. } = &write.action else { continue };
            let RecordKey { type_name, zone, id } = &record.key;
            if self.types.contains_key(type_name) {
                deleted.entry((type_name.clone(), zone.clone())).or_default().push(id.clone());
            }
        }
        deleted
    }

    /// Removes the entries of a zone whose tombstone is gone, or which an object that was made anew has left behind. Every
    /// purge does it for the whole zone, so that one which was cut off is made up for.
    async fn sweep(&self, zone: &Zone) -> Result<()> {
        for part in 0..PARTS {
            let mut by_type: BTreeMap<TypeName, Vec<(ObjectId, Incarnation, StateWrite)>> = BTreeMap::new();
            for (name, stored) in self.inner.entries(&format!("{}{part:x}", zone_prefix(zone))).await? {
                let Kept { key, incarnation, .. } = decode(&stored)?;
                let removal = StateWrite::replace(name, Some(stored), None);
                by_type.entry(key.type_name).or_default().push((key.id, incarnation, removal));
            }
            let mut left = Vec::new();
            for (type_name, entries) in by_type {
                let ids: Vec<_> = entries.iter().map(|(id, ..)| id.clone()).collect();
                let current = match self.inner.get(&type_name, zone, &ids).await {
                    Ok(current) => current,
                    // A type that is not registered now keeps what it has.
                    Err(error) if error.kind() == ErrorKind::UnknownType => continue,
                    Err(error) => return Err(error),
                };
                let needed: HashMap<_, _> = current
                    .iter()
                    .filter(|record| record.is_deleted())
                    .map(|record| (&record.key.id, record.metadata.incarnation))
                    .collect();
                let is_left = |(id, life, _): &(ObjectId, _, _)| needed.get(id) != Some(life);
                left.extend(entries.into_iter().filter(is_left).map(|(_, _, removal)| removal));
            }
            if !left.is_empty() {
                self.forget(left).await?;
            }
        }
        Ok(())
    }

    /// Where an entry is another one by now, all stay until the next purge.
    async fn forget(&self, entries: Vec<StateWrite>) -> Result<()> {
        let Means { clock, random } = &self.means;
        let now = clock.now();
        let commit = Commit {
            session: SessionId::new(now, &**random),
            kind: SessionKind::Edit,
            author: Author { user: None, device: DeviceId::random(&**random), number: 0 },
            at: now,
            tag: Tag(random.next_u64().max(1)),
            positioned: false,
            clears: Vec::new(),
            writes: Writes::Inline(Vec::new()),
            state: entries,
        };
        self.inner.commit_alone(commit).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::entry::assert_golden;

    /// Fails if an entry of an earlier release could not be read, or its key could not be found.
    #[test]
    fn an_entry_is_as_in_its_file() {
        let key = RecordKey {
            zone: Zone::restricted("ada").unwrap(),
            type_name: TypeName::new("items").unwrap(),
            id: ObjectId::new("1").unwrap(),
        };
        let values =
            vec![("name".to_owned(), Value::Text("x".into())), ("count".to_owned(), Value::Integer(7))];
        let write = write(&key, Incarnation::from_bits(9), values.clone()).unwrap();
        let stored = write.value.unwrap();
        assert_golden("deleted-1", &[write.key.as_bytes(), &stored]);
        let kept: Kept = decode(&stored).unwrap();
        assert_eq!(kept, Kept { key, incarnation: Incarnation::from_bits(9), values });
    }
}
