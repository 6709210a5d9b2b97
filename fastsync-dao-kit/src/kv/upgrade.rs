//! The version of the rows, and the steps that bring those of an earlier version to today's.
//!
//! The first byte of the row [`META`](crate::kv::key::META) is the version; a release refuses a later one by it.

use fastsync_core::source::upgrade::Upgrades;

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::{Fail, Run};
use crate::kv::key;
use crate::kv::rows::Meta;

/// How a step is done. It is one batch, together with the version that it leads to, so it is whole or not there.
pub(crate) type Upgrade<V> = fn(&mut Draft<'_, V>) -> Run<()>;

/// The steps, each with the version that it begins with. A new version of the rows is a step here; a new store has the
/// latest. `plan` reads the types before they are done, so a step that changes those keeps them readable. The number of
/// writes comes first in the row [`META`](crate::kv::key::META) of every version.
pub(crate) fn upgrades<V: 'static>() -> Upgrades<Upgrade<V>> {
    Upgrades::new(&[])
}

/// How many writes a store has, whichever release wrote it; none in a new one. For an engine that may lose some without
/// a word.
///
/// # Errors
/// Those of the engine; `Corrupt` if the row that says it cannot be read.
pub fn written(rows: &impl View) -> Run<u64> {
    Ok(read_meta(rows)?.map_or(0, |(_, number)| number))
}

/// The version of a store and how much was written to it; `None` in a new one.
pub(crate) fn read_meta(rows: &impl View) -> Run<Option<(u32, u64)>> {
    let Some(value) = rows.get(key::META)? else { return Ok(None) };
    let unreadable = || Fail::corrupt("the row that names the version cannot be read");
    let (version, content) = value.as_ref().split_first().ok_or_else(unreadable)?;
    let (meta, _) = postcard::take_from_bytes::<Meta>(content).map_err(|_| unreadable())?;
    Ok(Some(((*version).into(), meta.number)))
}

pub(crate) fn write_meta(version: u32, number: u64) -> Run<Vec<u8>> {
    let unwritable = || Fail::corrupt("the store has a version that cannot be written");
    let version = u8::try_from(version).map_err(|_| unwritable())?;
    postcard::to_extend(&Meta { number }, vec![version]).map_err(|_| unwritable())
}
