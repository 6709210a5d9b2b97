import { join } from 'node:path';

import { main, pinned } from '../common/bench.mjs';

const folder = import.meta.dirname;

await main({
  name: 'rxdb',
  version: pinned(folder, 'rxdb'),
  folder,
  // The storages that are fast and on disk are not free.
  durable: { client: false, server: false },
  synced: { client: false, server: false },
  rowWise: true,
  server: [process.execPath, join(folder, 'server.mjs')],
  client: [process.execPath, join(folder, 'client.mjs')],
});
