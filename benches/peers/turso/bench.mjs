import { join } from 'node:path';

import { main, pinned } from '../common/bench.mjs';

const folder = import.meta.dirname;

await main({
  name: 'turso',
  version: pinned(folder, '@tursodatabase/sync'),
  folder,
  durable: { client: true, server: true },
  synced: { client: true, server: true },
  rowWise: false, // a push sends rows, a pull gets pages of the database
  opaque: true, // the server has the file to itself while it runs
  countedBy: 'clients',
  server: [process.execPath, join(folder, 'server.mjs')],
  client: [process.execPath, join(folder, 'client.mjs')],
});
