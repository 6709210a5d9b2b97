//! The statements of each layout.
//!
//! Parameters have the same number everywhere: 1 id as text, 2 id as 16 bytes, 3 name, 4 description, 5 quantity,
//! 6 updated at, 7 session, 8 revision, 9 incarnation, 10 modified at, 11 change.

/// A layout.
#[derive(Debug)]
pub struct Layout {
    /// What it is called.
    pub name: &'static str,
    pub(super) create: &'static str,
    /// Stores a row.
    pub(super) write: &'static [&'static str],
    /// The feed from the beginning: first column the id as 16 bytes or text.
    pub(super) feed: &'static str,
    /// The pending rows of one commit (11), in the same form.
    pub(super) pending: &'static str,
    /// The fields of a row, where feed and pending do not have them.
    pub(super) body: Option<&'static str>,
    /// Notes that the row (1 or 2) was confirmed as a revision (8).
    pub(super) acknowledge: &'static str,
}

macro_rules! items {
    ($($more:literal)?) => {
        concat!(
            "CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, ",
            "quantity INTEGER NOT NULL, updated_at INTEGER NOT NULL", $($more,)? ") STRICT;"
        )
    };
}

const WRITE_ITEM: &str = "INSERT INTO items VALUES (?1, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET \
     name = excluded.name, description = excluded.description, quantity = excluded.quantity, \
     updated_at = excluded.updated_at";
const BODY: &str = "SELECT name, description, quantity, updated_at FROM items WHERE id = ?1";
const WRITE_RECORD: &str = "INSERT INTO records VALUES (1, 1, ?2, ?7, ?11, 0, 1, ?10, ?8, ?9) \
     ON CONFLICT (zone, type, id) DO NOTHING";
const FEED: &str = "SELECT id, session, revision, incarnation, modified_at, modified_by, change, deleted \
     FROM records INDEXED BY feed WHERE zone = 1 AND session > 0 ORDER BY session, type, id";
const PENDING: &str = "SELECT id, session, revision, incarnation, modified_at, modified_by, change, deleted \
     FROM records INDEXED BY pending WHERE change > 0 AND change = ?11 ORDER BY type, zone, id";
const ACKNOWLEDGE: &str =
    "UPDATE records SET revision = ?8, change = 0 WHERE zone = 1 AND type = 1 AND id = ?2";

macro_rules! records {
    ($key:literal, $rest:literal) => {
        concat!(
            "CREATE TABLE records (zone INTEGER NOT NULL, type INTEGER NOT NULL, id BLOB NOT NULL, \
             session INTEGER NOT NULL, change INTEGER NOT NULL, deleted INTEGER NOT NULL, \
             modified_by INTEGER NOT NULL, modified_at INTEGER NOT NULL, revision INTEGER NOT NULL, \
             incarnation INTEGER NOT NULL, ",
            $key,
            " (zone, type, id)) STRICT",
            $rest,
            "; CREATE INDEX feed ON records (zone, session, type, id) WHERE session > 0; \
             CREATE INDEX pending ON records (change, type, zone, id) WHERE change > 0;"
        )
    };
}

/// Every layout; the first is the one of fastsync-dao-sqlite.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "index table",
        create: concat!(items!(), records!("PRIMARY KEY", ", WITHOUT ROWID")),
        write: &[WRITE_RECORD, WRITE_ITEM],
        feed: FEED,
        pending: PENDING,
        body: Some(BODY),
        acknowledge: ACKNOWLEDGE,
    },
    // Rows lie in the order of their arrival, so that what is written together lies together; only the narrow key
    // index is written all over the place.
    Layout {
        name: "index table, rowid",
        create: concat!(items!(), records!("UNIQUE", "")),
        write: &[WRITE_RECORD, WRITE_ITEM],
        feed: FEED,
        pending: PENDING,
        body: Some(BODY),
        acknowledge: ACKNOWLEDGE,
    },
    Layout {
        name: "columns in the row",
        create: concat!(
            items!(
                ", zone INTEGER NOT NULL, session INTEGER NOT NULL, revision INTEGER NOT NULL, \
                 incarnation INTEGER NOT NULL, modified_at INTEGER NOT NULL, modified_by INTEGER NOT NULL, \
                 change INTEGER NOT NULL"
            ),
            "CREATE INDEX feed ON items (zone, session, id) WHERE session > 0; \
             CREATE INDEX pending ON items (change, id) WHERE change > 0; \
             CREATE TABLE tombstones (zone INTEGER NOT NULL, id TEXT NOT NULL, session INTEGER NOT NULL, \
             PRIMARY KEY (zone, id)) STRICT, WITHOUT ROWID;"
        ),
        write: &[
            // A tombstone of the id would have to be found.
            "DELETE FROM tombstones WHERE zone = 1 AND id = ?1",
            "INSERT INTO items VALUES (?1, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, 1, ?11) ON CONFLICT (id) DO NOTHING",
        ],
        feed: "SELECT id, session, revision, incarnation, modified_at, modified_by, change, name, description, \
               quantity, updated_at FROM items INDEXED BY feed WHERE zone = 1 AND session > 0 ORDER BY session, id",
        pending: "SELECT id, session, revision, incarnation, modified_at, modified_by, change, name, description, \
                  quantity, updated_at FROM items INDEXED BY pending WHERE change > 0 AND change = ?11 ORDER BY id",
        body: None,
        acknowledge: "UPDATE items SET revision = ?8, change = 0 WHERE id = ?1",
    },
];
