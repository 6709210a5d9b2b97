use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(name = items)]
struct A {
    #[syncable(id = "id")]
    id: String,
    #[syncable(rename)]
    name: String,
    #[syncable(skip(true))]
    other: String,
}

#[derive(SyncableObject)]
#[syncable(priority = 2147483648)]
#[syncable(version = -1)]
struct B {
    #[syncable]
    id: String,
    #[syncable = "id"]
    other: String,
}

#[derive(SyncableObject)]
#[syncable(priority = "high")]
struct C {
    #[syncable(id)]
    id: String,
}

#[derive(SyncableObject)]
#[syncable(crate = "fast-sync")]
struct Elsewhere {
    #[syncable(id)]
    id: String,
}

fn main() {}
