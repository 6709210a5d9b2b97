//! Who shares a record.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::id::check_text;

/// Who shares a record: everyone, or the members of one restricted zone (a user, a company, a tenant).
///
/// Every record lives in exactly one zone, and ids are looked up together with their zone: the same id in two
/// zones is two records. On the wire and in stores a zone is its text: `global` or `restricted:KEY`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Zone {
    /// Shared by everyone who may sync with the server.
    Global,
    /// Shared by those to whom the server's zone policy grants this key. Made by [`Zone::restricted`].
    Restricted(ZoneKey),
}

/// The checked key of a restricted zone: 1 to 128 bytes without control characters, compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneKey(Arc<str>);

const PREFIX: &str = "restricted:";

impl Zone {
    /// The longest key of a restricted zone in bytes.
    pub const MAX_KEY_BYTES: usize = 128;

    /// The restricted zone with this key, for example `user:42`.
    ///
    /// # Errors
    /// `InvalidInput` if `key` is empty, longer than [`Self::MAX_KEY_BYTES`] or holds a control character.
    pub fn restricted(key: impl AsRef<str>) -> Result<Self> {
        let key = key.as_ref();
        check_text("zone key", key, Self::MAX_KEY_BYTES)?;
        Ok(Self::Restricted(ZoneKey(key.into())))
    }

    /// The key of a restricted zone; `None` for the global one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Global => None,
            Self::Restricted(key) => Some(&key.0),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `InvalidInput` if the text is neither `global` nor `restricted:` and a valid key.
    pub fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix(PREFIX) {
            Some(key) => Self::restricted(key),
            None if text == "global" => Ok(Self::Global),
            None => Err(Error::new(
                crate::ErrorKind::InvalidInput,
                "check",
                "a zone is `global` or `restricted:` and a key",
            )),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Restricted(key) => write!(f, "{PREFIX}{}", key.0),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ZoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_nothing_else_is_a_zone() {
        for zone in [Zone::Global, Zone::restricted("global").unwrap(), Zone::restricted("user:42 ").unwrap()]
        {
            assert_eq!(Zone::parse(&zone.to_string()).unwrap(), zone);
        }
        for text in ["", "*", "%", "Global", "global ", "restricted:", "restricted:a\0", "null"] {
            assert!(Zone::parse(text).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<Zone>("{\"$ne\":null}").is_err());
        assert!(serde_json::from_str::<Zone>("[\"global\"]").is_err());
    }
}
