//! Staged batches as one walk in the order of keys.
//!
//! A batch is stored in the order of its keys. Written one after the other, each batch would go through the whole of
//! every tree; merged, they go through it together, and into an empty store everything is appended.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::Read as _;

use fastsync_core::source::{Write, entry};
use rusqlite::blob::Blob;
use rusqlite::{Connection, MAIN_DB};

use crate::error::{Fail, Run};
use crate::staging::{Batch, unreadable};

/// How many batches are merged at once: each has one part in memory.
pub(crate) const WIDTH: usize = 256;

/// The writes of a part. Few, since many parts are in memory at once.
const PART: usize = 32;

/// Writes as they are stored: the version of this form, then parts in postcard, each after its length.
pub(crate) fn encode(writes: &mut [Write]) -> Run<Vec<u8>> {
    sort(writes);
    let mut blob = vec![entry::FORM];
    for part in writes.chunks(PART) {
        let at = blob.len();
        blob.extend([0; LENGTH]);
        blob = postcard::to_extend(part, blob).map_err(|_| unreadable())?;
        let length = u32::try_from(blob.len() - at - LENGTH).map_err(|_| unreadable())?;
        if let Some(place) = blob.get_mut(at..at + LENGTH) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
    Ok(blob)
}

const LENGTH: usize = size_of::<u32>();

/// Of writes of the same key the last one counts, so they keep their order.
fn sort(writes: &mut [Write]) {
    writes.sort_by(|a, b| a.action.key().cmp(b.action.key()));
}

/// A write with its batch and its place in it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) batch: u32,
    pub(crate) place: u32,
    pub(crate) write: Write,
}

impl Ord for Staged {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |staged: &Self| (staged.batch, staged.place);
        // The heap gives the greatest first.
        self.write
            .action
            .key()
            .cmp(other.write.action.key())
            .then_with(|| key(self).cmp(&key(other)))
            .reverse()
    }
}

impl PartialOrd for Staged {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Staged {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Staged {}

/// Some batches, merged.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    runs: Vec<Reader<'a>>,
    /// The next write of each run that has one, with the run's place.
    next: BinaryHeap<(Staged, usize)>,
}

impl<'a> Merge<'a> {
    pub(crate) fn open(connection: &'a Connection, batches: &[(u32, &Batch)]) -> Run<Self> {
        let mut merge = Self { runs: Vec::with_capacity(batches.len()), next: BinaryHeap::new() };
        for &(number, batch) in batches {
            let mut run = Reader::open(connection, number, batch)?;
            if let Some(first) = run.read()? {
                merge.next.push((first, merge.runs.len()));
                merge.runs.push(run);
            }
        }
        Ok(merge)
    }

    /// The next write in the order of keys; those of one key come as they were staged.
    pub(crate) fn read(&mut self) -> Run<Option<Staged>> {
        let Some(mut top) = self.next.peek_mut() else { return Ok(None) };
        let following = match self.runs.get_mut(top.1) {
            Some(run) => run.read()?,
            None => None,
        };
        Ok(Some(match following {
            Some(following) => std::mem::replace(&mut top.0, following),
            None => std::collections::binary_heap::PeekMut::pop(top).0,
        }))
    }
}

/// One batch, read part by part.
struct Reader<'a> {
    blob: Blob<'a>,
    batch: u32,
    place: u32,
    part: std::vec::IntoIter<Write>,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    fn open(connection: &'a Connection, number: u32, batch: &Batch) -> Run<Self> {
        let mut blob = connection.blob_open(MAIN_DB, "fastsync_staged", "writes", batch.row, true)?;
        let mut first = Vec::new();
        (&mut blob).take(1).read_to_end(&mut first).map_err(|_| unreadable())?;
        entry::content(&first)?;
        Ok(Self { blob, batch: number, place: 0, part: Vec::new().into_iter() })
    }

    fn read(&mut self) -> Run<Option<Staged>> {
        if self.part.as_slice().is_empty() {
            self.read_part()?;
        }
        let Some(write) = self.part.next() else { return Ok(None) };
        let place = self.place;
        self.place = place.checked_add(1).ok_or_else(|| Fail::corrupt("a staged batch is too long"))?;
        Ok(Some(Staged { batch: self.batch, place, write }))
    }

    fn read_part(&mut self) -> Run<()> {
        let mut length = [0; LENGTH];
        if self.blob.read(&mut length).map_err(|_| unreadable())? == 0 {
            return Ok(());
        }
        let length = u64::from(u32::from_le_bytes(length));
        let mut bytes = Vec::new();
        // What is not there is not waited for: a length that is too large ends at the blob's end.
        (&mut self.blob).take(length).read_to_end(&mut bytes).map_err(|_| unreadable())?;
        let part: Vec<Write> = postcard::from_bytes(&bytes).map_err(|_| unreadable())?;
        self.part = part.into_iter();
        Ok(())
    }
}
