import { join } from 'node:path';

import { main, pinned } from '../common/bench.mjs';

const folder = import.meta.dirname;

await main({
  name: 'watermelondb',
  version: pinned(folder, '@nozbe/watermelondb'),
  folder,
  durable: { client: true, server: true },
  synced: { client: true, server: true },
  rowWise: true,
  server: [process.execPath, join(folder, 'server.mjs')],
  client: [process.execPath, join(folder, 'client.mjs')],
});
