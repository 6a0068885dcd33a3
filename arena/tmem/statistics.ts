// Statistics: brings the figures of a pool or client into one row of u64 for the host, which knows their names
// (src/zcache/pool-counters.ts, client-counters.ts). Rows go to the slot's S_OUT area.

import {
  N_NODES,
  N_OBJECTS,
  N_PAGES,
  N_SAME_FILLED,
  N_ZBYTES,
  addTo,
  counted,
  poolPages,
  sampleHighWater,
} from '../memory/counters';
import { clientAddress } from '../memory/frame';
import {
  CLIENT_COUNTER_WORDS,
  C_COUNTERS,
  C_FRAMES,
  C_FRAMES_MAX,
  C_GROUPS,
  C_GROUPS_MAX,
  C_RETIRED,
  C_ZV_HEAPS,
  HISTOGRAM_BINS,
  H_POOLS_HIGH,
  POOL_COUNTER_WORDS,
  P_CLIENT,
  P_HIGH_WATER,
  S_OUT,
} from '../memory/layout';
import { slotAddress } from '../memory/slot';
import { zbudStatistics } from '../pam/zbud';
import { zvStatistics } from '../pam/zv-statistics';
import { poolAddress, poolIsLive } from './pool';

const HISTOGRAMS: u32 = 4;

/** POOL_COUNTER_WORDS u64 of a pool; the address of the row. */
export function poolRow(pool: usize): usize {
  const row = slotAddress() + S_OUT;
  sampleHighWater(pool);
  for (let i: u32 = 0; i < POOL_COUNTER_WORDS; i++) store<i64>(row + (i << 3), counted(pool, i));
  store<i64>(row + (N_PAGES << 3), poolPages(pool));
  store<u64>(row + ((N_PAGES + 1) << 3), load<u64>(pool + P_HIGH_WATER));
  store<u64>(row + ((N_ZBYTES + 1) << 3), load<u64>(pool + P_HIGH_WATER + 8));
  store<u64>(row + ((N_OBJECTS + 1) << 3), load<u64>(pool + P_HIGH_WATER + 16));
  store<u64>(row + ((N_NODES + 1) << 3), load<u64>(pool + P_HIGH_WATER + 24));
  return row;
}

/**
 * CLIENT_COUNTER_WORDS u64 of a client, its 4 histograms, and the POOL_COUNTER_WORDS of its former pools. Under
 * ADMIN_LOCK.
 */
export function clientRow(client: u32): usize {
  const row = slotAddress() + S_OUT;
  const address = clientAddress(client);
  const histograms = row + (CLIENT_COUNTER_WORDS << 3);
  const bins: u32 = HISTOGRAM_BINS << 3;
  memory.fill(row, 0, (CLIENT_COUNTER_WORDS << 3) + HISTOGRAMS * bins);
  for (let i: u32 = 24; i < CLIENT_COUNTER_WORDS; i++) {
    store<u64>(row + (i << 3), atomic.load<u64>(address + C_COUNTERS + (i << 3)));
  }
  store<u64>(row, atomic.load<u32>(address + C_FRAMES));
  store<u64>(row + 8, load<u32>(address + C_FRAMES_MAX));
  setGroup(row, 2, address, 0); // zbud
  setGroup(row, 12, address, 1); // zv
  setGroup(row, 20, address, 2); // raw
  setGroup(row, 22, address, 3); // everything else
  zbudStatistics(client, row, histograms, histograms + bins);
  for (let i: usize = 0; i < 8; i += 4) {
    const heap = load<u32>(address + C_ZV_HEAPS + i);
    if (heap != 0) zvStatistics(heap, row, histograms + 2 * bins, histograms + 3 * bins);
  }
  const former = histograms + HISTOGRAMS * bins;
  memory.copy(former, address + C_RETIRED, POOL_COUNTER_WORDS << 3);
  const pools = load<u32>(H_POOLS_HIGH);
  for (let id: u32 = 0; id < pools; id++) {
    const pool = poolAddress(id);
    if (pool != 0 && !poolIsLive(pool) && load<u32>(pool + P_CLIENT) == client) addEnding(pool, former);
  }
  return row;
}

/** A destroyed pool whose pages wait to be freed: what it counted goes on counting, what it holds is nobody's. */
function addEnding(pool: usize, row: usize): void {
  for (let i: u32 = 0; i < POOL_COUNTER_WORDS; i++) {
    const isHeld = (i >= N_PAGES && i <= N_ZBYTES + 1) || i == N_SAME_FILLED || (i >= N_OBJECTS && i <= N_NODES + 1);
    if (!isHeld) addTo(row + (i << 3), counted(pool, i));
  }
}

function setGroup(row: usize, counter: u32, client: usize, group: u32): void {
  store<u64>(row + (counter << 3), atomic.load<u32>(client + C_GROUPS + (group << 2)));
  store<u64>(row + ((counter + 1) << 3), load<u32>(client + C_GROUPS_MAX + (group << 2)));
}
