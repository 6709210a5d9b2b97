//! Rows that were in a table before it was adopted, as sessions of their own.

use fastsync_core::source::PageLimits;
use fastsync_core::source::rules::Room;
use fastsync_core::{
    Clock as _, ObjectId, Random as _, Result, SystemClock, SystemRandom, Tag, TypeName, Value,
};
use fastsync_dao_kit::sql::{AdoptedRows, Adoption, BATCH_BYTES, BATCH_ROWS, RowZones};
use rusqlite::Row;

use crate::codec::capped_len;
use crate::commit::{commit_begun, receipt_of};
use crate::connection::Store;
use crate::dialect::spelled;
use crate::error::{Fail, Run};
use crate::read::read_body;
use crate::registry::Type;
use crate::source::SqliteDataSource;

impl SqliteDataSource {
    /// Makes objects of the rows of an adopted table that no method has returned so far, because they were there before
    /// it was adopted or were inserted past this library, with SQL.
    ///
    /// They are committed as they are, in sessions of up to 10,000 by the user `adoption`, with positions and audit
    /// entries, so clients pull them. Each row is written again with its values: your triggers on updates run.
    ///
    /// Call it on a server's file, after [`prepare`](fastsync_core::SyncableDataSource::prepare). A client never sends
    /// what it adopts this way: add such rows through its repository. The change streams of a store that is open do
    /// not announce them.
    ///
    /// You may call it again at any time, and from several processes at once: a row becomes an object once, and what a
    /// crash cut off goes on. Rows that are inserted with SQL meanwhile may be left for the next call. The row of an
    /// object that was deleted through this library stays as it is.
    ///
    /// ```
    /// use fastsync_core::source::{Preparation, SyncableDataSourceExt as _};
    /// use fastsync_core::{FieldKind, Query, SyncableDataSource, TypeSchema, Zone};
    /// use fastsync_dao_sqlite::{RowZones, SqliteDataSource, rusqlite::Connection};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> fastsync_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.db");
    /// let own = "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL); INSERT INTO items VALUES ('1', 'bread')";
    /// Connection::open(&path).unwrap().execute_batch(own).unwrap();
    ///
    /// let source = SqliteDataSource::open(path)?;
    /// let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
    /// source.prepare(&[items.clone()], Preparation::Apply).await?;
    /// assert_eq!(source.adopt_rows(items.name(), &RowZones::In(Zone::Global)).await?.rows, 1);
    /// assert_eq!(source.count(&Query::all(items.name().clone(), Zone::Global)).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `UnknownType` if the type is not prepared; `InvalidInput` if its objects cannot be in the zone, or if a row
    /// cannot be read as the type says, with its id: what came before it is adopted; `Constraint` if a rule of the table
    /// refuses a row as it is; those of a commit.
    pub async fn adopt_rows(&self, type_name: &TypeName, zones: &RowZones) -> Result<AdoptedRows> {
        let (name, zones) = (type_name.clone(), zones.clone());
        let wanted = self.read("adopt_rows", move |store| wanted(store, &name, &zones)).await?;
        let mut adopted = AdoptedRows::default();
        for adoption in wanted {
            let mut under_way = UnderWay { adoption, after: None, is_done: false };
            while !under_way.is_done {
                // One batch at a time, so that others write in between.
                under_way = self.on_writer("adopt_rows", move |store| under_way.batch(store)).await?;
            }
            adopted.add(under_way.adoption.adopted());
        }
        Ok(adopted)
    }
}

/// The adoptions of all zones.
fn wanted(store: &Store, name: &TypeName, zones: &RowZones) -> Run<Vec<Adoption>> {
    let kind = store.kind(name)?;
    let schema = &kind.schema;
    let zones = match zones.zone(schema)? {
        Some(zone) => vec![zone.clone()],
        None => store.all(&spelled(format!("SELECT DISTINCT zone FROM {}", kind.table())), [], |row| {
            let key = row.get_ref(0)?.as_str().map_err(|_| Fail::corrupt("a zone is no text"));
            Ok(RowZones::stored(schema, key?)?)
        })?,
    };
    Ok(zones.into_iter().map(|zone| Adoption::new(schema.clone(), zone)).collect())
}

/// The adoption of a zone's rows, between two batches.
struct UnderWay {
    adoption: Adoption,
    /// The last row that was read: the rows up to it are objects.
    after: Option<ObjectId>,
    is_done: bool,
}

impl UnderWay {
    /// Adopts the next rows. They are read in the transaction that commits them, so none has changed meanwhile.
    fn batch(mut self, store: &Store) -> Run<Self> {
        store.begin("BEGIN IMMEDIATE")?;
        let done = self.batch_in(store);
        if !store.connection.is_autocommit() {
            store.roll_back();
        }
        done.map(|()| self)
    }

    fn batch_in(&mut self, store: &Store) -> Run<()> {
        while receipt_of(store, self.adoption.session())?.is_some() {
            self.adoption.pass();
        }
        let kind = store.kind(self.adoption.schema().name())?;
        let rows = self.read(store, &kind)?;
        let Some((last, _)) = rows.last() else {
            self.is_done = true;
            return Ok(());
        };
        let last = last.clone();
        let commit = self.adoption.commit(rows, SystemClock.now(), Tag(SystemRandom.next_u64()));
        self.adoption.take(commit_begun(store, commit)?)?;
        self.after = Some(last);
        Ok(())
    }

    /// The next rows without an index row.
    fn read(&self, store: &Store, kind: &Type) -> Run<Vec<(ObjectId, Vec<Value>)>> {
        let zone = self.adoption.zone();
        // A zone that has no number yet has no index rows.
        let number = store.zone(zone)?.unwrap_or(-1);
        let select = spelled(format!(
            "SELECT u.{id}{selected} FROM {table} AS u WHERE (?1 IS NULL OR u.{id} > ?1){of_zone} \
             AND NOT EXISTS (SELECT 1 FROM fastsync_records AS r WHERE r.zone = ?3 AND r.type = ?4 \
             AND r.id = fastsync_key(u.{id})) ORDER BY u.{id} LIMIT ?5",
            id = kind.id(),
            selected = kind.selected,
            table = kind.table(),
            of_zone = kind.if_restricted(" AND u.zone = ?2"),
        ));
        let mut statement = store.connection.prepare_cached(&select)?;
        let after = self.after.as_ref().map(ObjectId::as_str);
        let mut found = statement.query((after, zone.key(), number, kind.n, capped_len(BATCH_ROWS)))?;
        let mut room = Room::new(PageLimits { records: BATCH_ROWS, bytes: BATCH_BYTES });
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let row = self.row(row, kind)?;
            let bytes = row.1.iter().map(Value::approximate_bytes).sum::<usize>();
            if !room.takes(bytes) {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&self, row: &Row<'_>, kind: &Type) -> Run<(ObjectId, Vec<Value>)> {
        let adoption = &self.adoption;
        let id = adoption.id(row.get_ref(0)?.as_str().unwrap_or_default())?;
        match read_body(row, 1, kind) {
            Ok(body) => Ok((id.clone(), adoption.body(&id, body)?)),
            Err(Fail::Core(error)) => Err(adoption.unreadable(id.as_str(), &error).into()),
            Err(fail) => Err(fail),
        }
    }
}
