// Processes that do what they are told: a line of JSON in, a line of JSON out. Clients and servers are such processes,
// whatever language they are written in, so that one program measures all of them.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** A process as seen by the program that measures it. */
export class Actor {
  #child;
  #waiting = [];
  #ended;
  name;
  /** The process whose usage counts; another one if what answers here only starts it. */
  pid;

  constructor(name, [command, ...args]) {
    this.name = name;
    // As in production: some libraries check more, and are slower, otherwise.
    const env = { ...process.env, NODE_ENV: 'production' };
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.pid = this.#child.pid;
    this.#ended = new Promise((resolve) => {
      const end = (why) => {
        for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${name} ended: ${why}`));
        resolve(why);
      };
      this.#child.on('error', (error) => end(error.message));
      this.#child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
    // What is written after its end fails here; the caller hears of it by `exit`.
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#heard(line));
  }

  #heard(line) {
    const waiting = this.#waiting.shift();
    let answer;
    try {
      answer = JSON.parse(line);
    } catch {
      answer = { error: `it said ${line}` };
    }
    if (answer.error === undefined) waiting?.resolve(answer.result);
    else waiting?.reject(new Error(`${this.name}: ${answer.error}`));
  }

  /** Has it do something and gives what it answers. */
  ask(method, ...args) {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        reject(new Error(`${this.name} is not running`));
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ method, args })}\n`);
    });
  }

  /** The most memory it ever had, in MB, and its seconds of processor time so far; nulls where there is no /proc. */
  usage() {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
      // The name of the program may hold anything, but it ends at the last parenthesis.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return {
        rss: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024),
        cpu: (Number(fields[11]) + Number(fields[12])) / 100,
      };
    } catch {
      return { rss: null, cpu: null };
    }
  }

  /** Ends it in order, so that its database is closed. */
  async end() {
    await this.ask('close');
    this.#child.stdin.end();
    const why = await this.#ended;
    if (why !== 'exit code 0') throw new Error(`${this.name} ended: ${why}`);
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}

/** Makes this process do what it is told, one thing after the other, until its input ends. */
export async function obey(methods) {
  // Libraries may print; the output is for answers only.
  console.log = console.error;
  console.info = console.error;
  console.debug = console.error;
  for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { method, args } = JSON.parse(line);
      answer = { result: (await methods[method](...args)) ?? null };
    } catch (error) {
      answer = { error: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

/** The seconds that something takes. */
export async function seconds(run) {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1_000;
}
