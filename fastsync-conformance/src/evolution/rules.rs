//! What the guide promises of two releases, computed from their schemas: what a case expects.

use fastsync_core::{FieldName, FieldSchema, TypeSchema, Value};

use super::release::Item;

/// The place, in a body of the other release, of the same field: of its name, or of one that either had before.
fn place(field: &FieldSchema, other: &TypeSchema) -> Option<usize> {
    let is_same = |theirs: &FieldSchema| is_called(theirs, &field.name) || field.was.contains(&theirs.name);
    other.position_of(&field.name).or_else(|| other.fields().iter().position(is_same))
}

fn is_called(field: &FieldSchema, name: &FieldName) -> bool {
    field.name == *name || field.was.contains(name)
}

/// Whether a server exchanges the type with a device: it has all of its fields, the same kind of ids, and takes its
/// version.
pub(super) fn exchange(device: &TypeSchema, server: &TypeSchema) -> bool {
    let knows = |name: &FieldName| server.fields().iter().any(|field| is_called(field, name));
    device.id_kind() == server.id_kind()
        && device.version() >= server.min_version()
        && device.fields().iter().all(|field| knows(&field.name))
}

/// An object of one release after an edit of another: fields that the editor does not have are as they were.
pub(super) fn merged(base: &[Value], to: &TypeSchema, from: &TypeSchema, edit: &[Value]) -> Vec<Value> {
    let value = |(field, base): (&FieldSchema, &Value)| {
        place(field, from).and_then(|place| edit.get(place)).unwrap_or(base).clone()
    };
    to.fields().iter().zip(base).map(value).collect()
}

/// An object of one release as another one has it: fields that the first does not have are new.
pub(super) fn projected(item: &Item, from: &TypeSchema, to: &TypeSchema) -> Item {
    let initial: Vec<Value> = to.fields().iter().map(FieldSchema::initial).collect();
    Item { id: item.id.clone(), body: merged(&initial, to, from, &item.body) }
}

/// A stored object after the store was opened by a later release: what was null and must not be is new, too.
pub(super) fn carried(item: &Item, from: &TypeSchema, to: &TypeSchema) -> Item {
    let mut carried = projected(item, from, to);
    for (value, field) in carried.body.iter_mut().zip(to.fields()) {
        if *value == Value::Null && !field.nullable {
            *value = field.initial();
        }
    }
    carried
}

/// The values of fields that the later release does not have.
pub(super) fn former(item: &Item, from: &TypeSchema, to: &TypeSchema) -> Vec<(FieldName, Value)> {
    let is_gone = |field: &FieldSchema| {
        !to.fields().iter().any(|later| is_called(later, &field.name) || field.was.contains(&later.name))
    };
    let fields = from.fields().iter().zip(&item.body).filter(|(field, _)| is_gone(field));
    fields.map(|(field, value)| (field.name.clone(), value.clone())).collect()
}

/// What the earlier release finds when it opens again a store that a later one has opened: an object that nobody has
/// written meanwhile. A field that the later one does not have has kept its values; one that it calls otherwise is new.
/// `there`: the object as the later one has it.
pub(super) fn returned(item: &Item, there: &Item, from: &TypeSchema, to: &TypeSchema) -> Item {
    let value = |(field, kept): (&FieldSchema, &Value)| {
        let value = match to.position_of(&field.name) {
            Some(place) => there.body.get(place).cloned().unwrap_or(Value::Null),
            None if to.fields().iter().any(|later| later.was.contains(&field.name)) => field.initial(),
            None => kept.clone(),
        };
        if value == Value::Null && !field.nullable { field.initial() } else { value }
    };
    Item { id: item.id.clone(), body: from.fields().iter().zip(&item.body).map(value).collect() }
}
