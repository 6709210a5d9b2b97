//! What the server remembers of the pushes of an object.
//!
//! An original client sends neither its name nor a number with a push. So that a push which arrives twice is noticed,
//! and an edit that follows another without a pull between is not taken for a conflict, each object that a user pushed
//! has an entry of some ten bytes in the store, written with the object. It is forgotten after a while (see
//! [`crate::shelf`]).

use fastsync_core::source::{StateWrite, entry};
use fastsync_core::{Error, ErrorKind, Record, RecordKey, Result, Revision, SyncContext, Value};
use serde::{Deserialize, Serialize};

use crate::convert::name_hash;
use crate::shelf::Found;
use crate::version;

/// The last pushes of an object by one user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memo {
    /// What the newest of them was stored as.
    revision: Revision,
    /// Whether the first of them made the object.
    made: bool,
    /// Version and digest, the newest last.
    pushes: Vec<(u64, u64)>,
    /// Where the next one is written, and what is there.
    #[serde(skip)]
    place: Place,
}

#[derive(Debug, Default)]
struct Place {
    key: String,
    stored: Option<Vec<u8>>,
}

/// How many pushes of an object are remembered: one for each device of the user that may still repeat it.
const REMEMBERED: usize = 4;

impl Memo {
    pub(crate) fn read(found: Found) -> Result<Self> {
        let Found { value, replaced, key } = found;
        let memo = value.as_deref().map(entry::decode::<Self>).transpose()?.unwrap_or_default();
        Ok(Self { place: Place { key, stored: replaced }, ..memo })
    }

    /// Of an object that was not pushed before, as far as is known without looking.
    pub(crate) fn new(key: String) -> Self {
        Self { place: Place { key, stored: None }, ..Self::default() }
    }

    /// Whether this very edit was processed before.
    pub(crate) fn knows(&self, version: u64, digest: u64) -> bool {
        self.pushes.contains(&(version, digest))
    }

    /// Whether an edit with this version follows the user's own last one, and that is what is stored.
    pub(crate) fn is_continued_by(&self, version: u64, current: &Record) -> Result<bool> {
        let Some((last, pushed)) = self.pushes.last() else { return Ok(false) };
        let counted_on = if self.made && version::is_clients_own(version) {
            // Nobody but the device that made the object can have such a version of it.
            version >= *last
        } else {
            // Two devices of the user may have counted up from the same version: then it is not known whose it is.
            let contended = self.pushes.iter().filter(|(version, _)| version == last).count() > 1;
            version == last.saturating_add(1) && !contended
        };
        // The session of the last one may have stored something else: what won a conflict with it.
        Ok(counted_on
            && current.metadata.revision == self.revision
            && digest(current.body.as_deref())? == *pushed)
    }

    /// Notes an edit, if the entry is still as it was read.
    pub(crate) fn noting(
        mut self,
        (version, digest): (u64, u64),
        revision: Revision,
        makes_it: bool,
    ) -> Result<StateWrite> {
        let Place { key, stored } = std::mem::take(&mut self.place);
        self.made |= makes_it;
        self.pushes.push((version, digest));
        let surplus = self.pushes.len().saturating_sub(REMEMBERED);
        self.pushes.drain(..surplus);
        self.revision = revision;
        let value = entry::encode(&self)?;
        Ok(StateWrite::replace(key, stored, Some(value)))
    }
}

/// What the entry of an object and a user is called.
pub(crate) fn name(context: &SyncContext, key: &RecordKey) -> String {
    let tenant = context.tenant.as_deref();
    name_hash(&[
        if tenant.is_some() { "tenant" } else { "" },
        tenant.unwrap_or_default(),
        &context.user,
        &key.zone.to_string(),
        key.type_name.as_str(),
        key.id.as_str(),
    ])
    .to_hex()
    .to_string()
}

/// What an edit says, in eight bytes.
pub(crate) fn digest(body: Option<&[Value]>) -> Result<u64> {
    let bytes = postcard::to_stdvec(&body).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "push", "an object cannot be read").with_source(error)
    })?;
    let hash = blake3::hash(&bytes);
    Ok(hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if what an earlier release remembered could not be read.
    #[test]
    fn what_is_remembered_is_as_in_its_file() {
        let memo = Memo::new("key".to_owned());
        let write = memo.noting((1_000, 7), Revision::from_bits(9), true).unwrap();
        let stored = write.value.unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/golden/stored/pushed-1.hex").trim_end());
        let memo: Memo = entry::decode(&stored).unwrap();
        assert!(memo.knows(1_000, 7) && memo.made && memo.revision == Revision::from_bits(9));
    }
}
