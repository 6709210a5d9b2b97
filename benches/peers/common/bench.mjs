// The workloads, the same for every peer; each prints one line of JSON, and only after what arrived was looked at.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Actor } from './process.mjs';
import { Digest, changed, make } from './records.mjs';

const WORKLOADS = ['w1', 'w2', 'w3', 'w4', 'w5'];
/** W3: how many records are changed. */
const CHANGED = 100;
/** W4: how often a sync with nothing to do is measured; the median counts. */
const IDLE = 5;
/** W5: how many clients there are, and how many records each has. */
const CLIENTS = 16;
const EACH = 1_000;

/** The exact version of a package that the `package.json` of a peer asks for. */
export function pinned(folder, name) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).dependencies[name];
}

/**
 * Measures a peer:
 * - `name`, `version`, `folder`, where its sources are;
 * - `durable: { client, server }`: whether the data outlives the process;
 * - `synced: { client, server }`: whether it was forced to the disk before a sync is done;
 * - `rowWise`: whether records and not pages go over the wire;
 * - `opaque`: whether nobody can look at what the server keeps, so that a fresh client has to;
 * - `countedBy`: whether the `server`, as usual, or the `clients` count the bytes on the wire;
 * - `server`, `client`: the commands that start such a process.
 */
export async function main(peer) {
  const { values } = parseArgs({
    options: {
      n: { type: 'string', default: '10000' },
      workload: { type: 'string', multiple: true, default: WORKLOADS },
      runs: { type: 'string', default: '1' },
    },
  });
  const n = positive('--n', values.n);
  const runs = positive('--runs', values.runs);
  const unknown = values.workload.filter((name) => !WORKLOADS.includes(name));
  if (unknown.length > 0) throw new Error(`there is no workload ${unknown}; there are ${WORKLOADS}`);
  if (n < CHANGED) throw new Error(`--n must be at least ${CHANGED}`);

  const wanted = (name) => values.workload.includes(name);
  const last = WORKLOADS.slice(0, 4).findLast(wanted);
  const scenarios = [];
  if (last) scenarios.push((run) => two(run, n, last));
  if (wanted('w5')) scenarios.push(many);
  for (const scenario of scenarios) {
    const lines = [];
    for (let at = 0; at < runs; at += 1) lines.push(...(await Run.of(peer, scenario)));
    for (const line of medians(lines)) {
      if (wanted(line.workload.slice(0, 2))) console.log(JSON.stringify(line));
    }
  }
}

/** Two clients: everything up to the last workload that is asked for, since each builds on the one before. */
async function two(run, n, last) {
  const all = Digest.of(records(n));
  const server = await run.server();
  const a = await run.client('a');
  await a.ask('add', 0, n);
  await run.measure('w1', { n, records: n, server, clients: [a] }, () => a.ask('push'));
  await run.check('w1', server, all);
  if (last === 'w1') return;

  const b = await run.client('b');
  await run.measure('w2', { n, records: n, server, clients: [b] }, () => b.ask('pull'));
  await run.check('w2', b, all);
  if (last === 'w2') return;

  // Peers that get their own pushes back with the next sync are given that sync before anything else is measured.
  await a.ask('sync');
  await b.ask('sync');
  const touched = new Set(Array.from({ length: CHANGED }, (_, at) => Math.floor((at * n) / CHANGED)));
  await a.ask('change', [...touched]);
  const after = Digest.of(records(n, touched));
  await run.measure('w3a', { n, records: CHANGED, server, clients: [a] }, () => a.ask('sync'));
  await run.check('w3a', server, after);
  await run.measure('w3b', { n, records: CHANGED, server, clients: [b] }, () => b.ask('sync'));
  await run.check('w3b', b, after);

  if (last === 'w4') {
    await a.ask('sync');
    await b.ask('sync');
    for (const [workload, client] of [['w4a', a], ['w4b', b]]) {
      await run.measure(workload, { n, records: 0, server, clients: [client] }, async () => {
        const times = [];
        for (let at = 0; at < IDLE; at += 1) times.push(await client.ask('sync'));
        return times.sort((x, y) => x - y)[IDLE >> 1];
      });
    }
  }
  await run.finish([[server, after], [a, after], [b, after]]);
}

/** W5: many clients at once, each in a process of its own. */
async function many(run) {
  const all = Digest.of(records(CLIENTS * EACH));
  const server = await run.server();
  const clients = [];
  for (let at = 0; at < CLIENTS; at += 1) {
    const client = await run.client(`c${at}`);
    await client.ask('add', at * EACH, EACH);
    clients.push(client);
  }
  const together = (method) => async () => {
    const start = performance.now();
    await Promise.all(clients.map((client) => client.ask(method)));
    return (performance.now() - start) / 1_000;
  };
  const n = CLIENTS * EACH;
  await run.measure('w5_push', { n, records: n, server, clients }, together('push'));
  await run.check('w5_push', server, all);
  await run.measure('w5_pull', { n, records: CLIENTS * n, server, clients }, together('pull'));
  for (const client of clients) await run.check('w5_pull', client, all);
  await run.finish([[server, all], [clients[0], all]]);
}

