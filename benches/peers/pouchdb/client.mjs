// A PouchDB in LevelDB that replicates with a CouchDB-like server over HTTP.

import { join } from 'node:path';

import PouchDB from 'pouchdb';

import { obey, seconds } from '../common/process.mjs';
import { batches, changed, make } from '../common/records.mjs';
import { allDocuments, toDocument } from './documents.mjs';

let db;
let server;
const options = { batch_size: 1_000 };

/** Documents that were refused make no error of a replication. */
function complete(result) {
  if (result.status !== 'complete' || !result.ok || result.doc_write_failures > 0) {
    throw new Error(`a replication failed: ${JSON.stringify(result)}`);
  }
}

/** Writes documents; what is refused is listed in the answer only. */
async function write(documents) {
  for (const answer of await db.bulkDocs(documents)) {
    if (answer.error) throw new Error(`a document was refused: ${JSON.stringify(answer)}`);
  }
}

await obey({
  open({ folder, port }) {
    server = `http://127.0.0.1:${port}/items`;
    db = new PouchDB(join(folder, 'client'));
  },
  async add(first, count) {
    for (const batch of batches(first, count)) await write(batch.map(toDocument));
  },
  async change(numbers) {
    const found = await db.allDocs({ keys: numbers.map((n) => make(n).id) });
    await write(numbers.map((n, at) => ({ ...toDocument(changed(n)), _rev: found.rows[at].value.rev })));
  },
  push: () => seconds(async () => complete(await db.replicate.to(server, options))),
  pull: () => seconds(async () => complete(await db.replicate.from(server, options))),
  sync: () =>
    seconds(async () => {
      const { push, pull } = await db.sync(server, options);
      complete(push);
      complete(pull);
    }),
  digest: () => allDocuments(db),
  close: () => db.close(),
});
