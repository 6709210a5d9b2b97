//! Which objects a walk has brought of the types that it fetches anew, so that its end knows which are missing.
//!
//! 16 bytes for each live object, and 32 for each tombstone, with the note of the walk: one entry per page.

use std::collections::HashSet;

use super::Client;
use super::walk::Walk;
use crate::error::Result;
use crate::model::{Incarnation, Record, RecordKey, SessionId};
use crate::source::entry::{decode, encode};
use crate::source::{StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

/// What stands for an object.
type Sign = [u8; 16];

/// How an object came.
#[derive(Clone, Copy)]
enum Came {
    Live,
    Deleted,
    /// As the tombstone of this life.
    Ended(Incarnation),
}

/// What a walk has seen since its note was written last.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<Sign>);

impl Seen {
    pub(super) fn note(&mut self, walk: SessionId, record: &Record) {
        if record.is_deleted() {
            self.0.push(sign(walk, &record.key, Came::Deleted));
            self.0.push(sign(walk, &record.key, Came::Ended(record.metadata.incarnation)));
        } else {
            self.0.push(sign(walk, &record.key, Came::Live));
        }
    }

    /// The entry that keeps it, written when the walk had received so many records; `None` if there is nothing.
    pub(super) fn entry(&self, received: u64) -> Result<Option<StateWrite>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(StateWrite::set(StateKey::pull_seen(received), Some(encode(&self.0)?))))
    }

    pub(super) fn is_kept(&mut self) {
        self.0.clear();
    }
}

/// The key is the walk's, so that nobody can choose ids whose signs are the same.
fn sign(walk: SessionId, key: &RecordKey, came: Came) -> Sign {
    let mut hasher = blake3::Hasher::new_derive_key("fastsync 1 seen by a pull");
    hasher.update(walk.as_uuid().as_bytes());
    key.feed(&mut hasher);
    match came {
        Came::Live => hasher.update(&[0]),
        Came::Deleted => hasher.update(&[1]),
        Came::Ended(life) => hasher.update(&[2]).update(&life.to_bits().to_le_bytes()),
    };
    let mut sign = [0; 16];
    hasher.finalize_xof().fill(&mut sign);
    sign
}

/// All that a walk has brought.
pub(super) struct Brought {
    walk: SessionId,
    signs: HashSet<Sign>,
}

impl Brought {
    fn has(&self, key: &RecordKey, came: Came) -> bool {
        self.signs.contains(&sign(self.walk, key, came))
    }

    /// Whether the object came, alive or deleted.
    pub(super) fn has_object(&self, key: &RecordKey) -> bool {
        self.has(key, Came::Live) || self.has(key, Came::Deleted)
    }

    /// Whether this life of the object came, or another one in its place. The end of another life says nothing of it.
    pub(super) fn has_life(&self, Record { key, metadata, .. }: &Record) -> bool {
        self.has(key, Came::Live) || self.has(key, Came::Ended(metadata.incarnation))
    }
}

impl Client {
    pub(super) async fn brought(&self, walk: &Walk) -> Result<Brought> {
        let mut signs: HashSet<Sign> = walk.seen.0.iter().copied().collect();
        for (_, entry) in self.store.source().entries(StateKey::PULL_SEEN).await? {
            signs.extend(decode::<Vec<Sign>>(&entry)?);
        }
        Ok(Brought { walk: walk.session, signs })
    }

    /// The entries that remove what a walk has kept.
    pub(super) async fn forget_seen(&self) -> Result<Vec<StateWrite>> {
        let kept = self.store.source().entries(StateKey::PULL_SEEN).await?;
        Ok(kept.into_iter().map(|(key, _)| StateWrite::set(key, None)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, Hlc, ObjectId, Revision, SyncMetadata, TypeName, Zone};
    use crate::source::entry::assert_golden;

    /// Fails if the form of an entry changes, or what stands for an object: a walk goes on with it after an upgrade.
    #[test]
    fn what_was_seen_is_kept_as_in_its_file() {
        let walk = SessionId::from_uuid(uuid::Uuid::from_u128(1));
        let record = |id: &str, life: u64, body| Record {
            key: RecordKey {
                zone: Zone::restricted("z").unwrap(),
                type_name: TypeName::new("items").unwrap(),
                id: ObjectId::new(id).unwrap(),
            },
            body,
            metadata: SyncMetadata {
                revision: Revision::from_bits(5),
                incarnation: Incarnation::from_bits(life),
                modified_at: Hlc::default(),
                modified_by: DeviceId::from_uuid(uuid::Uuid::nil()),
                change: 0,
            },
        };
        let (live, gone) = (record("1", 6, Some(Vec::new())), record("2", 7, None));
        let mut seen = Seen::default();
        assert_eq!(seen.entry(1).unwrap(), None);
        seen.note(walk, &live);
        seen.note(walk, &gone);
        let entry = seen.entry(2).unwrap().unwrap();
        assert_eq!(entry.key, "fastsync/pull-seen/2");
        let stored = entry.value.unwrap();
        assert_golden("pull-seen-1", &[&stored]);
        let signs: Vec<Sign> = decode(&stored).unwrap();
        let brought = Brought { walk, signs: signs.into_iter().collect() };
        assert!(brought.has_object(&live.key) && brought.has_life(&live));
        assert!(brought.has_object(&gone.key) && brought.has_life(&gone));
        assert!(!brought.has_life(&record("2", 8, Some(Vec::new()))), "another life of it has ended");
        assert!(!brought.has_object(&record("3", 6, None).key));
    }
}
