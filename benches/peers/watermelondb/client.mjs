// A WatermelonDB database in a SQLite file, with its own `synchronize`. SQLite is left as the adapter for Node.js opens
// it: a rollback journal with synchronous=FULL.

import { createRequire } from 'node:module';
import { join } from 'node:path';

import { fetchJson } from '../common/http.mjs';
import { obey, seconds } from '../common/process.mjs';
import { Digest, batches, changed, make } from '../common/records.mjs';

const require = createRequire(import.meta.url);
const { Database, Model, Q, appSchema, tableSchema } = require('@nozbe/watermelondb');
const SQLiteAdapter = require('@nozbe/watermelondb/adapters/sqlite').default;
const { synchronize } = require('@nozbe/watermelondb/sync');
require('@nozbe/watermelondb/utils/common/logger').default.silence();

const COLUMNS = ['name', 'description', 'quantity', 'updated_at'];
const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: 'items',
      columns: [
        { name: 'name', type: 'string' },
        { name: 'description', type: 'string' },
        { name: 'quantity', type: 'number' },
        { name: 'updated_at', type: 'number' },
      ],
    }),
  ],
});

// Without decorators, so that nothing has to be compiled.
class Item extends Model {
  static table = 'items';

  fill(record) {
    for (const column of COLUMNS) this._setRaw(column, record[column]);
  }
}

let database;
let items;
let server;

const sync = () =>
  seconds(() =>
    synchronize({
      database,
      sendCreatedAsUpdated: true,
      pullChanges: ({ lastPulledAt }) => fetchJson(`${server}/pull?since=${lastPulledAt ?? 0}`),
      pushChanges: async ({ changes, lastPulledAt }) => {
        await fetchJson(`${server}/push?since=${lastPulledAt}`, changes);
      },
    }),
  );

await obey({
  async open({ folder, port }) {
    server = `http://127.0.0.1:${port}`;
    const adapter = new SQLiteAdapter({ schema, dbName: join(folder, 'client.db') });
    await adapter.initializingPromise;
    database = new Database({ adapter, modelClasses: [Item] });
    items = database.get('items');
  },
  async add(first, count) {
    for (const batch of batches(first, count)) {
      await database.write(() =>
        database.batch(
          batch.map((record) =>
            items.prepareCreate((item) => {
              item._raw.id = record.id;
              item.fill(record);
            }),
          ),
        ),
      );
    }
  },
  async change(numbers) {
    const ids = numbers.map((n) => make(n).id);
    const found = await items.query(Q.where('id', Q.oneOf(ids))).fetch();
    const byId = new Map(found.map((item) => [item.id, item]));
    await database.write(() =>
      database.batch(
        numbers.map((n) => {
          const record = changed(n);
          return byId.get(record.id).prepareUpdate((item) => item.fill(record));
        }),
      ),
    );
  },
  // There is one kind of sync, which pulls and then pushes.
  push: sync,
  pull: sync,
  sync,
  async digest() {
    return Digest.of(await items.query().unsafeFetchRaw());
  },
  // Every write is in the file when it is done.
  close() {},
});
