//! Rows of a user's table without an index row, as [`Adoption`] wants them.

use fastsync_core::source::rules::Room;
use fastsync_core::source::{CommitOutcome, PageLimits, Turn};
use fastsync_core::{
    Clock as _, ObjectId, Random as _, SystemClock, SystemRandom, Tag, TypeName, Value, Zone,
};

use crate::sql::adoption::{AdoptedRows, Adoption, BATCH_BYTES, BATCH_ROWS, RowZones};
use crate::sql::audit::receipt;
use crate::sql::commit::commit;
use crate::sql::driver::{Access, Database, Link as _, Row, RowOf};
use crate::sql::fail::{Fail, Run};
use crate::sql::kind::Type;
use crate::sql::statement::Sql;
use crate::sql::store::Store;

/// How many rows the first statement of a batch reads.
const FIRST: usize = 64;

/// Makes objects of the untracked rows of a type.
pub(crate) async fn adopt_rows<D: Database>(
    store: &Store<D>,
    name: &TypeName,
    zones: &RowZones,
) -> Run<AdoptedRows> {
    let kind = store.kind(&mut store.database.link().await?, name).await?;
    if let Some(zone) = zones.zone(&kind.schema)? {
        return adopt_in(store, &kind, zone.clone()).await;
    }
    let mut adopted = AdoptedRows::default();
    let mut after = None;
    loop {
        let keys = store.retried(|| zone_keys(store, &kind, after.as_deref())).await?;
        for key in &keys {
            adopted.add(adopt_in(store, &kind, RowZones::stored(&kind.schema, key)?).await?);
        }
        match keys.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(adopted),
        }
    }
}

/// The next keys of zones in the table.
async fn zone_keys<D: Database>(store: &Store<D>, kind: &Type, after: Option<&str>) -> Run<Vec<String>> {
    let mut link = store.database.link().await?;
    let mut sql = Sql::new(format!("SELECT DISTINCT u.zone FROM {} AS u", kind.table()));
    if let Some(after) = after {
        sql.push(" WHERE u.zone > ").push_bind(after);
    }
    let most = u64::try_from(link.dialect().most_keys).unwrap_or(u64::MAX);
    sql.push(" ORDER BY u.zone LIMIT ").push_bind(most);
    link.all(sql).await?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// Makes objects of the untracked rows of a zone, a batch at a time, so that others commit in between.
async fn adopt_in<D: Database>(store: &Store<D>, kind: &Type, zone: Zone) -> Run<AdoptedRows> {
    let mut adoption = Adoption::new(kind.schema.clone(), zone);
    // Those up to it are objects.
    let mut after: Option<ObjectId> = None;
    loop {
        while store.retried(|| is_there(store, &adoption)).await? {
            adoption.pass();
        }
        let rows = store.retried(|| batch(store, kind, &adoption, after.as_ref())).await?;
        let Some((last, _)) = rows.last() else { return Ok(adoption.adopted()) };
        let last = last.clone();
        let next = adoption.commit(rows, SystemClock.now(), Tag(SystemRandom.next_u64()));
        let outcome = commit(store, next, &Turn::default()).await?;
        if matches!(outcome, CommitOutcome::Applied(_)) {
            after = Some(last);
        }
        adoption.take(outcome)?;
    }
}

async fn is_there<D: Database>(store: &Store<D>, adoption: &Adoption) -> Run<bool> {
    Ok(receipt(store, &mut store.database.link().await?, adoption.session()).await?.is_some())
}

/// The next batch of rows: walks along the primary key, and looks each row up in the index.
async fn batch<D: Database>(
    store: &Store<D>,
    kind: &Type,
    adoption: &Adoption,
    after: Option<&ObjectId>,
) -> Run<Vec<(ObjectId, Vec<Value>)>> {
    let mut snapshot = store.begin(Access::Snapshot).await?;
    let rows = batch_in(store, &mut snapshot, kind, adoption, after).await;
    Store::<D>::have_read(snapshot, rows).await
}

async fn batch_in<D: Database>(
    store: &Store<D>,
    link: &mut D::Link,
    kind: &Type,
    adoption: &Adoption,
    after: Option<&ObjectId>,
) -> Run<Vec<(ObjectId, Vec<Value>)>> {
    // A zone without a number has no index rows, and no zone has the number 0.
    let zone = store.zone(link, adoption.zone()).await?.unwrap_or(0);
    let mut room = Room::new(PageLimits { records: BATCH_ROWS, bytes: BATCH_BYTES });
    let mut rows: Vec<(ObjectId, Vec<Value>)> = Vec::new();
    let mut asked = FIRST;
    loop {
        let mut sql =
            Sql::new(format!("SELECT {}{} FROM {} AS u WHERE ", kind.id_text(), kind.selected, kind.table()));
        if let Some(key) = adoption.zone().key() {
            sql.push("u.zone = ").push_bind(key).push(" AND ");
        }
        if let Some(after) = rows.last().map(|(id, _)| id).or(after) {
            sql.push(&format!("u.{} > ", kind.id())).push_bind((kind.id_holds, after.as_str())).push(" AND ");
        }
        // Not as a join, which a server that knows nothing of the tables yet would begin at their other end.
        sql.push("(SELECT r.position FROM fastsync_records AS r WHERE r.zone = ").push_bind(zone);
        sql.push(" AND r.type = ")
            .push_bind(kind.n)
            .push(&format!(" AND r.id = {}) IS NULL", kind.id_text()));
        sql.push(&format!(" ORDER BY u.{} LIMIT ", kind.id()));
        sql.push_bind(u64::try_from(asked).unwrap_or(u64::MAX));
        let (mut came, mut is_full) = (0_usize, false);
        let take = |row: &RowOf<D>| {
            came = came.saturating_add(1);
            if is_full {
                return Ok(());
            }
            let row = read(row, kind, adoption)?;
            is_full = !room.takes(row.1.iter().map(Value::approximate_bytes).sum());
            if !is_full {
                rows.push(row);
            }
            Ok(())
        };
        link.each(sql, take).await?;
        if is_full || came < asked {
            return Ok(rows);
        }
        // As many as fit, if the others are like these.
        let average = room.bytes().checked_div(rows.len()).unwrap_or(0);
        let fit = BATCH_BYTES.saturating_sub(room.bytes()).checked_div(average).unwrap_or(BATCH_ROWS);
        asked = fit.min(BATCH_ROWS.saturating_sub(rows.len())).saturating_add(1);
    }
}

/// A row as an object of the type; the refusal of the adoption if it is none.
fn read(row: &impl Row, kind: &Type, adoption: &Adoption) -> Run<(ObjectId, Vec<Value>)> {
    let id = adoption.id(row.text(0)?)?;
    match row.body(1, kind) {
        Ok(body) => Ok((id.clone(), adoption.body(&id, body)?)),
        Err(Fail::Core(error)) => Err(adoption.unreadable(id.as_str(), &error).into()),
        Err(fail) => Err(fail),
    }
}
