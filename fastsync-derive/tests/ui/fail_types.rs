use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    #[syncable(id)]
    id: String,
    name: &'static str,
    huge: u128,
    #[syncable(json)]
    small: Option<i128>,
    twice: Option<Option<String>>,
    #[syncable(text)]
    count: Option<u32>,
}

fn main() {}
