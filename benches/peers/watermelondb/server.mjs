// A backend as WatermelonDB's sync documentation asks for: a pull gives everything after the client's last one, as of
// one moment; a push is one transaction, refused as a whole if a record of it was changed since the client's last pull.
// The timestamp is a counter of the server, which no clock can turn back. New records are sent as updated ones, which
// the documentation allows: a client gets back what it pushed, and would complain of each if it were called new.

import { join } from 'node:path';

import Database from 'better-sqlite3';

import { listen, routes } from '../common/http.mjs';
import { obey } from '../common/process.mjs';
import { Digest } from '../common/records.mjs';

let db;
let http;

function open(file) {
  db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec(`
    CREATE TABLE IF NOT EXISTS items (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, quantity INTEGER NOT NULL,
      updated_at INTEGER NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS items_version ON items (version);
  `);
}

function handler() {
  // The first timestamp must be above 0.
  const version = db.prepare('SELECT coalesce(max(version), 1) FROM items').pluck();
  const live = db.prepare(
    'SELECT id, name, description, quantity, updated_at FROM items WHERE version > ? AND NOT deleted',
  );
  const dead = db.prepare('SELECT id FROM items WHERE version > ? AND deleted').pluck();
  const versionOf = db.prepare('SELECT version FROM items WHERE id = ?').pluck();
  const put = db.prepare(`
    INSERT INTO items (id, name, description, quantity, updated_at, version)
    VALUES (@id, @name, @description, @quantity, @updated_at, @version)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
      quantity = excluded.quantity, updated_at = excluded.updated_at, version = excluded.version, deleted = 0
  `);
  const bury = db.prepare('UPDATE items SET deleted = 1, version = @version WHERE id = @id');

  const pull = db.transaction((since) => ({
    changes: { items: { created: [], updated: live.all(since), deleted: dead.all(since) } },
    timestamp: version.get(),
  }));
  const push = db.transaction((since, { created, updated, deleted }) => {
    const next = version.get() + 1;
    const check = (id) => {
      if (versionOf.get(id) > since) throw new Error(`conflict: ${id}`);
    };
    for (const record of [...created, ...updated]) {
      check(record.id);
      put.run({ ...record, version: next });
    }
    for (const id of deleted) {
      check(id);
      bury.run({ id, version: next });
    }
  });
  const since = (url) => Number(url.searchParams.get('since'));
  return routes({
    'GET /pull': (_, url) => pull(since(url)),
    'POST /push': (changes, url) => push.immediate(since(url), changes.items),
  });
}

await obey({
  async open({ folder }) {
    open(join(folder, 'server.db'));
    http = await listen(handler());
    return { port: http.port };
  },
  wire: () => http.wire(),
  digest: () => Digest.of(db.prepare('SELECT * FROM items WHERE NOT deleted').iterate()),
  async close() {
    await http.close();
    db.close();
  },
});
