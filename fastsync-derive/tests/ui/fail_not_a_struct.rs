use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
enum Enum {
    One,
}

#[derive(SyncableObject)]
union Union {
    one: u8,
}

#[derive(SyncableObject)]
struct Tuple(u8, String);

#[derive(SyncableObject)]
struct Unit;

fn main() {}