function* records(count, touched = new Set()) {
  for (let n = 0; n < count; n += 1) yield touched.has(n) ? changed(n) : make(n);
}

/** One server, its clients, and what was measured with them. */
class Run {
  #peer;
  #folder;
  #port;
  #actors = new Map();
  #lines = [];

  /** Plays a scenario and gives its lines; whatever happens, no process and no data stay behind. */
  static async of(peer, scenario) {
    const run = new Run();
    run.#peer = peer;
    run.#folder = join(peer.folder, 'data');
    rmSync(run.#folder, { recursive: true, force: true });
    try {
      await scenario(run);
      for (const actor of run.#actors.keys()) await actor.end();
    } finally {
      for (const actor of run.#actors.keys()) actor.kill();
      rmSync(run.#folder, { recursive: true, force: true });
    }
    return run.#lines;
  }

  server() {
    return this.#start('server', this.#peer.server);
  }

  client(name) {
    return this.#start(name, this.#peer.client);
  }

  async #start(name, command) {
    const actor = new Actor(`${this.#peer.name}: ${name}`, command);
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    this.#actors.set(actor, { name, command });
    const opened = await actor.ask('open', { folder, port: this.#port ?? 0 });
    if (name === 'server') {
      this.#port = opened.port;
      actor.pid = opened.pid ?? actor.pid;
    }
    return actor;
  }

  /** Notes what `play` takes, in seconds as it says, and what it costs. */
  async measure(workload, { n, records, server, clients }, play) {
    const actors = [server, ...clients];
    const before = actors.map((actor) => actor.usage());
    const wire = await this.#wire(server, clients);
    const seconds = await play();
    const bytes = (await this.#wire(server, clients)) - wire;
    const after = actors.map((actor) => actor.usage());
    const cpu = (from, to) => {
      const used = after.slice(from, to).reduce((sum, usage, at) => sum + usage.cpu - before[from + at].cpu, 0);
      return after[from].cpu === null ? null : rounded(used, 2);
    };
    this.#lines.push({
      peer: this.#peer.name,
      version: this.#peer.version,
      workload,
      n,
      records,
      seconds: rounded(seconds, 6),
      records_per_second: records > CHANGED ? Math.round(records / seconds) : null,
      server_rss_mb: after[0].rss,
      client_rss_mb: Math.max(...after.slice(1).map((usage) => usage.rss)),
      server_cpu_s: cpu(0, 1),
      client_cpu_s: cpu(1),
      wire_bytes_per_record: records > 0 ? rounded(bytes / records, 1) : null,
      durable: this.#peer.durable,
      synced: this.#peer.synced,
      row_wise: this.#peer.rowWise,
      load: rounded(loadavg()[0], 2),
    });
  }

  async #wire(server, clients) {
    const counters = this.#peer.countedBy === 'clients' ? clients : [server];
    const counts = await Promise.all(counters.map((actor) => actor.ask('wire')));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Fails unless exactly these records are there, in all their fields. */
  async check(workload, actor, expected) {
    const found = Object.assign(new Digest(), await this.#digest(actor));
    if (`${found}` !== `${expected}`) {
      throw new Error(`${workload}: ${actor.name} has ${found}, not ${expected}`);
    }
  }

  async #digest(actor) {
    if (!this.#peer.opaque || this.#actors.get(actor).name !== 'server') return actor.ask('digest');
    // The server cannot read what it keeps: whoever starts with nothing must get all of it.
    const reader = await this.client('reader');
    await reader.ask('pull');
    const digest = await reader.ask('digest');
    await reader.end();
    this.#actors.delete(reader);
    rmSync(join(this.#folder, 'reader'), { recursive: true });
    return digest;
  }

  /** Looks at everything once more at the end; at what the peer says is on disk, in new processes. */
  async finish(expected) {
    const entries = expected.map(([actor, digest]) => ({ actor, digest, ...this.#actors.get(actor) }));
    const durable = ({ name }) => this.#peer.durable[name === 'server' ? 'server' : 'client'];
    for (const { actor, digest } of entries.filter((entry) => !durable(entry))) {
      await this.check('at the end', actor, digest);
    }
    for (const actor of [...this.#actors.keys()]) {
      await actor.end();
      this.#actors.delete(actor);
    }
    for (const { name, command, digest } of entries.filter(durable)) {
      await this.check('opened again', await this.#start(name, command), digest);
    }
  }
}

/** For each workload the line with the median of its times, which it then lists. */
function medians(lines) {
  return [...new Set(lines.map((line) => line.workload))].map((workload) => {
    const own = lines.filter((line) => line.workload === workload).sort((x, y) => x.seconds - y.seconds);
    return { ...own[(own.length - 1) >> 1], runs: own.map((line) => line.seconds) };
  });
}

function positive(name, text) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${name} must be a whole number above 0: ${text}`);
  return number;
}

const rounded = (number, digits) => Number(number.toFixed(digits));
