// A Turso database that is synchronised. It is opened by its first use: a fresh one fetches everything as it is opened.

import { join } from 'node:path';

import { connect } from '@tursodatabase/sync';

import { obey, seconds } from '../common/process.mjs';
import { Digest, batches, changed } from '../common/records.mjs';

let open;
let db;

async function database() {
  db ??= await connect(open);
  return db;
}

async function write(sql, records, values) {
  const client = await database();
  const statement = await client.prepare(sql);
  await client.exec('BEGIN');
  for (const record of records) await statement.run(...values(record));
  await client.exec('COMMIT');
}

await obey({
  open({ folder, port }) {
    open = { path: join(folder, 'client.db'), url: `http://127.0.0.1:${port}`, clientName: 'bench' };
  },
  async add(first, count) {
    await (await database()).exec(`
      CREATE TABLE IF NOT EXISTS items (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, quantity INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
      )
    `);
    for (const batch of batches(first, count)) {
      await write('INSERT INTO items VALUES (?, ?, ?, ?, ?)', batch, Object.values);
    }
  },
  change: (numbers) =>
    write(
      'UPDATE items SET quantity = ?, updated_at = ? WHERE id = ?',
      numbers.map(changed),
      ({ quantity, updated_at, id }) => [quantity, updated_at, id],
    ),
  push: () => seconds(async () => (await database()).push()),
  pull: () => seconds(async () => (await database()).pull()),
  sync: () =>
    seconds(async () => {
      const client = await database();
      await client.push();
      await client.pull();
    }),
  async wire() {
    const stats = await db?.stats();
    return stats ? stats.networkSentBytes + stats.networkReceivedBytes : 0;
  },
  async digest() {
    const statement = await (await database()).prepare('SELECT * FROM items');
    return Digest.of(await statement.all());
  },
  async close() {
    await db?.close();
  },
});
