//! The number of the last durable write, kept beside sled's files.
//!
//! sled takes a damaged end of its log for the trace of a crash and drops it without a word. What it shows then is an
//! earlier state, in which acknowledged writes are missing; this number tells.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fastsync_dao_kit::kv::{Fail, Run, sync_folder};

const MARK: &str = "mark";

pub(crate) struct Mark {
    file: File,
}

impl Mark {
    /// Whether there is one: it is made when everything else of a new store is there.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(MARK).exists()
    }

    /// Compares the mark with the number that the store has, and makes it in a new store.
    pub(crate) fn open(folder: &Path, number: u64) -> Run<Self> {
        let path = folder.join(MARK);
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mark = Self { file };
        match decode(&bytes) {
            Some(marked) if marked > number => Err(Fail::corrupt(format!(
                "the end of the store is lost: {marked} writes were acknowledged, {number} are there"
            ))),
            Some(_) => Ok(mark),
            // A new store, or one whose process died before anything was written.
            None if number == 0 && bytes.is_empty() => {
                mark.set(0)?;
                mark.file.sync_all()?;
                sync_folder(folder)?;
                Ok(mark)
            }
            None => Err(Fail::corrupt("the mark beside the store is lost or damaged")),
        }
    }

    /// The process may die at any instant, so the 16 bytes go in one call. They need no sync: after a power cut the
    /// mark may be behind, never ahead of what was synced before it.
    pub(crate) fn set(&self, number: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        let (value, check) = bytes.split_at_mut(8);
        value.copy_from_slice(&number.to_be_bytes());
        check.copy_from_slice(&(!number).to_be_bytes());
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&bytes)
    }
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (value, check) = bytes.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*value);
    (check == (!number).to_be_bytes()).then_some(number)
}
