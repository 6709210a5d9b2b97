import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { main } from '../common/bench.mjs';

const folder = import.meta.dirname;
const manifest = readFileSync(join(folder, 'client', 'Cargo.toml'), 'utf8');
const program = (name) => [join(folder, 'target', 'release', `taskchampion-${name}`)];

await main({
  name: 'taskchampion',
  version: /^taskchampion = .*"=([^"]+)"/m.exec(manifest)[1],
  folder,
  durable: { client: true, server: true },
  synced: { client: true, server: true },
  rowWise: true,
  opaque: true, // what the server keeps is encrypted
  server: program('server'),
  client: program('client'),
});
