use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
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
    #[allow(dead_code)]
    last: Option<(u8, [bool; 2])>,
}

/// `zone` is taken in restricted types only.
#[derive(SyncableObject)]
struct Plain {
    #[syncable(id)]
    zone: u8,
}

fn main() {}
