//! Longer things to tell.

use std::path::Path;

use anyhow::{Context, ensure};
use fastsync_core::SyncableRepositoryExt;
use indicatif::HumanCount;

use crate::edits::{Edited, Renamed};
use crate::events::Told;
use crate::replica::Replica;
use crate::screen::Screen;
use crate::storage::Storage;

pub(crate) fn edits(screen: &Screen, a: &Edited, b: &Edited) {
    for (who, edited) in [("A", a), ("B", b)] {
        let Edited { updated, removed, added, renamed } = edited;
        screen.say(format!(
            "{who} updated {}, removed {removed}, added {added}, and renamed {} to “{}”",
            HumanCount(*updated),
            renamed.before,
            renamed.name
        ));
    }
    screen.say("(A also removed Vaduz, which B renamed)");
}

pub(crate) async fn conflicts(
    screen: &Screen,
    a: &Replica,
    renamed_by_a: &Renamed,
    renamed_by_b: &Renamed,
    told: &[Told],
) -> anyhow::Result<()> {
    let city = a.cities.find_by_id(&renamed_by_a.id).await?.context("the renamed city is there")?;
    let later = renamed_by_a.at.saturating_sub(renamed_by_b.at);
    screen.say(format!(
        "Conflict on {}: A renamed it “{}”, B “{}”",
        renamed_by_a.before, renamed_by_a.name, renamed_by_b.name
    ));
    screen.say(format!(
        "   “{}” stays: A's edit was made {later} ms later, and under TimestampOrdering the later edit wins,",
        city.name
    ));
    screen.say("   no matter which of them reaches the server first");
    screen.say(
        "Conflict on Vaduz: A removed it, B renamed it. It stays removed: an edit that does not know of a",
    );
    screen.say("   deletion never undoes it");
    let dropped = told.iter().filter(|conflict| conflict.server_won).count();
    screen.say(format!(
        "B was told of {} conflicts; {dropped} of its edits gave way, and none did silently",
        told.len()
    ));
    ensure!(city.name == renamed_by_a.name, "the later edit should have won");
    ensure!(told.iter().any(|conflict| conflict.id == city.id.to_string()), "B was not told of the conflict");
    Ok(())
}

pub(crate) fn memory(screen: &Screen, client: Option<u64>, server: Option<u64>) {
    if let (Some(client), Some(server)) = (client, server) {
        let mib = |kib: u64| kib.div_ceil(1024);
        screen.say(format!(
            "Peak memory up to the end of step 4: server {} MiB, client B {} MiB",
            mib(server),
            mib(client)
        ));
    }
}

pub(crate) fn verdict(equal: bool, kept: Option<&Path>, clients: Storage) {
    if equal {
        println!("\nAll three stores hold the same rows.");
    } else {
        println!("\nTHE STORES DIFFER. This should not happen: please report it.");
    }
    if let Some(folder) = kept {
        println!("They are in {}.", folder.display());
        if clients == Storage::Sqlite {
            let file = clients.path(folder, "client-b");
            println!("Look at them with the sqlite3 shell:");
            println!("   sqlite3 {} \"SELECT * FROM cities WHERE country = 'IS' LIMIT 5\"", file.display());
        }
    }
}
