// Counters of a pool: rows ("shards") of u64 in its frame, one a thread slot where there are at most 8, so that
// counting costs a plain add; shared by atomic adds above that. Totals are sums over the shards. The order is that
// of src/zcache/pool-counters.ts. Pages, objects and nodes now are kept under the pool's stripes and derived.

import {
  COUNTER_SHARDS,
  H_THREADS,
  P_COUNTERS,
  P_HIGH_WATER,
  P_PAGES,
  POOL_COUNTER_WORDS,
  ROOTS,
} from './layout';
import { slotNumber } from './slot';

export const N_PUTS: u32 = 0;
export const N_STORED: u32 = 1;
export const N_REPLACED: u32 = 2;
export const N_PUT_TO_FLUSH: u32 = 3;
export const N_SUCC_GETS: u32 = 4;
export const N_FAILED_GETS: u32 = 5;
export const N_FLUSH_TOTAL: u32 = 6;
export const N_FLUSH_FOUND: u32 = 7;
export const N_FLOBJ_TOTAL: u32 = 8;
export const N_FLOBJ_FOUND: u32 = 9;
export const N_FAILED_EPH_PUTS: u32 = 10;
export const N_FAILED_PERS_PUTS: u32 = 11;
export const N_COMPRESS_POOR: u32 = 12;
export const N_MEAN_COMPRESS_POOR: u32 = 13;
export const N_PERCENT_EXCEEDED: u32 = 14;
export const N_NO_FRAME: u32 = 15;
export const N_NO_CELL: u32 = 16;
export const N_ABORTED_PRELOAD: u32 = 17;
export const N_OVER_LIMIT: u32 = 18;
export const N_OVER_CAP: u32 = 19;
export const N_FROZEN: u32 = 20;
export const N_SWITCHED_OFF: u32 = 21;
export const N_PAGES: u32 = 22;
export const N_ZBYTES: u32 = 24;
export const N_CUMUL_ZPAGES: u32 = 26;
export const N_CUMUL_ZBYTES: u32 = 27;
export const N_SAME_FILLED: u32 = 28;
export const N_BYTES_IN: u32 = 29;
export const N_OBJECTS: u32 = 30;
export const N_NODES: u32 = 32;
export const N_CHECKSUM_FAILURES: u32 = 34;
export const N_EVICTED: u32 = 35;
export const N_DEMOTED: u32 = 36;
export const N_REMOTE: u32 = 37;

@inline
export function count(pool: usize, counter: u32, amount: i64): void {
  const number = slotNumber();
  const cell = pool + P_COUNTERS + (((number & (COUNTER_SHARDS - 1)) * POOL_COUNTER_WORDS + counter) << 3);
  if (load<u32>(H_THREADS) <= COUNTER_SHARDS) store<i64>(cell, load<i64>(cell) + amount);
  else atomic.add<i64>(cell, amount);
}

/** Adds to a cell of a row of statistics that is being put together. */
export function addTo(cell: usize, value: u64): void {
  store<u64>(cell, load<u64>(cell) + value);
}

/** Sum over the shards, modulo 2^64. */
export function counted(pool: usize, counter: u32): i64 {
  let sum: i64 = 0;
  for (let shard: u32 = 0; shard < COUNTER_SHARDS; shard++) {
    sum += atomic.load<i64>(pool + P_COUNTERS + ((shard * POOL_COUNTER_WORDS + counter) << 3));
  }
  return sum;
}

/** Makes the sum of a counter what recovery found; nothing else runs. */
export function countCorrect(pool: usize, counter: u32, value: i64): void {
  const cell = pool + P_COUNTERS + (counter << 3);
  store<i64>(cell, load<i64>(cell) + value - counted(pool, counter));
}

/** Pages in the pool now. */
export function poolPages(pool: usize): u32 {
  let pages: u32 = 0;
  for (let root: u32 = 0; root < ROOTS; root++) pages += atomic.load<u32>(pool + P_PAGES + (root << 2));
  return pages;
}

/**
 * Notes new highest values. Sums are too dear for every put, so a put calls this while its root slot has few pages
 * and then at every 64th: a maximum is exact for small pools and may be short by up to 64 pages a root slot.
 */
export function sampleHighWater(pool: usize): void {
  raise(pool + P_HIGH_WATER, poolPages(pool));
  raise(pool + P_HIGH_WATER + 8, counted(pool, N_ZBYTES));
  raise(pool + P_HIGH_WATER + 16, counted(pool, N_OBJECTS));
  raise(pool + P_HIGH_WATER + 24, counted(pool, N_NODES));
}

function raise(cell: usize, value: i64): void {
  if (value > load<i64>(cell)) store<i64>(cell, value);
}
