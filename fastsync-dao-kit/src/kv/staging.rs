//! Batches of large sessions. A batch is cut into parts of a few kilobytes, since an engine rewrites neighbours together.

use fastsync_core::SessionId;
use fastsync_core::source::Write;
use fastsync_core::source::rules::cut;

use crate::kv::draft::Draft;
use crate::kv::engine::View;
use crate::kv::fail::Run;
use crate::kv::key;
use crate::kv::range::Range;
use crate::kv::registry::Registry;
use crate::kv::rows;

/// About how many bytes of records a part has.
const PART_BYTES: usize = 16 << 10;

pub(crate) fn stage(
    registry: &Registry,
    draft: &mut Draft<'_, impl View>,
    session: SessionId,
    sequence: u64,
    mut writes: Vec<Write>,
) -> Run<()> {
    for write in &mut writes {
        let kind = registry.get(&write.action.key().type_name)?;
        write.admit(&kind.schema)?;
    }
    if let Some(first) = draft.scan(Range::prefix(key::batch(session, sequence))).next() {
        return first.map(drop);
    }
    // An empty batch has an empty part: it is there, and stays the first.
    let mut number = 0;
    for part in parts_of(&writes) {
        draft.put(key::batch_part(session, sequence, number), rows::encode(part)?);
        number = number.saturating_add(1);
    }
    Ok(())
}

/// At least one part, in order.
pub(crate) fn parts_of(writes: &[Write]) -> impl Iterator<Item = &[Write]> {
    cut(writes, PART_BYTES, 0)
}

pub(crate) fn unstage(draft: &mut Draft<'_, impl View>, session: Option<SessionId>) -> Run<()> {
    let keys = draft.scan(Range::prefix(key::staged(session))).map(|row| Ok(row?.0.as_ref().to_vec()));
    for key in keys.collect::<Run<Vec<_>>>()? {
        draft.remove(key);
    }
    Ok(())
}

/// Everything that a session staged, in the order of its batches.
pub(crate) fn staged(rows: &impl View, session: SessionId) -> impl Iterator<Item = Run<Vec<Write>>> {
    rows.scan(Range::prefix(key::staged(Some(session)))).map(|row| rows::decode(row?.1.as_ref()))
}

/// The stored parts of a session that is carried out: what was staged, then what replaces some of it; after a key, if
/// one is given.
pub(crate) fn parts<'a, V: View>(
    rows: &'a V,
    session: SessionId,
    after: Option<&Vec<u8>>,
) -> impl Iterator<Item = Run<(V::Bytes<'a>, V::Bytes<'a>)>> + use<'a, V> {
    let prefixes = [key::staged(Some(session)), key::overrides(session)];
    let ranges = prefixes.map(|prefix| match after {
        Some(after) if *after >= prefix => Range::following(prefix, after.clone()),
        _ => Range::prefix(prefix),
    });
    ranges.into_iter().flat_map(|range| rows.scan(range))
}
