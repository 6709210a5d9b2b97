// PouchDB's own server, on LevelDB, with what a replication needs of it.

import { join } from 'node:path';

import express from 'express';
import expressPouchDB from 'express-pouchdb';
import PouchDB from 'pouchdb';

import { listen } from '../common/http.mjs';
import { obey } from '../common/process.mjs';
import { allDocuments } from './documents.mjs';

let db;
let http;

await obey({
  async open({ folder }) {
    const Databases = PouchDB.defaults({ prefix: `${folder}/` });
    const app = express();
    app.use(
      expressPouchDB(Databases, {
        mode: 'minimumForPouchDB',
        inMemoryConfig: true,
        logPath: join(folder, 'log.txt'),
      }),
    );
    db = new Databases('items');
    await db.info();
    http = await listen(app);
    return { port: http.port };
  },
  wire: () => http.wire(),
  digest: () => allDocuments(db),
  async close() {
    await http.close();
    await db.close();
  },
});
