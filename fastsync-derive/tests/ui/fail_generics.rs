use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item<T> {
    #[syncable(id)]
    id: String,
    value: T,
}

#[derive(SyncableObject)]
struct Borrowed<'a> {
    #[syncable(id)]
    id: &'a str,
}

fn main() {}
