// The servers that are compared, each a process of its own on a unix socket with one empty export in memory, started as
// their users start them: `tmem serve` with what it does by default, nbdkit's memory plugin with and without zstd.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processMemory } from '../support/resident.ts';

/** As it is published: without the sources' types, which Node would take memory to strip. */
const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export type ServerName = 'tmem' | 'nbdkit-memory' | 'nbdkit-zstd';

const START_TRIES = 500;
const START_PAUSE_MS = 20;
/** Of /proc/<pid>/stat, on every Linux that Node runs on. */
const CLOCK_TICK_US = 10_000;

/** Our store may take as much as the image has, and takes it when it needs it. */
const COMMANDS: Record<ServerName, (socket: string, bytes: number) => string[]> = {
  tmem: (socket, bytes) => [
    ...[process.execPath, CLI, 'serve', '--memory', String(bytes)],
    ...['--export', `bench=ram:${bytes}`, '--listen', `unix:${socket}`],
  ],
  'nbdkit-memory': (socket, bytes) => ['nbdkit', '-f', '-U', socket, 'memory', String(bytes)],
  'nbdkit-zstd': (socket, bytes) => ['nbdkit', '-f', '-U', socket, 'memory', String(bytes), 'allocator=zstd'],
};

/** Runs a command on one core, if one is named. Whatever happens to this process, it does not outlive it. */
export function bound(command: readonly string[], core?: number): [string, ...string[]] {
  const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
  return ['setpriv', '--pdeathsig', 'KILL', ...pinned, ...command];
}

let started = 0;

export class RunningServer {
  readonly socket: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #said = '';

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.#process = child;
    this.#exited = once(child, 'exit');
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
  }

  /** Starts a server and waits until it takes connections. @throws Error with what it said, when it ends instead */
  static async start(
    name: ServerName,
    directory: string,
    bytes: number,
    core?: number,
  ): Promise<RunningServer> {
    const socket = join(directory, `socket-${started++}`);
    const [command, ...args] = bound(COMMANDS[name](socket, bytes), core);
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const server = new RunningServer(socket, child);
    for (let tries = 0; !(await takesConnections(socket)); tries++) {
      if (child.exitCode === null && tries < START_TRIES) {
        await sleep(START_PAUSE_MS);
      } else {
        child.kill('SIGKILL');
        throw new Error(`${name} does not listen: ${server.#said}`);
      }
    }
    return server;
  }

  /** NBD's name of its export. */
  get uri(): string {
    return `nbd+unix:///?socket=${this.socket}`;
  }

  /** All it has in memory, shared parts once. */
  get residentBytes(): number {
    return processMemory(this.#process.pid!).pssBytes;
  }

  /** CPU time so far of all its threads, in steps of 10 ms. */
  get cpuUs(): number {
    const text = readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8');
    // Behind the name, which may hold anything: field 3 and on; 14 and 15 are user's and system's time.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US;
  }

  /** Nothing has to be kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }
}

async function takesConnections(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
