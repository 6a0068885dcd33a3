// Counters of clients: events of reclaim, and what the pools they had counted before they were destroyed.
// Order: src/zcache/client-counters.ts, src/zcache/pool-counters.ts.

import { counted } from '../memory/counters';
import { clientAddress } from '../memory/frame';
import { C_COUNTERS, C_RETIRED, H_RETIRED_STORE, POOL_COUNTER_WORDS } from '../memory/layout';

export const K_EVICTED_FRAMES: u32 = 24;
export const K_EVICTED_UNBUDDIED: u32 = 25;
export const K_EVICTED_BUDDIED: u32 = 26;
export const K_EVICTED_PAGES: u32 = 27;
export const K_EVICTED_INLINE: u32 = 28;
export const K_EPH_ATE_TAIL: u32 = 29;
export const K_PERS_ATE_EPH: u32 = 30;
export const K_ABORTED_SHRINK: u32 = 31;

export function countClient(client: u32, counter: u32, amount: u64): void {
  const address = clientAddress(client);
  if (address != 0) atomic.add<u64>(address + C_COUNTERS + (counter << 3), amount);
}

/** A pool ends: what it counted goes on counting for its client. Under ADMIN_LOCK. */
export function retirePool(pool: usize, client: u32): void {
  const address = clientAddress(client);
  if (address == 0) return;
  for (let i: u32 = 0; i < POOL_COUNTER_WORDS; i++) {
    const cell = address + C_RETIRED + (i << 3);
    store<i64>(cell, load<i64>(cell) + counted(pool, i));
  }
}

/** A client ends: likewise for the store. Under ADMIN_LOCK. */
export function retireClient(client: usize): void {
  for (let i: u32 = 0; i < POOL_COUNTER_WORDS; i++) {
    const cell = H_RETIRED_STORE + (i << 3);
    store<i64>(cell, load<i64>(cell) + load<i64>(client + C_RETIRED + (i << 3)));
  }
}
