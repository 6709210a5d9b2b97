//! Records on the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Columns, TypeVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    DeviceId, Hlc, Incarnation, ObjectId, Record, RecordKey, Revision, SyncMetadata, TypeName, Value, Zone,
};
use crate::schema::{MAX_FIELDS, TypeSchema};

/// Records on the wire: rows grouped by zone and type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncPayload {
    /// The devices that rows name by their place here.
    pub devices: Vec<DeviceId>,
    /// The rows.
    pub groups: Vec<RecordGroup>,
}

impl SyncPayload {
    /// These rows, which name these devices.
    #[must_use]
    pub const fn new(devices: Vec<DeviceId>, groups: Vec<RecordGroup>) -> Self {
        Self { devices, groups }
    }
}

/// The rows of one type in one zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordGroup {
    /// The zone.
    pub zone: Zone,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The rows.
    pub rows: Vec<Row>,
}

impl RecordGroup {
    /// Rows of this type in this zone.
    #[must_use]
    pub const fn new(zone: Zone, type_name: TypeName, rows: Vec<Row>) -> Self {
        Self { zone, type_name, rows }
    }
}

/// One record: `[id, revision, incarnation, modified_at, device, [values...] | null]`. What follows is ignored.
///
/// In a push the revision is the base of the edit, `"0"` for an object that the server has not seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row(
    /// The object's id.
    pub ObjectId,
    /// Its revision or base.
    pub Revision,
    /// The life of the id.
    pub Incarnation,
    /// When it was modified.
    pub Hlc,
    /// Who modified it: an index into the payload's devices.
    pub u32,
    /// Its values in the order of the sender's fields; null if it is deleted.
    pub Option<Vec<Value>>,
);

impl Row {
    /// A record's row; `device` is an index into the payload's devices.
    #[must_use]
    pub const fn new(
        id: ObjectId,
        revision: Revision,
        incarnation: Incarnation,
        modified_at: Hlc,
        device: u32,
        values: Option<Vec<Value>>,
    ) -> Self {
        Self(id, revision, incarnation, modified_at, device, values)
    }

    /// About how many bytes it takes, as [`Record::approximate_bytes`].
    pub(crate) fn approximate_bytes(&self) -> usize {
        let values = self.5.iter().flatten().map(Value::approximate_bytes);
        Record::OVERHEAD_BYTES + self.0.as_str().len() + values.sum::<usize>()
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_row::<ObjectId, Value, D>(deserializer)
    }
}

/// Reads a row with its id in the form `I` and its values in the form `V`.
pub(super) fn read_row<'de, I, V, D>(deserializer: D) -> Result<Row, D::Error>
where
    I: Deserialize<'de> + Into<ObjectId>,
    V: Deserialize<'de> + Into<Value>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(RowVisitor(PhantomData::<(I, V)>))
}

struct RowVisitor<I, V>(PhantomData<(I, V)>);

impl<'de, I, V> de::Visitor<'de> for RowVisitor<I, V>
where
    I: Deserialize<'de> + Into<ObjectId>,
    V: Deserialize<'de> + Into<Value>,
{
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row: an array of at least 6")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Row, A::Error> {
        let missing = |place| de::Error::invalid_length(place, &self);
        let row = Row(
            seq.next_element::<I>()?.ok_or_else(|| missing(0))?.into(),
            seq.next_element()?.ok_or_else(|| missing(1))?,
            seq.next_element()?.ok_or_else(|| missing(2))?,
            seq.next_element()?.ok_or_else(|| missing(3))?,
            seq.next_element()?.ok_or_else(|| missing(4))?,
            seq.next_element::<Body<V>>()?.ok_or_else(|| missing(5))?.values,
        );
        // Places of a later release.
        while seq.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(row)
    }
}

/// A body of values in the form `V`; its length cannot grow past what any type can have.
struct Body<V> {
    values: Option<Vec<Value>>,
    form: PhantomData<V>,
}

impl<'de, V: Deserialize<'de> + Into<Value>> Deserialize<'de> for Body<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = deserializer.deserialize_option(BodyVisitor(PhantomData::<V>))?;
        Ok(Self { values, form: PhantomData })
    }
}

struct BodyVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de> + Into<Value>> de::Visitor<'de> for BodyVisitor<V> {
    type Value = Option<Vec<Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of field values or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut body = Vec::with_capacity(seq.size_hint().unwrap_or(8).min(MAX_FIELDS));
        while let Some(value) = seq.next_element::<V>()? {
            if body.len() == MAX_FIELDS {
                return Err(de::Error::custom("a row has more values than a type can have fields"));
            }
            body.push(value.into());
        }
        Ok(Some(body))
    }
}

