use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    #[syncable(id)]
    id: String,
    name: String,
    #[syncable(rename = "name")]
    title: String,
    #[syncable(rename = "ID")]
    other: String,
    #[allow(non_snake_case)]
    Name: String,
}

fn main() {}
