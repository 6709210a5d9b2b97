use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(id, rename = "items")]
struct Item {
    #[syncable(id)]
    id: String,
    #[syncable(restricted, name = "title", version = 3)]
    name: String,
}

fn main() {}
