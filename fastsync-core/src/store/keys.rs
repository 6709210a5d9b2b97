//! The state entries that the engine keeps in a data source.

use crate::error::Result;
use crate::model::{DeviceId, Hlc, RecordKey, TypeName, Zone};
use crate::source::StateWrite;
use crate::source::entry::{FORM, encode};

/// Keys of state entries. All begin with `fastsync/`.
pub(crate) struct StateKey;

impl StateKey {
    pub(crate) const ALL: &'static str = "fastsync/";
    pub(crate) const ROLE: &'static str = "fastsync/role";
    pub(crate) const TENANT: &'static str = "fastsync/tenant";
    pub(crate) const DEVICE: &'static str = "fastsync/device";
    pub(crate) const CLOCK: &'static str = "fastsync/clock";
    pub(crate) const EPOCH: &'static str = "fastsync/epoch";
    pub(crate) const CURSOR_KEY: &'static str = "fastsync/cursor-key";
    /// The fields of each type as they were pulled up to the cursor.
    pub(crate) const FIELDS: &'static str = "fastsync/fields";
    /// The zones that were pulled.
    pub(crate) const ZONES: &'static str = "fastsync/zones";
    pub(crate) const CURSOR: &'static str = "fastsync/cursor";
    /// Where a pull is that has not become visible yet.
    pub(crate) const PULL: &'static str = "fastsync/pull";
    /// What such a pull has seen of the types that it fetches anew.
    pub(crate) const PULL_SEEN: &'static str = "fastsync/pull-seen/";
    /// Up to which of the device's pushes the cursor's place in each zone has seen all.
    pub(crate) const COVERED: &'static str = "fastsync/covered";
    /// The newest form of [`Self::PULL`].
    pub(crate) const PULL_FORM: u8 = 2;
    /// The same of [`Self::PUSH`].
    pub(crate) const PUSH_FORM: u8 = 2;
    /// The same of the entries under [`Self::REFETCH`].
    pub(crate) const REFETCH_FORM: u8 = 2;
    /// What of the server's history is known to be lost, until what it means for this store is known.
    pub(crate) const LOST: &'static str = "fastsync/lost";
    pub(crate) const FORGOTTEN: &'static str = "fastsync/forgotten/";
    pub(crate) const PUSH: &'static str = "fastsync/push";
    pub(crate) const UNKNOWN_TYPES: &'static str = "fastsync/unknown-types";
    pub(crate) const OUTDATED_TYPES: &'static str = "fastsync/outdated-types";
    pub(crate) const REFETCH: &'static str = "fastsync/refetch/";
    pub(crate) const REJECTED: &'static str = "fastsync/rejected/";
    pub(crate) const ASIDE: &'static str = "fastsync/aside/";
    pub(crate) const DISCARDED: &'static str = "fastsync/discarded/";
    pub(crate) const UNSEEN: &'static str = "fastsync/unseen/";

    /// The newest form that this release reads of an entry of a client's.
    pub(crate) fn newest_form(key: &str) -> u8 {
        match key {
            Self::PULL => Self::PULL_FORM,
            Self::PUSH => Self::PUSH_FORM,
            _ if key.starts_with(Self::REFETCH) => Self::REFETCH_FORM,
            _ => FORM,
        }
    }

    /// To which version the records of a type were migrated with code.
    pub(crate) fn migrated(type_name: &TypeName) -> String {
        format!("fastsync/migrated/{type_name}")
    }

    /// What a server remembers of a user's device.
    pub(crate) fn pushed_by(tenant: Option<&str>, user: &str, device: DeviceId) -> String {
        // Hashed: user names may be longer than a key.
        let mut hasher = blake3::Hasher::new();
        for part in [tenant.unwrap_or_default(), user] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(&[u8::from(tenant.is_some())]);
        format!("fastsync/pushed/{device}/{}", hasher.finalize().to_hex())
    }

    /// A session that waits for its receipt, by its number.
    pub(crate) fn pushed_session(number: u64) -> String {
        format!("{}/{number}", Self::PUSH)
    }

    /// Marks a type whose records are to be fetched anew by the next pull, in every zone.
    pub(crate) fn refetch(type_name: &TypeName) -> Result<StateWrite> {
        Ok(StateWrite::set(format!("{}{type_name}", Self::REFETCH), Some(encode(&())?)))
    }

    /// The same in one zone.
    pub(crate) fn refetch_in(type_name: &TypeName, zone: &Zone) -> Result<StateWrite> {
        Ok(StateWrite::set(format!("{}{type_name}/{zone}", Self::REFETCH), Some(encode(&())?)))
    }

    /// Keeps the clock ahead of everything seen, over restarts too.
    pub(crate) fn clock(last: Hlc) -> Result<StateWrite> {
        Ok(StateWrite::set(Self::CLOCK, Some(encode(&last)?)))
    }

    /// Marks an edit in flight that is given up.
    pub(crate) fn discarded(key: &RecordKey) -> String {
        format!("{}{}/{}/{}", Self::DISCARDED, key.type_name, key.zone, key.id)
    }

    /// Marks a refused edit of which the server has not said what it has instead.
    pub(crate) fn unseen(key: &RecordKey) -> String {
        format!("{}{}/{}/{}", Self::UNSEEN, key.type_name, key.zone, key.id)
    }

    /// Why an edit was refused.
    pub(crate) fn rejected(key: &RecordKey) -> String {
        format!("{}{}/{}/{}", Self::REJECTED, key.type_name, key.zone, key.id)
    }

    /// Marks an object that the server has forgotten and that waits for a decision.
    pub(crate) fn forgotten(key: &RecordKey) -> String {
        format!("{}{}/{}/{}", Self::FORGOTTEN, key.type_name, key.zone, key.id)
    }

    /// What a walk has seen when it had received so many records.
    pub(crate) fn pull_seen(received: u64) -> String {
        format!("{}{received}", Self::PULL_SEEN)
    }

    /// A record of the server that this device cannot hold.
    pub(crate) fn aside(key: &RecordKey) -> String {
        format!("{}{}/{}/{}", Self::ASIDE, key.type_name, key.zone, key.id)
    }
}
