use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
#[syncable(name = "my items")]
struct Item {
    #[syncable(id)]
    _id: String,
    größe: f64,
    fastsync_state: String,
    this_name_is_much_longer_than_what_fits_into_a_column: String,
    #[syncable(rename = "")]
    empty: String,
    #[syncable(rename = "$set")]
    set: String,
    #[syncable(rename = "a.b")]
    path: String,
    #[syncable(rename = "FASTSYNC_x")]
    reserved: String,
}

#[derive(SyncableObject)]
struct Übung {
    #[syncable(id)]
    id: String,
}

fn main() {}
