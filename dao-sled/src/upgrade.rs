//! The version of the rows, and the steps that bring those of an earlier version to today's.
//!
//! The first byte of the row [`META`](crate::key::META) is the version; a release refuses a later one by it.

use fastsync_core::source::upgrade::Upgrades;

use crate::error::{Fail, Run};
use crate::rows::Meta;
use crate::tree::Draft;

/// How a step is done. It is one batch, together with the version that it leads to, so it is whole or not there.
pub(crate) type Upgrade = fn(&mut Draft<'_>) -> Run<()>;

/// The steps, each with the version that it begins with. A new version of the rows is a step here; a new store has the
/// latest. `plan` reads the types before they are done, so a step that changes those keeps them readable. The number of
/// writes comes first in the row [`META`](crate::key::META) of every version.
pub(crate) const UPGRADES: Upgrades<Upgrade> = Upgrades::new(&[]);

/// The version of a store and how much was written to it.
pub(crate) fn read_meta(value: &[u8]) -> Run<(u32, u64)> {
    let unreadable = || Fail::corrupt("the row that names the version cannot be read");
    let (version, content) = value.split_first().ok_or_else(unreadable)?;
    let (meta, _) = postcard::take_from_bytes::<Meta>(content).map_err(|_| unreadable())?;
    Ok(((*version).into(), meta.number))
}

pub(crate) fn write_meta(version: u32, number: u64) -> Run<Vec<u8>> {
    let unwritable = || Fail::corrupt("the store has a version that cannot be written");
    let version = u8::try_from(version).map_err(|_| unwritable())?;
    postcard::to_extend(&Meta { number }, vec![version]).map_err(|_| unwritable())
}
