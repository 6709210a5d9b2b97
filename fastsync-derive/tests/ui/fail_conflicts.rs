use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    #[syncable(id, skip)]
    a: String,
    #[syncable(id, text)]
    b: String,
    #[syncable(skip, rename = "d")]
    c: String,
    #[syncable(json, skip)]
    d: String,
    #[syncable(json, text)]
    e: String,
    #[syncable(value)]
    #[syncable(json)]
    f: String,
}

fn main() {}
