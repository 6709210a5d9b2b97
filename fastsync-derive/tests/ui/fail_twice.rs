use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(name = "items", version = 2)]
#[syncable(name = "things")]
struct Item {
    #[syncable(id, id)]
    id: String,
}

fn main() {}
