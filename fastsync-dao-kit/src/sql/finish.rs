//! The end of a commit: state entries, the session, and its position in each zone.

use fastsync_core::source::rules::Tally;
use fastsync_core::source::{Commit, ExpectState, StateWrite};

use crate::sql::driver::{Database, Done, Link};
use crate::sql::fail::{Fail, Run};
use crate::sql::index::Given;
use crate::sql::many::{Many, all_new};
use crate::sql::statement::{Bits, Name, Sql};
use crate::sql::store::Store;

/// What was put, by the numbers of zones and types.
pub(crate) type Written = Tally<u64, u64>;

/// Writes state entries and the session, and takes its positions: from here to the end of the transaction nobody
/// else commits to these zones. `None` if the session is there already.
pub(crate) async fn finish<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    commit: &Commit,
    device: u64,
    written: &Written,
) -> Run<Option<Given>> {
    write_state(store, link, commit).await?;
    let mut given = Given::default();
    if written.has_edits() {
        let next = link.dialect().raise("fastsync_meta", "value", "", "name = 'change'");
        given.change = Sql::new(next).number(link).await?;
    }
    let counts = serde_json::to_string(&written.by_type());
    let counts = counts.map_err(|_| Fail::invalid("commit", "a summary cannot be stored"))?;
    let dialect = link.dialect();
    let session = commit.session.as_uuid();
    let insert = "INSERT INTO fastsync_sessions (id, kind, `user`, device, number, committed_at, `change`, counts) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let mut sql = Sql::new(insert.to_owned() + dialect.passing_over()).bind(session);
    sql.add(Name(commit.kind.name())).add(commit.author.user.as_deref().map(str::as_bytes)).add(device);
    sql.add(Bits(commit.author.number)).add(commit.at.as_millis()).add(given.change).add(Name(&counts));
    match sql.execute(link).await {
        // Of two that commit one session at once, the second waits here for the first.
        Err(fail) if fail.is_duplicate() => return Ok(None),
        Ok(Done { rows: 0, .. }) => return Ok(None),
        inserted => inserted?,
    };
    if !commit.positioned {
        return Ok(Some(given));
    }
    // In the order of their numbers, so that two sessions over the same zones do not wait for each other.
    let zones = written.zones();
    for zone in &zones {
        let next = dialect.raise("fastsync_zones", "head", ", tag = ?", "n = ?");
        let position = Sql::new(next).bind(Bits(commit.tag.0)).bind(*zone).number(link).await?;
        given.positions.insert(*zone, position);
    }
    let mut places: Vec<_> = given.positions.iter().collect();
    places.sort();
    let insert = "INSERT INTO fastsync_positions (zone, position, session, tag, device, number) ";
    let bind = |sql: &mut Sql<_>, (zone, position): &(&u64, &u64)| {
        sql.add(**zone).add(**position).add(session).add(Bits(commit.tag.0));
        sql.add(device).add(Bits(commit.author.number));
    };
    Many::insert(insert, 6, "").execute(link, &places, bind).await?;
    Ok(Some(given))
}

/// Sets and removes state entries, in the order of their keys.
async fn write_state<D: Database>(store: &Store<D>, link: &mut D::Link, commit: &Commit) -> Run<()> {
    let mut writes: Vec<_> = commit.state.iter().collect();
    writes.sort_by_key(|write| &write.key);
    let (set, removed): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write: &&StateWrite| write.value.is_some());
    let (new, replaced): (Vec<_>, Vec<_>) =
        set.into_iter().partition(|write: &&StateWrite| write.expect == ExpectState::Absent);
    // An entry that was not there could not be locked, so its insert finds out whether somebody else was faster.
    let (bytes, dialect) = (store.database.statement_bytes(), link.dialect());
    let written = set_state(link, bytes, &new, dialect.passing_over()).await;
    all_new(link, written, new.len())?;
    set_state(link, bytes, &replaced, &dialect.replace(&["name"], &["value"])).await?;
    for removed in removed.chunks(dialect.most_keys) {
        let mut sql = Sql::new("DELETE FROM fastsync_state WHERE name");
        sql.push_list(dialect, removed.iter().map(|write| write.key.as_bytes()));
        sql.execute(link).await?;
    }
    Ok(())
}

async fn set_state<L: Link>(
    link: &mut L,
    statement_bytes: usize,
    writes: &[&StateWrite],
    end: &str,
) -> Run<u64> {
    let set = Many::insert("INSERT INTO fastsync_state (name, value) ", 2, end);
    let bytes =
        |write: &&StateWrite| write.key.len().saturating_add(write.value.as_ref().map_or(0, Vec::len));
    set.within(link, writes, (statement_bytes, bytes), |sql, write| {
        sql.add(write.key.as_bytes()).add(write.value.as_deref().unwrap_or_default());
    })
    .await
}
