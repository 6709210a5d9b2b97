//! What the ids of a type are.

use serde::{Deserialize, Serialize};

use super::kind::is_canonical_uuid;
use crate::model::ObjectId;

/// The kind of a type's ids. An id is text in every case, compared by its bytes; the kind says which texts are ids.
///
/// Each id of a kind has one text, so that two ids are never the same object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdKind {
    /// Any [`ObjectId`].
    #[default]
    Text,
    /// A UUID, as its hyphenated lower-case text.
    Uuid,
    /// A signed 64-bit whole number, as its decimal text: `-7`, not `-07`.
    Integer,
}

impl IdKind {
    /// Whether this is [`IdKind::Text`], which stored schemas and messages leave out.
    pub(crate) fn is_text(&self) -> bool {
        *self == Self::Text
    }

    /// Whether every id of the other kind is one of this.
    pub(super) fn takes(self, other: Self) -> bool {
        self == other || self == Self::Text
    }

    /// What is wrong with an id of a type with this kind of ids.
    pub(super) fn refuses(self, id: &ObjectId) -> Option<&'static str> {
        let text = id.as_str();
        match self {
            Self::Text => None,
            Self::Uuid => {
                (!is_canonical_uuid(text)).then_some("is not a UUID in lower case and with hyphens")
            }
            Self::Integer => {
                let is_canonical = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
                (!is_canonical)
                    .then_some("is not a whole number within -2^63 and 2^63 - 1, without leading zeros")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_of_a_kind_has_one_text() {
        let refused = |kind: IdKind, text: &str| kind.refuses(&ObjectId::new(text).unwrap()).is_some();
        for (text, uuid, integer) in [
            ("018f3a52-7f00-7000-8000-0000000000aa", true, false),
            ("018F3A52-7f00-7000-8000-0000000000aa", false, false),
            ("018f3a527f00700080000000000000aa", false, false),
            ("0", false, true),
            ("-9223372036854775808", false, true),
            ("9223372036854775808", false, false),
            ("07", false, false),
            ("+7", false, false),
            ("-0", false, false),
            ("seven", false, false),
        ] {
            assert_eq!(
                (refused(IdKind::Text, text), refused(IdKind::Uuid, text), refused(IdKind::Integer, text)),
                (false, !uuid, !integer),
                "{text}"
            );
        }
    }
}
