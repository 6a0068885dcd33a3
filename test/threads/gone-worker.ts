// A thread of gone.test.ts: uses pools (and their client) that another thread destroys and makes anew all the time,
// or an object that is flushed all the time. Throws when anything but a page of the right pool, a miss, a refusal or
// one of the errors that mean "it is gone" comes back.

import { parentPort, workerData } from 'node:worker_threads';
import { attach, Oid, type PutOutcome, type StoreToken, TmemError } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { numbers } from './workload.ts';

export interface GoneTask {
  readonly store: StoreToken;
  readonly seed: number;
  readonly kind: 'ephemeral' | 'persistent';
  readonly pam: 'zbud' | 'zv' | 'raw';
  readonly names: readonly string[];
  /** Word 0 not 0 = stop. */
  readonly stop: Int32Array;
}

/** What a thread met, by name. */
export type GoneCounts = Record<string, number>;

const PAGE_BYTES = 4096;
const OBJECTS = 4;
const INDEXES = 300;
/** Operations on a pool that is known to be gone. */
const AFTERWARDS = 30;
const EXPECTED: ReadonlySet<string> = new Set(['TMEM_ERR_POOL_GONE', 'TMEM_ERR_CLIENT_GONE']);

const { store: token, seed, kind, pam, names, stop } = workerData as GoneTask;
const store = attach(token);
const next = numbers(seed);
const counts: GoneCounts = {};
const out = new Uint8Array(PAGE_BYTES);
const page = new Uint8Array(PAGE_BYTES);
for (let i = 0; i < page.length; i++) page[i] = i < 900 ? next(256) : i & 3;

function count(what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

/** A page that says in every eighth byte which pool it is for. */
function stamp(name: string): Uint8Array {
  const mark = names.indexOf(name) + 1;
  for (let i = 0; i < PAGE_BYTES; i += 8) page[i] = mark;
  return page.subarray(0, PAGE_BYTES - 8 * next(20));
}

function check(name: string, length: number): void {
  const mark = names.indexOf(name) + 1;
  for (let i = 0; i < length; i += 8) {
    if (out[i] !== mark) throw new Error(`pool ${name} (${mark}) gave a page with ${out[i]} at byte ${i}`);
  }
}

function open(name: string): ClientPool | undefined {
  try {
    return store.client('shaky').pool(name, { kind, pam });
  } catch (error) {
    if (!TmemError.is(error) || !EXPECTED.has(error.code)) throw error;
    count(error.code);
    return undefined;
  }
}

/** One operation; whether it showed that the pool is gone. */
function operate(pool: ClientPool): boolean {
  const oid = Oid.fromNumbers(next(OBJECTS));
  const index = next(INDEXES);
  const draw = next(12);
  let outcome: PutOutcome | 'miss' | undefined;
  if (draw < 6) {
    outcome = pool.put(oid, index, stamp(pool.name));
  } else if (draw < 8) {
    const length = draw === 6 ? pool.getAndFree(oid, index, out) : pool.getAndKeep(oid, index, out);
    check(pool.name, length);
    count(length > 0 ? 'hit' : 'miss');
  } else if (draw === 8) {
    const exchanged = pool.exchange(oid, index, stamp(pool.name), out);
    check(pool.name, exchanged.length);
    outcome = exchanged.outcome;
  } else if (draw === 9) {
    outcome = pool.writeAt(oid, index, 8 * next(8) + 1, page.subarray(1, 8));
  } else if (draw === 10) {
    if (next(10) === 0) pool.flushObject(oid);
    else pool.flushPage(oid, index);
  } else if (next(20) === 0) {
    store.shrink(1 + next(4));
  }
  if (outcome !== undefined) count(outcome);
  return outcome === 'pool-gone';
}

/** Whatever is done to a pool that is gone, in this thread or another, says so or finds nothing. */
function operateAfterwards(pool: ClientPool): void {
  for (let i = 0; i < AFTERWARDS; i++) {
    const oid = Oid.fromNumbers(next(OBJECTS));
    const index = next(INDEXES);
    const found = [
      pool.put(oid, index, stamp('none')),
      pool.getAndKeep(oid, index, out),
      pool.getAndFree(oid, index, out),
      pool.flushPage(oid, index),
      pool.flushObject(oid),
      pool.flush(),
      pool.readAt(oid, index, 0, out),
    ].join(' ');
    if (found !== 'pool-gone 0 0 false 0 0 -1') throw new Error(`a pool that is gone gave: ${found}`);
  }
  count('looked afterwards');
}

parentPort!.postMessage('ready');
let pool: ClientPool | undefined;
while (Atomics.load(stop, 0) === 0) {
  try {
    pool ??= open(names[next(names.length)]!);
    if (pool === undefined) continue;
    if (operate(pool)) {
      operateAfterwards(pool);
      pool = undefined;
    } else if (next(50) === 0) {
      pool = undefined;
    }
  } catch (error) {
    if (!TmemError.is(error) || !EXPECTED.has(error.code)) throw error;
    count(error.code);
    pool = undefined;
  }
}
store.close();
parentPort!.postMessage(counts);