impl SyncPayload {
    /// Groups records for sending.
    pub(crate) fn from_records(records: impl IntoIterator<Item = Record>) -> Self {
        let mut payload = Self::default();
        let mut devices: BTreeMap<DeviceId, u32> = BTreeMap::new();
        let mut groups: BTreeMap<(Zone, TypeName), usize> = BTreeMap::new();
        let mut last: Option<usize> = None;
        for record in records {
            let Record { key: RecordKey { zone, type_name, id }, body, metadata } = record;
            let device = *devices.entry(metadata.modified_by).or_insert_with(|| {
                payload.devices.push(metadata.modified_by);
                u32::try_from(payload.devices.len() - 1).unwrap_or(u32::MAX)
            });
            let row = Row(id, metadata.revision, metadata.incarnation, metadata.modified_at, device, body);
            // Records come in runs of one group; the map is asked only where a run ends.
            let same = last
                .and_then(|at| payload.groups.get(at))
                .is_some_and(|g| g.zone == zone && g.type_name == type_name);
            if !same {
                let at = *groups.entry((zone.clone(), type_name.clone())).or_insert(payload.groups.len());
                if at == payload.groups.len() {
                    payload.groups.push(RecordGroup { zone, type_name, rows: Vec::new() });
                }
                last = Some(at);
            }
            if let Some(group) = last.and_then(|at| payload.groups.get_mut(at)) {
                group.rows.push(row);
            }
        }
        payload
    }

    /// The rows with the keys of their records, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RecordKey, &Row)> {
        self.groups.iter().flat_map(|group| {
            group.rows.iter().map(|row| {
                let key = RecordKey {
                    zone: group.zone.clone(),
                    type_name: group.type_name.clone(),
                    id: row.0.clone(),
                };
                (key, row)
            })
        })
    }

    /// The keys of the records, in the order of the rows.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RecordKey> {
        self.rows().map(|(key, _)| key)
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.rows.len()).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Turns the rows into records, checked against the types of this end, without those whose values do not fit: `unfit`
    /// is told of each, and why. Fields are matched by name; those that the sender does not have get their initial value.
    ///
    /// # Errors
    /// `UnknownType` for a type that `schema_of` does not know, or of which the sender has fields that it does not have;
    /// `InvalidInput` if a row has another number of values than its type has fields, or names no device; `TooLarge` if a
    /// body is too large.
    pub(crate) fn into_fitting_records<'a>(
        self,
        senders: &BTreeMap<TypeName, TypeVersion>,
        schema_of: impl Fn(&TypeName) -> Option<&'a TypeSchema>,
        mut unfit: impl FnMut(Record, Error),
    ) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(self.len());
        for group in self.groups {
            let schema = schema_of(&group.type_name).ok_or_else(|| unknown_type(&group.type_name))?;
            let sender = senders.get(&group.type_name).ok_or_else(|| {
                let name = &group.type_name;
                Error::invalid("decode", format!("the metadata does not describe type {name} of the payload"))
            })?;
            let columns = Columns::of(schema, sender)?;
            for Row(id, revision, incarnation, modified_at, device, body) in group.rows {
                let modified_by = usize::try_from(device)
                    .ok()
                    .and_then(|device| self.devices.get(device))
                    .copied()
                    .ok_or_else(|| {
                        let (name, count) = (&group.type_name, self.devices.len());
                        let message = format!(
                            "object {id} of type {name} names device {device}, and the payload has {count} devices"
                        );
                        Error::invalid("decode", message)
                    })?;
                let key = RecordKey { zone: group.zone.clone(), type_name: schema.name().clone(), id };
                schema.admit_id(&key.id).map_err(|error| error.with_record(&key))?;
                let body = body.map(|values| columns.body(schema, values)).transpose()?;
                let metadata = SyncMetadata { revision, incarnation, modified_at, modified_by, change: 0 };
                let mut record = Record { key, body, metadata };
                match record.body.as_mut().map_or(Ok(()), |values| schema.admit(values)) {
                    Ok(()) => records.push(record),
                    Err(error) if error.kind() == ErrorKind::InvalidInput => {
                        let error = error.with_record(&record.key);
                        unfit(record, error);
                    }
                    Err(error) => return Err(error.with_record(&record.key)),
                }
            }
        }
        Ok(records)
    }
}

pub(crate) fn unknown_type(name: &TypeName) -> Error {
    Error::new(ErrorKind::UnknownType, "decode", format!("type {name} is not registered"))
}
