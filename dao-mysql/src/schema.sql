-- The sync tables, version 1. They lie beside the user's tables, which are named as the types are.
-- {collation}: the collation of utf8mb4 that compares by bytes and pads nothing; it has another name on each server.
-- Zones, types and devices are small integers here, so that the index rows stay narrow.

CREATE TABLE IF NOT EXISTS fastsync_meta (
    name VARBINARY(64) NOT NULL PRIMARY KEY,
    value BIGINT UNSIGNED NOT NULL
) {table};

-- name: `global` or `restricted:KEY`. head, tag: the newest position and the tag of its session; the row is the
-- lock under which positions are given. horizon: tombstones at or below this position may be gone.
CREATE TABLE IF NOT EXISTS fastsync_zones (
    n INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARBINARY(255) NOT NULL UNIQUE,
    head BIGINT UNSIGNED NOT NULL DEFAULT 0,
    tag BIGINT UNSIGNED NOT NULL DEFAULT 0,
    horizon BIGINT UNSIGNED NOT NULL DEFAULT 0
) {table};

-- body: the type as it was prepared last, as JSON. The order of `n` is the order of types in the feed.
CREATE TABLE IF NOT EXISTS fastsync_types (
    n SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARBINARY(64) NOT NULL UNIQUE,
    body LONGBLOB NOT NULL
) {table};

CREATE TABLE IF NOT EXISTS fastsync_devices (
    n INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id BINARY(16) NOT NULL UNIQUE
) {table};

-- Every committed session: receipt and audit. `change`: the number of the local commit, 0 if it marked nothing as
-- pending. counts: JSON [[type n, records], ...].
CREATE TABLE IF NOT EXISTS fastsync_sessions (
    id BINARY(16) NOT NULL PRIMARY KEY,
    kind VARBINARY(32) NOT NULL,
    user LONGBLOB,
    device INT UNSIGNED NOT NULL,
    number BIGINT UNSIGNED NOT NULL,
    committed_at BIGINT UNSIGNED NOT NULL,
    `change` BIGINT UNSIGNED NOT NULL,
    counts LONGBLOB NOT NULL
) {table};

-- A zone's history: the session at each position, and whose push it was.
CREATE TABLE IF NOT EXISTS fastsync_positions (
    zone INT UNSIGNED NOT NULL,
    position BIGINT UNSIGNED NOT NULL,
    session BINARY(16) NOT NULL,
    tag BIGINT UNSIGNED NOT NULL,
    device INT UNSIGNED NOT NULL,
    number BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (zone, position),
    KEY fastsync_session (session),
    KEY fastsync_own (zone, device, position, number)
) {table};

-- The index over all types: a row for every live record and every tombstone.
-- position: of the last positioned session that wrote the record; 0 if none did. `change`: the local edit that waits
-- to be pushed; 0 if none does. bytes: about the size of the record, so that a page is cut before bodies are read.
-- fastsync_feed has all of a row, so that a page is one walk over it: no row is fetched by its key, at random.
CREATE TABLE IF NOT EXISTS fastsync_records (
    zone INT UNSIGNED NOT NULL,
    type SMALLINT UNSIGNED NOT NULL,
    id VARCHAR(255) NOT NULL,
    position BIGINT UNSIGNED NOT NULL,
    `change` BIGINT UNSIGNED NOT NULL,
    deleted TINYINT UNSIGNED NOT NULL,
    modified_by INT UNSIGNED NOT NULL,
    modified_at BIGINT UNSIGNED NOT NULL,
    revision BIGINT UNSIGNED NOT NULL,
    incarnation BIGINT UNSIGNED NOT NULL,
    bytes INT UNSIGNED NOT NULL,
    PRIMARY KEY (zone, type, id),
    KEY fastsync_feed (zone, position, type, id, `change`, deleted, modified_by, modified_at, revision, incarnation, bytes)
) {table};

-- The records with a `change`, and the tombstones with a position. They are few, so they cost the others no index.
CREATE TABLE IF NOT EXISTS fastsync_pending (
    `change` BIGINT UNSIGNED NOT NULL,
    type SMALLINT UNSIGNED NOT NULL,
    zone INT UNSIGNED NOT NULL,
    id VARCHAR(255) NOT NULL,
    PRIMARY KEY (`change`, type, zone, id)
) {table};

CREATE TABLE IF NOT EXISTS fastsync_tombstones (
    zone INT UNSIGNED NOT NULL,
    position BIGINT UNSIGNED NOT NULL,
    type SMALLINT UNSIGNED NOT NULL,
    id VARCHAR(255) NOT NULL,
    PRIMARY KEY (zone, position, type, id)
) {table};

-- Batches of large sessions before their commit, in parts that fit a packet. types: JSON [[type, holds deletions],
-- ...], so that a pass over one kind of write reads only the parts that have it. writes: postcard.
CREATE TABLE IF NOT EXISTS fastsync_staged (
    session BINARY(16) NOT NULL,
    sequence BIGINT UNSIGNED NOT NULL,
    part INT UNSIGNED NOT NULL,
    types LONGBLOB NOT NULL,
    writes LONGBLOB NOT NULL,
    PRIMARY KEY (session, sequence, part)
) {table};

CREATE TABLE IF NOT EXISTS fastsync_state (
    name VARBINARY(512) NOT NULL PRIMARY KEY,
    value LONGBLOB NOT NULL
) {table};

INSERT IGNORE INTO fastsync_meta (name, value) VALUES ('change', 0), ('schema_version', 1);
