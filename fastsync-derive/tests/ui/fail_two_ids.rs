use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    #[syncable(id)]
    order: u32,
    #[syncable(id)]
    line: u32,
}

fn main() {}
