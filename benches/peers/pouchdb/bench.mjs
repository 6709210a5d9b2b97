import { join } from 'node:path';

import { main, pinned } from '../common/bench.mjs';

const folder = import.meta.dirname;

await main({
  name: 'pouchdb',
  version: pinned(folder, 'pouchdb'),
  folder,
  durable: { client: true, server: true },
  // LevelDB writes to its log at once, and leaves it to the system when that reaches the disk.
  synced: { client: false, server: false },
  rowWise: true,
  server: [process.execPath, join(folder, 'server.mjs')],
  client: [process.execPath, join(folder, 'client.mjs')],
});
