// What the servers and clients that speak plain HTTP have in common.

import { createServer } from 'node:http';

/** Listens on a free port of this machine and counts the bytes of every connection, in both directions. */
export async function listen(handler) {
  const server = createServer(handler);
  const open = new Set();
  let closed = 0;
  const bytes = (socket) => socket.bytesRead + socket.bytesWritten;
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => {
      open.delete(socket);
      closed += bytes(socket);
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    wire: () => [...open].reduce((sum, socket) => sum + bytes(socket), closed),
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** A handler for routes that take and give JSON: `{ 'POST /path': async (body, url) => answer }`. */
export function routes(table) {
  return async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    let status = 200;
    let answer;
    try {
      const route = table[`${request.method} ${url.pathname}`];
      if (!route) throw new Error(`there is no ${request.method} ${url.pathname}`);
      const parts = [];
      for await (const part of request) parts.push(part);
      const text = Buffer.concat(parts).toString();
      answer = await route(text ? JSON.parse(text) : undefined, url);
    } catch (error) {
      status = 500;
      answer = { error: String(error?.stack ?? error) };
    }
    const body = JSON.stringify(answer ?? null);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
}

/** Asks such a server; anything but success is an error. */
export async function fetchJson(url, body) {
  const response = await fetch(
    url,
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  );
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
