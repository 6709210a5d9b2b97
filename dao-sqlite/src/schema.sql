-- The sync tables, version 1. They lie beside the user's tables, which are named as the types are.
-- Zones, types, devices and sessions are small integers here, so that the index rows stay narrow.
-- 64-bit tokens (revision, incarnation, tag) and counts are stored as the signed integer with the same bits.

CREATE TABLE fastsync_meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO fastsync_meta VALUES ('schema_version', 1);

-- name: `global` or `restricted:KEY`. horizon: tombstones at or below this position may be gone.
CREATE TABLE fastsync_zones (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    horizon INTEGER NOT NULL DEFAULT 0
) STRICT;

-- schema: the type as it was prepared last, as JSON. The order of `n` is the order of types in the feed.
CREATE TABLE fastsync_types (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema TEXT NOT NULL) STRICT;

CREATE TABLE fastsync_devices (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE) STRICT;

-- Every committed session: receipt and audit. n counts up in commit order, since SQLite has one writer at a time;
-- change: n if the session marked records as pending, otherwise 0. user: NULL where there is none.
-- positions: JSON [[zone n, position], ...]. counts: JSON [[type n, records], ...].
CREATE TABLE fastsync_sessions (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    user TEXT,
    device INTEGER NOT NULL,
    number INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    change INTEGER NOT NULL,
    positions TEXT NOT NULL,
    counts TEXT NOT NULL
) STRICT;

-- A zone's history: the session at each position. Sessions and positions of a zone rise together.
CREATE TABLE fastsync_positions (
    zone INTEGER NOT NULL,
    position INTEGER NOT NULL,
    session INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    PRIMARY KEY (zone, position)
) STRICT, WITHOUT ROWID;

-- The index over all types: a row for every live record and every tombstone. A rowid table, so that an update finds
-- its row where it was appended and does not rewrite wide pages all over a tree of random keys.
-- id: a canonical UUID as its 16 bytes; any other text that sorts above the nil UUID as the 16 bytes of the last
-- UUID below it, then the text; the rest as text. So the order of `id` is the order of the bytes of the ids.
-- session: the last positioned session that wrote the record; 0 if none did. change: the local edit that waits to
-- be pushed; 0 if none does. deleted: 1 for a tombstone.
CREATE TABLE fastsync_records (
    zone INTEGER NOT NULL,
    type INTEGER NOT NULL,
    id ANY NOT NULL,
    session INTEGER NOT NULL,
    change INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    modified_by INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    PRIMARY KEY (zone, type, id)
) STRICT;

-- The feed of a zone, with all that a page needs beside the bodies: entries are appended as sessions are, so the
-- further columns cost little, and a page does not look every record up. Stores that assign no positions (clients)
-- have no entry in it.
CREATE INDEX fastsync_feed ON fastsync_records (
    zone, session, type, id, deleted, change, modified_by, modified_at, revision, incarnation
) WHERE session > 0;
CREATE INDEX fastsync_pending ON fastsync_records (change, type, zone, id) WHERE change > 0;
CREATE INDEX fastsync_tombstones ON fastsync_records (zone, session) WHERE deleted = 1;

-- Batches of large sessions before their commit. types: JSON [[type, holds deletions], ...], so that a pass over
-- one kind of write reads only the batches that have it. writes: in the order of keys, as `merge.rs` has them.
CREATE TABLE fastsync_staged (
    session BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    types TEXT NOT NULL,
    writes BLOB NOT NULL,
    PRIMARY KEY (session, sequence)
) STRICT;

CREATE TABLE fastsync_state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
