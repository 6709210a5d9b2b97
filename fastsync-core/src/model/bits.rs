//! 64-bit values as text: other platforms' JSON numbers lose bits beyond 2^53.

use std::fmt;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Lower-case hexadecimal digits in readable formats, a number in compact ones.
pub(crate) fn serialize<S: Serializer>(bits: u64, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&format_args!("{bits:x}"))
    } else {
        serializer.serialize_u64(bits)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(HexVisitor)
    } else {
        u64::deserialize(deserializer)
    }
}

struct HexVisitor;

impl de::Visitor<'_> for HexVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1 to 16 lower-case hexadecimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        let canonical = (1..=16).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        match u64::from_str_radix(text, 16) {
            Ok(bits) if canonical => Ok(bits),
            _ => Err(E::invalid_value(de::Unexpected::Str("text"), &self)),
        }
    }
}
