//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;

pub use fastsync_conformance::samples::*;
use fastsync_core::source::Preparation;
use fastsync_core::{FieldKind, SyncableDataSource, TypeSchema};
use fastsync_dao_sqlite::rusqlite::Connection;
use fastsync_dao_sqlite::{SqliteConfig, SqliteDataSource};

/// One reader and a short busy timeout.
pub fn open(path: &Path) -> SqliteDataSource {
    let config = SqliteConfig::new(path).busy_timeout(std::time::Duration::from_millis(200)).readers(1);
    SqliteDataSource::open_with(&config).unwrap()
}

/// A folder with a database file.
pub struct Fixture {
    pub folder: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("app.db")
    }

    pub fn sql(&self) -> Connection {
        let sql = Connection::open(self.path()).unwrap();
        sql.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        sql
    }

    pub async fn items(&self) -> SqliteDataSource {
        let source = open(&self.path());
        source.prepare(&[items()], Preparation::Apply).await.unwrap();
        source
    }
}

/// Children that name their parent.
pub fn family() -> [TypeSchema; 2] {
    let parents = TypeSchema::builder("parents", "id").priority(1).build().unwrap();
    let children =
        TypeSchema::builder("children", "id").field("parent", FieldKind::Text).priority(2).build().unwrap();
    [parents, children]
}
