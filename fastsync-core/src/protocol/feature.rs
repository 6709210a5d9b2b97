//! What a message asks of its reader.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION};
use crate::error::{Error, ErrorKind, Result};

/// The features that this release knows: none yet.
pub const FEATURES: &[&str] = &[];

/// How many features a message may require.
pub const MAX_FEATURES: usize = 64;

const MAX_NAME_BYTES: usize = 64;

/// The name of a feature: something that a message of the same protocol version may contain and its reader must not
/// ignore.
///
/// ```
/// use fastsync_core::protocol::FeatureName;
///
/// assert_eq!(FeatureName::new("move-between-zones")?.as_str(), "move-between-zones");
/// assert!(FeatureName::new("two words").is_err());
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeatureName(String);

impl FeatureName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// `InvalidInput` unless it is an ASCII letter followed by at most 63 ASCII letters, digits, `-` or `_`.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let mut characters = name.chars();
        let well_formed = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if well_formed && name.len() <= MAX_NAME_BYTES {
            return Ok(Self(name));
        }
        let limit = MAX_NAME_BYTES - 1;
        let message = format!(
            "a feature's name is not a letter followed by at most {limit} letters, digits, `-` or `_`"
        );
        Err(Error::invalid("check", message))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FeatureName {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<FeatureName> for String {
    fn from(name: FeatureName) -> Self {
        name.0
    }
}

impl fmt::Display for FeatureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a request's metadata that every version and every feature leaves as it is.
///
/// For transports: if a request cannot be read, this tells whether it is invalid or meant for a later release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Requirements {
    /// The protocol version of the sender.
    pub protocol: u16,
    /// What the reader must know.
    #[serde(default, deserialize_with = "each_once")]
    pub requires: BTreeSet<FeatureName>,
}

impl Requirements {
    /// Whether this end can serve the sender.
    ///
    /// # Errors
    /// `UpgradeRequired` if the protocol version is outside the supported window, or a feature is not known here.
    pub fn check(&self) -> Result<()> {
        check_protocol(self.protocol)?;
        check_features(&self.requires)
    }
}

pub(super) fn check_protocol(protocol: u16) -> Result<()> {
    if (MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&protocol) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UpgradeRequired,
        "negotiate",
        format!(
            "the peer speaks protocol {protocol}, supported are {MIN_PROTOCOL_VERSION} to {PROTOCOL_VERSION}"
        ),
    )
    .with_protocols(MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION))
}

pub(super) fn check_features(required: &BTreeSet<FeatureName>) -> Result<()> {
    let unknown: Vec<&str> =
        required.iter().map(FeatureName::as_str).filter(|name| !FEATURES.contains(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UpgradeRequired,
        "negotiate",
        format!(
            "the request requires features that the server does not know; upgrade the server or send without them: {}",
            unknown.join(", ")
        ),
    ))
}

/// Reads names of features, each once and not too many.
pub(super) fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<FeatureName>, D::Error> {
    struct Names;

    impl<'de> de::Visitor<'de> for Names {
        type Value = BTreeSet<FeatureName>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_FEATURES} names of features")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut names = BTreeSet::new();
            while let Some(name) = seq.next_element()? {
                if names.len() == MAX_FEATURES {
                    return Err(de::Error::invalid_length(MAX_FEATURES + 1, &self));
                }
                if !names.insert(name) {
                    return Err(de::Error::custom("a feature is named twice"));
                }
            }
            Ok(names)
        }
    }

    deserializer.deserialize_seq(Names)
}
