// RxDB's own handler of replications, on a collection in memory, behind two routes.

import { rxStorageInstanceToReplicationHandler } from 'rxdb/plugins/core';

import { listen, routes } from '../common/http.mjs';
import { obey } from '../common/process.mjs';
import { digest, openItems } from './database.mjs';

let items;
let http;

await obey({
  async open() {
    items = await openItems();
    const { storageInstance, conflictHandler, database } = items;
    const handler = rxStorageInstanceToReplicationHandler(storageInstance, conflictHandler, database.token);
    http = await listen(
      routes({
        'POST /pull': ({ checkpoint, size }) => handler.masterChangesSince(checkpoint, size),
        'POST /push': (rows) => handler.masterWrite(rows),
      }),
    );
    return { port: http.port };
  },
  wire: () => http.wire(),
  digest: () => digest(items),
  async close() {
    await http.close();
    await items.database.close();
  },
});
