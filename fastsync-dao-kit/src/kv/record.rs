//! Writing one record: its row, and its places in the indexes.

use fastsync_core::{ObjectId, Zone};

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key::{self, ByPosition};
use crate::kv::range::Range;
use crate::kv::registry::Kind;
use crate::kv::rows::{self, Head};
use crate::kv::runs::Edit;

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
    pub(crate) fn put(
        &self,
        draft: &mut Draft<'_, impl View>,
        old: Option<&Head>,
        new: &Head,
        value: Vec<u8>,
    ) {
        let (before, after) = (old.map_or_else(Vec::new, indexes), indexes(new));
        for index in before.iter().filter(|index| !after.contains(index)) {
            draft.index(self.group(*index), self.id, Edit::Leave);
        }
        for index in after.iter().filter(|index| !before.contains(index)) {
            draft.index(self.group(*index), self.id, Edit::Enter);
        }
        draft.put(self.key(), value);
    }

    /// Removes a record without a trace.
    pub(crate) fn remove(&self, draft: &mut Draft<'_, impl View>, old: &Head) {
        for index in indexes(old) {
            draft.index(self.group(index), self.id, Edit::Leave);
        }
        draft.remove(self.key());
    }

    fn group(&self, index: Index) -> Vec<u8> {
        match index {
            Index::Positioned(index, position) => index.group(self.zone, position, self.kind.n),
            Index::Pending(change) => key::pending(change, self.zone, self.kind.n),
        }
    }
}

/// An index that a record is in, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    Positioned(ByPosition, u64),
    Pending(u64),
}

fn indexes(head: &Head) -> Vec<Index> {
    let mut indexes = Vec::new();
    if head.position != 0 {
        indexes.push(Index::Positioned(ByPosition::Feed, head.position));
        if head.is_deleted {
            indexes.push(Index::Positioned(ByPosition::Tombstones, head.position));
        }
    }
    if head.change != 0 {
        indexes.push(Index::Pending(head.change));
    }
    indexes
}

/// Removes the records of a type in a zone whose pending change is at most this one.
pub(crate) fn clear(
    draft: &mut Draft<'_, impl View>,
    kind: &Kind,
    zone: &Zone,
    through_change: u64,
) -> Run<()> {
    let prefix = key::records(zone, kind.n);
    let mut found = Vec::new();
    for row in draft.scan(Range::prefix(prefix.clone())) {
        let (key, value) = row?;
        let (head, _) = rows::head(value.as_ref())?;
        if head.change <= through_change {
            found.push((key::id_of(&prefix, key.as_ref())?, head));
        }
    }
    for (id, head) in &found {
        Place { kind, zone, id }.remove(draft, head);
    }
    Ok(())
}
