use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    name: String,
}

#[derive(SyncableObject)]
struct Named {
    name: String,
    id: String,
}

fn main() {}
