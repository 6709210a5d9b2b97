-- The sync tables, version 1. They lie beside the user's tables, which are named as the types are. The names of tables get
-- their schema when they are made; those of indexes, which have none, are in quotes. Zones, types and devices are small integers
-- here, so that the index rows stay narrow. Numbers of 64 bits without a sign are kept as the same bits with one.

CREATE TABLE fastsync_meta (
    name text COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
);

-- name: `global` or `restricted:KEY`. head, tag: the newest position and the tag of its session; the row is the
-- lock under which positions are given. horizon: tombstones at or below this position may be gone.
CREATE TABLE fastsync_zones (
    n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    head bigint NOT NULL DEFAULT 0,
    tag bigint NOT NULL DEFAULT 0,
    horizon bigint NOT NULL DEFAULT 0
);

-- body: the type as it was prepared last, as JSON. The order of `n` is the order of types in the feed.
CREATE TABLE fastsync_types (
    n smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    body text NOT NULL
);

CREATE TABLE fastsync_devices (
    n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE
);

-- Every committed session: receipt and audit. change: the number of the local commit, 0 if it marked nothing as
-- pending. counts: JSON [[type n, records], ...].
CREATE TABLE fastsync_sessions (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    "user" bytea,
    device integer NOT NULL,
    number bigint NOT NULL,
    committed_at bigint NOT NULL,
    change bigint NOT NULL,
    counts text NOT NULL
);

-- A zone's history: the session at each position, and whose push it was.
CREATE TABLE fastsync_positions (
    zone integer NOT NULL,
    position bigint NOT NULL,
    session uuid NOT NULL,
    tag bigint NOT NULL,
    device integer NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (zone, position)
);
CREATE INDEX "fastsync_session" ON fastsync_positions (session);
CREATE INDEX "fastsync_own" ON fastsync_positions (zone, device, position, number);

-- The index over all types: a row for every live record and every tombstone.
-- position: of the last positioned session that wrote the record; 0 if none did. change: the local edit that waits
-- to be pushed; 0 if none does. bytes: about the size of the record, so that a page is cut before bodies are read.
CREATE TABLE fastsync_records (
    zone integer NOT NULL,
    type smallint NOT NULL,
    deleted boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    change bigint NOT NULL,
    modified_at bigint NOT NULL,
    revision bigint NOT NULL,
    incarnation bigint NOT NULL,
    modified_by integer NOT NULL,
    bytes integer NOT NULL,
    PRIMARY KEY (zone, type, id)
);
-- Who asks for ids says nothing of the position, so no server takes the feed for them and skips through it.
CREATE INDEX "fastsync_feed" ON fastsync_records (zone, position, type, id) INCLUDE (bytes) WHERE position > 0;
-- The records with a change, and the tombstones with a position. They are few, so they cost the others nothing.
CREATE INDEX "fastsync_pending" ON fastsync_records (change, type, zone, id) WHERE change > 0;
CREATE INDEX "fastsync_tombstones" ON fastsync_records (zone, position) WHERE deleted AND position > 0;

-- Batches of large sessions before their commit, in parts. types: JSON [[type, holds deletions], ...], so that a pass over
-- one kind of write reads only the parts that have it. writes: postcard.
CREATE TABLE fastsync_staged (
    session uuid NOT NULL,
    sequence bigint NOT NULL,
    part integer NOT NULL,
    types text NOT NULL,
    writes bytea NOT NULL,
    PRIMARY KEY (session, sequence, part)
);

CREATE TABLE fastsync_state (
    name bytea PRIMARY KEY,
    value bytea NOT NULL
);

INSERT INTO fastsync_meta (name, value) VALUES ('change', 0), ('schema_version', 1);
