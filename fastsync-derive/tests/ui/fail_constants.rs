use fastsync_core::SyncableObject;

#[derive(SyncableObject)]
struct Item {
    #[syncable(id, constant = "KEY")]
    id: String,
    #[syncable(skip, constant = "SELECTED")]
    selected: bool,
    #[syncable(constant = "not a name")]
    note: String,
}

#[derive(SyncableObject)]
struct Place {
    #[syncable(id)]
    id: String,
    name: String,
    #[allow(non_snake_case)]
    #[syncable(rename = "other")]
    Name: String,
    #[syncable(constant = "NAME")]
    title: String,
    #[syncable(constant = "TEXT_OF_ITS_OWN")]
    text: String,
}

fn main() {}
