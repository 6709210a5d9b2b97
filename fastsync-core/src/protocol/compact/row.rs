//! Rows: arrays, as in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeTuple as _};

use super::{Compact, each};
use crate::model::{ObjectId, Value};
use crate::protocol::Row;
use crate::protocol::payload::read_row;

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

impl<'de> Deserialize<'de> for Compact<Row> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_row::<Compact<ObjectId>, Compact<Value>, D>(deserializer).map(Self)
    }
}
