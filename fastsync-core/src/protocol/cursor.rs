//! The cursor: opaque to clients, sealed by the server.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeviceId, ObjectId, Position, Tag, TypeName, Zone};
use crate::source::Point;

/// Where a device stands in the histories of its zones. Clients keep it and send it back, and cannot read it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// The cursor in its text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Shows only that there is one.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The server store's history that the positions belong to.
    pub(crate) epoch: u64,
    /// The types that were delivered up to the points, each with what its rows had ([`TypeVersion::coverage`](super::TypeVersion::coverage)).
    pub(crate) types: BTreeMap<TypeName, u64>,
    /// The point in each zone.
    pub(crate) points: BTreeMap<Zone, SealedPoint>,
}

/// A [`Point`] in its stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedPoint {
    position: Position,
    tag: Tag,
    within: Option<(TypeName, ObjectId)>,
    horizon: Position,
    loading: bool,
}

impl From<Point> for SealedPoint {
    fn from(Point { position, tag, within, horizon, loading }: Point) -> Self {
        Self { position, tag, within, horizon, loading }
    }
}

impl From<SealedPoint> for Point {
    fn from(SealedPoint { position, tag, within, horizon, loading }: SealedPoint) -> Self {
        Self { position, tag, within, horizon, loading }
    }
}

/// Seals cursors with a keyed hash, bound to whom they were issued to.
#[derive(Clone)]
pub(crate) struct CursorSeal {
    key: [u8; 32],
    max_text_bytes: usize,
}

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
/// What the types of a cursor take at most, and each of its zones: what is longer was not issued here, and is
/// not decoded.
const MAX_TYPES_BYTES: usize = 64 * 1024;
const MAX_ZONE_BYTES: usize = 1024;

impl CursorSeal {
    /// Of cursors over this many zones at most.
    pub(crate) const fn new(key: [u8; 32], zones: usize) -> Self {
        Self { key, max_text_bytes: MAX_TYPES_BYTES.saturating_add(MAX_ZONE_BYTES.saturating_mul(zones)) }
    }

    pub(crate) fn seal(&self, standing: &Standing, holder: &Holder<'_>) -> Result<Cursor> {
        let mut bytes = postcard::to_extend(standing, vec![VERSION]).map_err(|error| {
            Error::new(ErrorKind::Backend, "seal", "a cursor cannot be written").with_source(error)
        })?;
        let mac = self.mac(&bytes, holder);
        bytes.extend_from_slice(mac.as_bytes());
        Ok(Cursor(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// # Errors
    /// `BadCursor`, with the same message whatever is wrong.
    pub(crate) fn open(&self, cursor: &Cursor, holder: &Holder<'_>) -> Result<Standing> {
        self.try_open(cursor, holder).ok_or_else(|| {
            Error::new(
                ErrorKind::BadCursor,
                "pull",
                "the cursor was not issued by this server to this device",
            )
        })
    }

    fn try_open(&self, cursor: &Cursor, holder: &Holder<'_>) -> Option<Standing> {
        if cursor.0.len() > self.max_text_bytes {
            return None;
        }
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&cursor.0).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        // `blake3::Hash` compares in constant time.
        if self.mac(content, holder) != blake3::Hash::from_slice(mac).ok()? {
            return None;
        }
        let (VERSION, standing) = content.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        postcard::from_bytes(standing).ok()
    }

    fn mac(&self, content: &[u8], holder: &Holder<'_>) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [holder.tenant.unwrap_or_default().as_bytes(), holder.user.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hasher.update(&[u8::from(holder.tenant.is_some())]);
        hasher.update(holder.device.as_uuid().as_bytes()).update(content);
        hasher.finalize()
    }
}

/// The key stays out of logs.
impl fmt::Debug for CursorSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorSeal")
    }
}

/// Whom a cursor is issued to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) user: &'a str,
    pub(crate) device: DeviceId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        let point = Point { position: Position(7), tag: Tag(9), ..Point::START };
        Standing {
            epoch: 1,
            types: [(TypeName::new("items").unwrap(), 1)].into(),
            points: [(Zone::Global, point.into())].into(),
        }
    }

    fn holder(user: &str) -> Holder<'_> {
        Holder { tenant: None, user, device: DeviceId::from_uuid(uuid::Uuid::from_u128(5)) }
    }

    #[test]
    fn opens_only_what_was_sealed_for_the_same_holder() {
        let seal = CursorSeal::new([7; 32], 1);
        let cursor = seal.seal(&standing(), &holder("ada")).unwrap();
        assert_eq!(seal.open(&cursor, &holder("ada")).unwrap(), standing());
        for (other, who) in [
            (CursorSeal::new([8; 32], 1), holder("ada")),
            (seal.clone(), holder("bob")),
            (seal.clone(), Holder { tenant: Some("ada"), ..holder("") }),
            (seal.clone(), Holder { tenant: Some(""), ..holder("ada") }),
            (seal.clone(), Holder { device: DeviceId::from_uuid(uuid::Uuid::from_u128(6)), ..holder("ada") }),
        ] {
            assert_eq!(other.open(&cursor, &who).unwrap_err().kind(), ErrorKind::BadCursor);
        }
    }

    #[test]
    fn every_altered_cursor_is_refused() {
        let seal = CursorSeal::new([7; 32], 1);
        let cursor = seal.seal(&standing(), &holder("ada")).unwrap();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let bytes = engine.decode(cursor.as_str()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = Cursor::from(engine.encode(altered));
            assert_eq!(seal.open(&altered, &holder("ada")).unwrap_err().kind(), ErrorKind::BadCursor);
        }
        for text in
            [String::new(), "x".into(), "====".into(), "A".repeat(1 << 20), cursor.as_str()[1..].to_owned()]
        {
            assert!(seal.open(&Cursor::from(text), &holder("ada")).is_err());
        }
    }
}
