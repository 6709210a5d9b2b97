//! Keys and values that are not stored as they are.

use fastsync_core::source::Action;
use fastsync_core::{Hlc, ObjectId, Record, Value, Zone};

use super::broken::Broken;
use super::bugs::Bug;

impl Broken {
    pub(super) fn zone(&self, zone: &Zone) -> Zone {
        match (self.bug, zone.key()) {
            (Bug::ZonesFoldCase, Some(key)) => Zone::restricted(key.to_lowercase()).unwrap(),
            _ => zone.clone(),
        }
    }

    pub(super) fn id(&self, id: &ObjectId) -> ObjectId {
        match self.bug {
            Bug::IdsFoldCase => ObjectId::new(id.as_str().to_ascii_lowercase()).unwrap(),
            _ => id.clone(),
        }
    }

    pub(super) fn state_key(&self, key: &str) -> String {
        if self.is(Bug::StateKeysFoldCase) { key.to_lowercase() } else { key.to_owned() }
    }

    /// A record as this data source stores it.
    pub(super) fn warp(&self, action: &mut Action) {
        match action {
            Action::Put { record, .. } => {
                (record.key.zone, record.key.id) = (self.zone(&record.key.zone), self.id(&record.key.id));
                if self.is(Bug::CountersOfTimesAreLost) {
                    record.metadata.modified_at = Hlc::new(record.metadata.modified_at.timestamp(), 0);
                }
                let is_sample = record.key.type_name.as_str() == "samples";
                for value in record.body.iter_mut().flatten() {
                    self.warp_value(value, is_sample);
                }
            }
            Action::Acknowledge { key, .. } => (key.zone, key.id) = (self.zone(&key.zone), self.id(&key.id)),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "what is lost is the bug")]
    fn warp_value(&self, value: &mut Value, may_be_null: bool) {
        match (self.bug, &mut *value) {
            (Bug::NumbersBecomeReals, Value::Integer(whole)) => *whole = *whole as f64 as i64,
            (Bug::RealsAreSingle, Value::Real(real)) => *real = f64::from(*real as f32),
            (Bug::TextIsTrimmed, Value::Text(text)) => *text = text.trim_end().to_owned(),
            (Bug::LongTextIsCut, Value::Text(text)) if text.len() > 1 << 16 => text.clear(),
            (Bug::MomentsAreMilliseconds, Value::Text(text)) => *text = text.replace("456789Z", "Z"),
            (Bug::BytesEndAtZero, Value::Bytes(bytes)) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                bytes.truncate(end);
            }
            (Bug::JsonNumbersAreShortened, Value::Json(text)) => *text = text.replace("1.0", "1"),
            (Bug::EmptyTextBecomesNull, Value::Text(text)) if text.is_empty() && may_be_null => {
                *value = Value::Null;
            }
            _ => {}
        }
    }

    /// A record as it is read.
    pub(super) fn read(&self, record: &mut Record) {
        for value in record.body.iter_mut().flatten() {
            if let Value::Real(real) = value
                && *real == 0.0
                && self.is(Bug::ZerosAreNegative)
            {
                *real = -0.0;
            }
        }
    }
}
