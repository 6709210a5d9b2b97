use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(nmae = "items", table(name = "x"), serde::rename = "y", priority = 1)]
struct Item {
    #[syncable(id, primary_key)]
    id: String,
    #[syncable(column = "text")]
    name: String,
}

fn main() {}
