//! Rows: arrays, as in JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple as _};

use super::{Compact, each};
use crate::model::{ObjectId, Value};
use crate::protocol::Row;
use crate::protocol::payload::bounded_body;

impl Serialize for Compact<&Row> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row(id, revision, incarnation, modified_at, device, body) = self.0;
        let mut row = serializer.serialize_tuple(6)?;
        row.serialize_element(&Compact(id))?;
        row.serialize_element(revision)?;
        row.serialize_element(incarnation)?;
        row.serialize_element(modified_at)?;
        row.serialize_element(device)?;
        row.serialize_element(&BodyRef(body.as_deref()))?;
        row.end()
    }
}

struct BodyRef<'a>(Option<&'a [Value]>);

impl Serialize for BodyRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(values) => each::serialize(values, serializer),
            None => serializer.serialize_none(),
        }
    }
}

struct Body(Option<Vec<Value>>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded_body::<Compact<Value>, _>(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Compact<Row> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(6, RowVisitor).map(Self)
    }
}

struct RowVisitor;

impl<'de> de::Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row: an array of 6")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Row, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: de::SeqAccess<'de>>(
            seq: &mut A,
            place: usize,
        ) -> Result<T, A::Error> {
            seq.next_element()?.ok_or_else(|| de::Error::invalid_length(place, &RowVisitor))
        }
        let Compact(id) = next::<Compact<ObjectId>, _>(&mut seq, 0)?;
        Ok(Row(
            id,
            next(&mut seq, 1)?,
            next(&mut seq, 2)?,
            next(&mut seq, 3)?,
            next(&mut seq, 4)?,
            next::<Body, _>(&mut seq, 5)?.0,
        ))
    }
}
