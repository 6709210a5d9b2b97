//! What the macro accepts at the limits of what it accepts.

use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[allow(dead_code, reason = "only its schema is looked at")]
#[syncable(name = "items", priority = -2147483648, restricted, version = 4294967295)]
struct Item {
    #[syncable(id, rename = "code")]
    id: String,
    #[syncable(rename = "x23456789_123456789_123456789_123456789_12345678")]
    r#type: Option<u64>,
    #[syncable(rename = "area")]
    zone: f32,
    #[syncable(skip)]
    größe: &'static str,
    #[syncable(json)]
    tags: Vec<String>,
    #[syncable(text)]
    #[syncable(rename = "letter")]
    character: char,
    /// The attributes of others are left alone.
    #[allow(dead_code, reason = "to be one that the macro leaves alone")]
    last: Option<(u8, [bool; 2])>,
}

/// `zone` is taken in restricted types only.
#[derive(SyncableObject)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Plain {
    #[syncable(id)]
    zone: u8,
}

#[test]
fn every_attribute_at_its_limit_makes_a_schema() {
    let schema = Item::schema().unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name.as_str().to_owned()).collect();
    let long = "x23456789_123456789_123456789_123456789_12345678";
    assert_eq!(names, [long, "area", "tags", "letter", "last"]);
    assert_eq!(
        (schema.id_field().as_str(), schema.version(), schema.priority()),
        ("code", u32::MAX, i32::MIN)
    );
    assert!(Plain::schema().unwrap().fields().is_empty());
}
