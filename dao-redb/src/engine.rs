//! redb as an engine: a transaction is a commit, and readers keep to their snapshot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fastsync_dao_kit::kv::{Changes, Engine, Range, Run, Steps, View, folder_of, retry, sync_folder};
use redb::{
    AccessGuard, Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable,
    StorageError, TableDefinition, TableError,
};

use crate::config::RedbConfig;
use crate::error::native;

type Bytes = &'static [u8];

const TABLE: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("fastsync");

pub(crate) struct Redb {
    pub(crate) path: PathBuf,
    db: Database,
}

impl Redb {
    pub(crate) fn open(config: &RedbConfig) -> Run<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(config.cache_bytes).set_check_integrity_on_open(config.check_on_open);
        let opened = retry(config.lock_timeout, || match create(&builder, &config.path) {
            Ok(db) => Ok(Some(db)),
            Err(DatabaseError::DatabaseAlreadyOpen) => Ok(None),
            Err(error) => Err(native(error)),
        })?;
        let db = opened.ok_or_else(|| native(DatabaseError::DatabaseAlreadyOpen))?;
        // With its name a new store would be lost. Who may not open the folder did not make a file in it.
        match sync_folder(folder_of(&config.path)) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error.into()),
            _ => {}
        }
        let redb = Self { path: config.path.clone(), db };
        redb.make_table()?;
        Ok(redb)
    }

    fn make_table(&self) -> Run<()> {
        let found = self.db.begin_read().map_err(native)?.open_table(TABLE);
        match found {
            Err(TableError::TableDoesNotExist(_)) => {}
            found => return found.map(drop).map_err(native),
        }
        let commit = self.db.begin_write().map_err(native)?;
        commit.open_table(TABLE).map_err(native)?;
        commit.commit().map_err(native)
    }
}

fn create(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    match builder.create(path) {
        Err(DatabaseError::Storage(StorageError::Io(error)))
            if error.kind() == io::ErrorKind::InvalidData && is_half_made(path)? =>
        {
            File::options().write(true).open(path)?.set_len(0)?;
            builder.create(path)
        }
        created => created,
    }
}

/// Whether a process died, or a disk failed, before redb had made this file: redb writes its first bytes last, and nothing
/// behind its header before that. It then takes the file for a stranger's, although nothing was ever in it.
fn is_half_made(path: &Path) -> io::Result<bool> {
    const NAME_BYTES: usize = 9;
    const HEADER_BYTES: usize = 4 << 10;
    const MOST_BYTES: u64 = 4 << 20;
    let file = File::open(path)?;
    if file.metadata()?.len() > MOST_BYTES {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let mut empty = bytes.iter().take(NAME_BYTES).chain(bytes.iter().skip(HEADER_BYTES));
    Ok(empty.all(|byte| *byte == 0))
}

impl Engine for Redb {
    const NAME: &'static str = "redb";

    type View = Rows<ReadOnlyTable<Bytes, Bytes>>;

    fn read<T>(&self, work: impl FnOnce(&Self::View) -> Run<T>) -> Run<T> {
        let snapshot = self.db.begin_read().map_err(native)?;
        work(&Rows(snapshot.open_table(TABLE).map_err(native)?))
    }

    fn write(&self, changes: Changes, _number: u64, steps: &mut Steps) -> Run<()> {
        let commit = self.db.begin_write().map_err(native)?;
        let mut rows = Rows(commit.open_table(TABLE).map_err(native)?);
        let mut next = Some(changes);
        while let Some(changes) = next {
            for (key, change) in changes {
                let before = match change {
                    Some(value) => rows.0.insert(key.as_slice(), value.as_slice()),
                    None => rows.0.remove(key.as_slice()),
                };
                before.map_err(native)?;
            }
            next = steps.next(&rows)?;
        }
        drop(rows);
        commit.commit().map_err(native)
    }
}

/// The table, in a snapshot or in the transaction that writes.
pub(crate) struct Rows<T>(T);

pub(crate) struct Guard<'a>(AccessGuard<'a, Bytes>);

impl AsRef<[u8]> for Guard<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

impl<T: ReadableTable<Bytes, Bytes>> View for Rows<T> {
    type Bytes<'a>
        = Guard<'a>
    where
        Self: 'a;

    fn get(&self, key: &[u8]) -> Run<Option<Guard<'_>>> {
        Ok(self.0.get(key).map_err(native)?.map(Guard))
    }

    fn scan(&self, range: Range) -> impl Iterator<Item = Run<(Guard<'_>, Guard<'_>)>> {
        let (found, failed) = match rows(&self.0, &range) {
            Ok(found) => (found, None),
            Err(fail) => (None, Some(Err(fail))),
        };
        let found = found.into_iter().flatten();
        failed.into_iter().chain(found.map(|row| row.map(pair).map_err(native)))
    }

    fn last(&self, range: Range) -> Run<Option<(Guard<'_>, Guard<'_>)>> {
        let last = rows(&self.0, &range)?.and_then(|mut rows| rows.next_back());
        Ok(last.transpose().map_err(native)?.map(pair))
    }
}

/// The rows of a range; `None` if it ends before it begins.
fn rows<'a>(
    table: &'a impl ReadableTable<Bytes, Bytes>,
    range: &Range,
) -> Run<Option<redb::Range<'a, Bytes, Bytes>>> {
    if range.is_empty() {
        return Ok(None);
    }
    table.range::<&[u8]>(range.bounds()).map(Some).map_err(native)
}

fn pair<'a>((key, value): (AccessGuard<'a, Bytes>, AccessGuard<'a, Bytes>)) -> (Guard<'a>, Guard<'a>) {
    (Guard(key), Guard(value))
}
