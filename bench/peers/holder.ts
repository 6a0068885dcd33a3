// A process that holds 2 GB of pages in one way or another, replaces 1 % of them a second, a few every millisecond,
// and prints what its event loop's delays were meanwhile: `node holder.ts <empty|tmem|map|lru> [pages file]`.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { Oid, open } from '../../src/index.ts';
import { loadPages, PAGE_BYTES, withoutSameFilled } from '../support/pages.ts';

export type HolderName = 'empty' | 'tmem' | 'map' | 'lru';

export interface Delays {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  fillMaxMs: number;
  residentMiB: number;
}

const HELD_BYTES = 2_000_000_000;
const HELD_PAGES = Math.floor(HELD_BYTES / PAGE_BYTES);
const REPLACED_A_SECOND = HELD_PAGES / 100;
const SETTLE_MS = 1000;
const MEASURE_MS = 8000;
const TICK_MS = 1;
/** Pages between two turns of the event loop while filling. */
const FILL_STEP = 64;
/** More than one tick can owe: what a stall left undone is not caught up. */
const REPLACED_AT_ONCE_MAX = 512;
/** Room for the pages at any ratio below 90 %. */
const TMEM_MEMORY = 1_800_000_000;

const [name, file] = process.argv.slice(2) as [HolderName, string | undefined];
const pages = withoutSameFilled(loadPages(file));
const views = Array.from({ length: pages.count }, (_, i) =>
  pages.bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
);

/** How a holder takes a page under a number; undefined for the one that holds nothing. */
function holder(): ((page: number, bytes: Buffer) => void) | undefined {
  if (name === 'map' || name === 'lru') {
    const held =
      name === 'map' ? new Map<number, Buffer>() : new LRUCache<number, Buffer>({ max: HELD_PAGES });
    return (page, bytes) => held.set(page, Buffer.from(bytes));
  }
  if (name !== 'tmem') return undefined;
  const store = open({ memory: TMEM_MEMORY, incompressible: 'store' });
  const pool = store.client('bench').pool('pages', { kind: 'persistent' });
  const oids = Array.from({ length: Math.ceil(HELD_PAGES / 64) }, (_, i) => Oid.fromNumbers(i));
  return (page, bytes) => {
    const outcome = pool.put(oids[page >>> 6], page & 63, bytes);
    if (outcome !== 'stored') throw new Error(`page ${page}: ${outcome}`);
  };
}

const delays = monitorEventLoopDelay({ resolution: 1 });
const hold = holder();
delays.enable();
if (hold !== undefined) {
  for (let page = 0; page < HELD_PAGES; page++) {
    hold(page, views[page % views.length]);
    if (page % FILL_STEP === 0) await turn();
  }
}
const fillMaxMs = delays.max / 1e6;

let replaced = 0;
let startedMs = performance.now();
let random = 1;
const tick = () => {
  const owed = ((performance.now() - startedMs) / 1000) * REPLACED_A_SECOND - replaced;
  const due = Math.min(Math.floor(owed), REPLACED_AT_ONCE_MAX);
  for (let i = 0; i < due; i++) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const page = (random >>> 0) % HELD_PAGES;
    hold?.(page, views[(page + replaced) % views.length]);
    replaced++;
  }
};
const timer = hold === undefined ? undefined : setInterval(tick, TICK_MS);
await sleep(SETTLE_MS);
replaced = 0;
startedMs = performance.now();
delays.reset();
await sleep(MEASURE_MS);
delays.disable();
clearInterval(timer);
const missing = hold === undefined ? 0 : (REPLACED_A_SECOND * MEASURE_MS) / 1000 - replaced;
if (missing > 0.1 * REPLACED_A_SECOND * (MEASURE_MS / 1000)) {
  throw new Error(`${name}: only ${replaced} pages were replaced`);
}
const result: Delays = {
  p50Ms: delays.percentile(50) / 1e6,
  p99Ms: delays.percentile(99) / 1e6,
  maxMs: delays.max / 1e6,
  fillMaxMs,
  residentMiB: process.memoryUsage.rss() / 2 ** 20,
};
console.log(JSON.stringify(result));
process.exit(0);
