//! Writing one record: its row, and its places in the indexes.

use fastsync_core::{ObjectId, Zone};

use crate::error::Run;
use crate::key::{self, ByPosition};
use crate::registry::Kind;
use crate::rows::Head;
use crate::tree::Draft;

/// A record's place in the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) zone: &'a Zone,
    pub(crate) id: &'a ObjectId,
}

impl Place<'_> {
    pub(crate) fn key(&self) -> Vec<u8> {
        key::record(self.zone, self.kind.n, self.id)
    }

    /// Writes a record in place of what is there, and keeps the indexes in step.
    pub(crate) fn put(&self, draft: &mut Draft<'_>, old: Option<&Head>, new: &Head, value: Vec<u8>) {
        let (before, after) = (self.entries(old), self.entries(Some(new)));
        for entry in before.iter().filter(|entry| !after.contains(entry)) {
            draft.remove(entry.clone());
        }
        for entry in after.into_iter().filter(|entry| !before.contains(entry)) {
            draft.put(entry, Vec::new());
        }
        draft.put(self.key(), value);
    }

    /// Removes a record without a trace.
    pub(crate) fn remove(&self, draft: &mut Draft<'_>, old: &Head) {
        for entry in self.entries(Some(old)) {
            draft.remove(entry);
        }
        draft.remove(self.key());
    }

    /// The keys of a record in the indexes.
    fn entries(&self, head: Option<&Head>) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        let Some(head) = head else { return entries };
        if head.position != 0 {
            entries.push(ByPosition::Feed.record(self.zone, head.position, self.kind.n, self.id));
            if head.is_deleted {
                entries.push(ByPosition::Tombstones.record(self.zone, head.position, self.kind.n, self.id));
            }
        }
        if head.change != 0 {
            entries.push(key::pending(head.change, self.zone, self.kind.n, self.id));
        }
        entries
    }
}

/// Removes the records of a type in a zone whose pending change is at most this one.
pub(crate) fn clear(draft: &mut Draft<'_>, kind: &Kind, zone: &Zone, through_change: u64) -> Run<()> {
    use crate::tree::Rows;
    let prefix = key::records(zone, kind.n);
    let mut found = Vec::new();
    for row in draft.scan(&key::Range::prefix(prefix.clone())) {
        let (key, value) = row?;
        let (head, _) = crate::rows::head(&value)?;
        if head.change <= through_change {
            found.push((key::id_of(&prefix, &key)?, head));
        }
    }
    for (id, head) in &found {
        Place { kind, zone, id }.remove(draft, head);
    }
    Ok(())
}
