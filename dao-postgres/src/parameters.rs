//! What is bound to a statement, in the server's binary form: sqlx's own features for that would bring another SQLite.

use fastsync_core::Value;
use fastsync_dao_kit::sql::{Arguments, Holds};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments as _, Encode, Postgres, Type};
use uuid::Uuid;

use crate::native::{self, BOOL, BYTEA, INT8, Oids, TEXT, UUID};

/// What is bound to a statement, encoded.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    arguments: PgArguments,
    failed: bool,
    /// Those that values go into, one after the other; otherwise each value is a parameter.
    arrays: Vec<Array>,
    /// Which of them is next.
    next: usize,
}

impl Bound {
    /// `None` if a value cannot be sent.
    pub(crate) fn finish(self) -> Option<PgArguments> {
        (!self.failed).then_some(self.arguments)
    }

    fn bind(&mut self, oid: u32, bytes: Option<Vec<u8>>) {
        self.failed |= self.arguments.add(Parameter { oid, bytes }).is_err();
    }

    /// Takes a value that is written; null if that answers `false`.
    fn put(&mut self, oids: Oids, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        match self.arrays.get_mut(self.next) {
            Some(array) => {
                array.push(oids, write);
                self.next = self.next.saturating_add(1);
                if self.next == self.arrays.len() {
                    self.next = 0;
                }
            }
            None => {
                let mut bytes = Vec::new();
                let is_there = write(&mut bytes);
                self.bind(oids.one, is_there.then_some(bytes));
            }
        }
    }

    fn put_bytes(&mut self, oids: Oids, bytes: &[u8]) {
        self.put(oids, |to| {
            to.extend_from_slice(bytes);
            true
        });
    }
}

impl Arguments for Bound {
    fn number(&mut self, number: u64) {
        self.put_bytes(INT8, &i64::try_from(number).unwrap_or(i64::MAX).to_be_bytes());
    }

    fn bits(&mut self, bits: u64) {
        self.put_bytes(INT8, &bits.to_be_bytes());
    }

    fn truth(&mut self, truth: bool) {
        self.put_bytes(BOOL, &[u8::from(truth)]);
    }

    fn text(&mut self, text: &str) {
        self.put_bytes(TEXT, text.as_bytes());
    }

    fn name(&mut self, name: &str) {
        self.text(name);
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.put(BYTEA, |to| {
            to.extend_from_slice(bytes.unwrap_or_default());
            bytes.is_some()
        });
    }

    fn uuid(&mut self, uuid: Uuid) {
        self.put_bytes(UUID, uuid.as_bytes());
    }

    fn value(&mut self, holds: Holds, value: &Value) {
        self.put(native::oids(holds), |to| native::write(holds, value, to));
    }

    fn id(&mut self, holds: Holds, id: &str) {
        self.put(native::oids(holds), |to| {
            native::write_id(holds, id, to);
            true
        });
    }

    fn begin_arrays(&mut self, columns: usize) {
        self.arrays.resize_with(columns, Array::default);
        self.next = 0;
    }

    fn end_arrays(&mut self) {
        for array in std::mem::take(&mut self.arrays) {
            let (oid, bytes) = array.into_bytes();
            self.bind(oid, Some(bytes));
        }
    }
}

/// An array of one dimension in the server's binary form.
#[derive(Debug)]
struct Array {
    oids: Oids,
    length: i32,
    has_nulls: bool,
    elements: Vec<u8>,
}

impl Default for Array {
    fn default() -> Self {
        Self { oids: TEXT, length: 0, has_nulls: false, elements: Vec::new() }
    }
}

impl Array {
    /// Appends what is written; null if that answers `false`. All elements are of one type.
    fn push(&mut self, oids: Oids, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.oids = oids;
        let begin = self.elements.len();
        self.elements.extend_from_slice(&(-1_i32).to_be_bytes());
        let body = self.elements.len();
        self.length = self.length.saturating_add(1);
        if !write(&mut self.elements) {
            self.elements.truncate(body);
            self.has_nulls = true;
            return;
        }
        let length = i32::try_from(self.elements.len().saturating_sub(body)).unwrap_or(i32::MAX);
        if let Some(place) = self.elements.get_mut(begin..body) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn into_bytes(self) -> (u32, Vec<u8>) {
        let dimensions = i32::from(self.length > 0);
        let mut bytes = Vec::with_capacity(self.elements.len().saturating_add(20));
        bytes.extend_from_slice(&dimensions.to_be_bytes());
        bytes.extend_from_slice(&i32::from(self.has_nulls).to_be_bytes());
        bytes.extend_from_slice(&self.oids.one.to_be_bytes());
        if dimensions > 0 {
            bytes.extend_from_slice(&self.length.to_be_bytes());
            bytes.extend_from_slice(&1_i32.to_be_bytes());
            bytes.extend_from_slice(&self.elements);
        }
        (self.oids.many, bytes)
    }
}

/// A parameter in the server's binary form; `None` is null.
struct Parameter {
    oid: u32,
    bytes: Option<Vec<u8>>,
}

impl Type<Postgres> for Parameter {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(TEXT.one))
    }
}

impl Encode<'_, Postgres> for Parameter {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }

    fn size_hint(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_its_header_its_elements_and_its_nulls() {
        let mut array = Array::default();
        array.push(INT8, |to| {
            to.extend_from_slice(&7_i64.to_be_bytes());
            true
        });
        array.push(INT8, |_| false);
        let (oid, bytes) = array.into_bytes();
        assert_eq!((oid, bytes.len()), (1016, 20 + 12 + 4));
        assert_eq!(bytes[..12], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20]);
        assert_eq!(Array::default().into_bytes().1.len(), 12);
    }

    #[test]
    fn rows_go_into_arrays_column_by_column() {
        let mut bound = Bound::default();
        bound.begin_arrays(2);
        for (number, text) in [(1, "a"), (2, "b"), (3, "c")] {
            bound.number(number);
            bound.text(text);
        }
        let arrays: Vec<_> = bound.arrays.iter().map(|array| (array.oids, array.length)).collect();
        assert_eq!(arrays, [(INT8, 3), (TEXT, 3)]);
        bound.end_arrays();
        bound.truth(true);
        assert_eq!(bound.finish().unwrap().len(), 3);
    }
}
