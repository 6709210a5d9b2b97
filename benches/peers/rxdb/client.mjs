// An RxDB collection in memory that replicates over HTTP. Each sync is one run of a replication that is not live: it
// takes up where the last one stopped, and ends when both sides are in step.

import { replicateRxCollection } from 'rxdb/plugins/replication';

import { fetchJson } from '../common/http.mjs';
import { obey, seconds } from '../common/process.mjs';
import { batches, changed } from '../common/records.mjs';
import { digest, openItems } from './database.mjs';

const batchSize = 1_000;
let items;
let server;

const pull = { batchSize, handler: (checkpoint, size) => fetchJson(`${server}/pull`, { checkpoint, size }) };
const push = { batchSize, handler: (rows) => fetchJson(`${server}/push`, rows) };

const replicate = (directions) =>
  seconds(async () => {
    const replication = replicateRxCollection({
      replicationIdentifier: server,
      collection: items,
      live: false,
      autoStart: false,
      ...directions,
    });
    // An error would be tried again for ever; here it is the end.
    const failed = new Promise((_, reject) => {
      replication.error$.subscribe(reject);
    });
    await Promise.race([replication.start(), failed]);
  });

/** Writes documents; what is refused is listed in the answer only. */
async function write(documents) {
  const { error } = await items.bulkUpsert(documents);
  if (error.length > 0) throw new Error(`documents were refused: ${JSON.stringify(error[0])}`);
}

await obey({
  async open({ port }) {
    server = `http://127.0.0.1:${port}`;
    items = await openItems();
  },
  async add(first, count) {
    for (const batch of batches(first, count)) await write(batch);
  },
  change: (numbers) => write(numbers.map(changed)),
  push: () => replicate({ push }),
  // Never without `push`: what is pulled would be taken for local changes by the next sync.
  pull: () => replicate({ pull, push }),
  sync: () => replicate({ pull, push }),
  digest: () => digest(items),
  close: () => items.database.close(),
});
