// A server in a process of its own, for tests that kill it or measure it. Argument: JSON of ServerArguments. Sends
// 'ready'. On the message 'arm' the deaths that were asked for may come; 'memory' is answered (needs --expose-gc).

import { setTimeout as delay } from 'node:timers/promises';
import type { BackingDevice } from '../../src/frontswap/index.ts';
import { AreaExport, type AreaExportOptions, NbdServer, WriteBack } from '../../src/nbd/index.ts';
import { open, type StoreOptions } from '../../src/zcache/index.ts';

/** A moment at which the server kills itself: before, in the middle of, or after a call of the export's file. */
export interface DeathAt {
  readonly call: 'write' | 'zero' | 'flush';
  readonly nth: number;
  readonly moment: 'before' | 'within' | 'after';
}

export interface ServedExport extends AreaExportOptions {
  /** Pages that may stay in the store; others are moved out again and again. */
  readonly shrinkTo?: number;
  readonly deathAt?: DeathAt;
}

export interface ServerArguments {
  readonly path: string;
  readonly store: StoreOptions;
  readonly exports: readonly ServedExport[];
  readonly handshakeTimeoutMs?: number;
}

/** What 'memory' is answered with. Bytes, after a garbage collection. */
export interface MemoryReport {
  readonly connections: number;
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

/** Between two times that pages are moved out. */
const SHRINK_MS = 2;

const die = (): boolean => process.kill(process.pid, 'SIGKILL');

let armed = false;

/** Replaces a call of the device by one that ends the process when its time has come. */
function killIn(device: BackingDevice, { call, nth, moment }: DeathAt): void {
  let calls = 0;
  const right = device[call].bind(device) as (position: number, what: never) => Promise<void>;
  const isTime = (): boolean => armed && ++calls === nth;
  device[call] = async (position: number = 0, what?: unknown): Promise<void> => {
    const now = isTime();
    if (now && moment === 'before') die();
    if (now && moment === 'within' && what instanceof Uint8Array) {
      // The kernel ends the write of a killed process between two pages.
      const half = Math.floor(what.length / 2 / 4096) * 4096;
      if (half > 0) await right(position, what.subarray(0, half) as never);
      die();
    }
    const done = right(position, what as never);
    if (now && moment === 'within') die();
    await done;
    if (now) die();
  };
}

async function main({ path, store: options, exports, ...settings }: ServerArguments): Promise<void> {
  const store = open(options);
  const server = new NbdServer(settings);
  const opened: AreaExport[] = [];
  for (const { shrinkTo: _, deathAt, ...given } of exports) {
    const exported = await AreaExport.open(store, given);
    if (deathAt !== undefined && exported.swap.device !== undefined) killIn(exported.swap.device, deathAt);
    await server.addExport(exported);
    opened.push(exported);
  }
  const policy = new WriteBack(
    store,
    () => opened,
    (_, error) => {
      throw error;
    },
  );
  policy.start();
  let stopping = false;
  const shrinking = exports.map(async ({ shrinkTo }, i) => {
    while (shrinkTo !== undefined && !stopping) {
      await opened[i]!.swap.shrink(shrinkTo);
      await delay(SHRINK_MS);
    }
  });
  process.on('SIGTERM', async () => {
    stopping = true;
    await server.stop();
    await Promise.all([policy.stop(), ...shrinking]);
    for (const exported of opened) await exported.close();
    store.close();
    if (process.connected) process.disconnect();
  });
  process.on('message', (message) => {
    if (message === 'arm') armed = true;
    if (message !== 'memory') return;
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    const report: MemoryReport = { connections: server.connections, rss, heapUsed, external };
    process.send?.(report);
  });
  await server.listen({ path });
  process.send?.('ready');
}

if (process.argv[2] !== undefined) void main(JSON.parse(process.argv[2]));
