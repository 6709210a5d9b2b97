use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(restricted)]
struct Item {
    #[syncable(id)]
    id: String,
    zone: String,
    #[syncable(rename = "Zone")]
    area: String,
}

fn main() {}
