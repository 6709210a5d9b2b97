//! Ids: 16 bytes if the text is a UUID's, else the text.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::Compact;
use crate::model::ObjectId;

impl Serialize for Compact<&ObjectId> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match uuid_of(self.0.as_str()) {
            Some(uuid) => serializer.serialize_bytes(uuid.as_bytes()),
            None => serializer.serialize_str(self.0.as_str()),
        }
    }
}

/// The UUID that this is the text of: only if the same text comes out of it again.
fn uuid_of(text: &str) -> Option<Uuid> {
    let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

impl<'de> Deserialize<'de> for Compact<ObjectId> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor).map(Self)
    }
}

impl From<Compact<Self>> for ObjectId {
    fn from(compact: Compact<Self>) -> Self {
        compact.0
    }
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = ObjectId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object's id: text, or the 16 bytes of a UUID")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ObjectId, E> {
        ObjectId::new(text).map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ObjectId, E> {
        match Uuid::from_slice(bytes) {
            Ok(uuid) => Ok(ObjectId::from(uuid)),
            Err(_) => Err(E::invalid_length(bytes.len(), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_comes_out_again_is_a_uuid() {
        let text = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(ObjectId::from(uuid_of(text).unwrap()).as_str(), text);
        for other in [
            "67E55044-10b1-426f-9247-bb680e5fe0c8",
            "67e5504410b1426f9247bb680e5fe0c8",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "67e55044010b10426f092470bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0cé",
        ] {
            assert_eq!(uuid_of(other), None, "{other}");
        }
    }
}
