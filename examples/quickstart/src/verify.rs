//! Are the three stores equal? Asked through the library, and of those that are SQLite files with plain SQL too.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use fastsync_core::{Repository, Store, SyncableObject, SyncableRepositoryExt};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::objects::{City, Country, Region};

/// The number of rows of a table, and a hash over all their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) rows: u64,
    pub(crate) hash: u64,
}

/// One table in each of the SQLite files.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) table: String,
    pub(crate) contents: Vec<Content>,
}

impl Comparison {
    pub(crate) fn equal(&self) -> bool {
        self.contents.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// Compares all objects of all types, as an application reads them. Gives how many each store has, or `None` if
/// they differ.
pub(crate) async fn compare_objects(stores: &[Store]) -> anyhow::Result<Option<u64>> {
    let countries = compare::<Country>(stores).await?;
    let regions = compare::<Region>(stores).await?;
    let cities = compare::<City>(stores).await?;
    Ok(countries.zip(regions).zip(cities).map(|((countries, regions), cities)| countries + regions + cities))
}

async fn compare<T: SyncableObject + PartialEq>(stores: &[Store]) -> anyhow::Result<Option<u64>> {
    let mut first: Option<Vec<T>> = None;
    for store in stores {
        let objects = Repository::<T>::new(store).get_all().await?;
        match &first {
            Some(first) if *first != objects => return Ok(None),
            Some(_) => {}
            None => first = Some(objects),
        }
    }
    Ok(Some(first.map_or(0, |objects| objects.len() as u64)))
}

/// Compares the tables, as anyone reads them who opens the files.
pub(crate) fn compare_tables(files: &[&Path]) -> anyhow::Result<Vec<Comparison>> {
    let databases = files
        .iter()
        .map(|file| Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY))
        .collect::<Result<Vec<_>, _>>()?;
    [Country::schema()?, Region::schema()?, City::schema()?]
        .iter()
        .map(|schema| {
            let fields = schema.fields().iter().map(|field| field.name.as_str());
            let columns: Vec<&str> = std::iter::once(schema.id_field().as_str()).chain(fields).collect();
            let table = schema.name().as_str();
            let sql = format!("SELECT {} FROM {table} ORDER BY {}", columns.join(", "), columns[0]);
            let contents = databases.iter().map(|database| read(database, &sql)).collect::<Result<_, _>>()?;
            Ok(Comparison { table: table.to_owned(), contents })
        })
        .collect()
}

/// Moves what is still in a write-ahead log into its file, so that the file can be copied by itself.
pub(crate) fn empty_log(file: &Path) -> rusqlite::Result<()> {
    Connection::open(file)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn read(database: &Connection, sql: &str) -> rusqlite::Result<Content> {
    let mut statement = database.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut count = 0;
    let mut hasher = DefaultHasher::new();
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0u8.hash(&mut hasher),
                ValueRef::Integer(whole) => (1u8, whole).hash(&mut hasher),
                ValueRef::Real(real) => (2u8, real.to_bits()).hash(&mut hasher),
                ValueRef::Text(text) => (3u8, text).hash(&mut hasher),
                ValueRef::Blob(bytes) => (4u8, bytes).hash(&mut hasher),
            }
        }
    }
    Ok(Content { rows: count, hash: hasher.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Replica;

    /// Two stores with the same country, of which one is given another name.
    #[tokio::test]
    async fn a_difference_is_found_in_objects_and_in_tables() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["one.db", "two.db"].map(|name| folder.path().join(name));
        let (one, two) = (Replica::open(&files[0]).await.unwrap(), Replica::open(&files[1]).await.unwrap());
        let mut country = Country { code: "IS".to_owned(), name: "Iceland".to_owned() };
        one.countries.add(&country).await.unwrap();
        two.countries.add(&country).await.unwrap();
        let stores = [one.store.clone(), two.store.clone()];
        let files = [files[0].as_path(), files[1].as_path()];
        assert_eq!(compare_objects(&stores).await.unwrap(), Some(1));
        assert!(compare_tables(&files).unwrap().iter().all(Comparison::equal));

        country.name.push(' ');
        two.countries.update(&country).await.unwrap();
        assert_eq!(compare_objects(&stores).await.unwrap(), None);
        let equal: Vec<bool> = compare_tables(&files).unwrap().iter().map(Comparison::equal).collect();
        assert_eq!(equal, [false, true, true]);
    }
}
