// Turso's own sync server, on a database file.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { obey } from '../common/process.mjs';

let server;

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

async function listening(port) {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

await obey({
  async open({ folder }) {
    const port = await freePort();
    const suffix = process.platform === 'linux' ? '-gnu' : '';
    const program = `cli-${process.platform}-${process.arch}${suffix}/tursodb`;
    const path = join(import.meta.dirname, 'node_modules', '@tursodatabase', program);
    server = spawn(path, [join(folder, 'server.db'), '--sync-server', `127.0.0.1:${port}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    while (!(await listening(port))) {
      if (server.exitCode !== null) throw new Error(`the sync server ended: ${server.exitCode}`);
      await setTimeout(20);
    }
    return { port, pid: server.pid };
  },
  wire: () => 0,
  async close() {
    server.kill();
    await once(server, 'exit');
  },
});
