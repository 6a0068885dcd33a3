// Figures of a zv heap for the refuse rules and for statistics; kept by zv-heap.ts under the zv lock.

import { addTo } from '../memory/counters';
import { HISTOGRAM_BINS } from '../memory/layout';
import { lock, unlock, zvLock } from '../memory/lock';
import {
  Z_BLOCKS,
  Z_EVER_BLOCKS,
  Z_EVER_HISTOGRAM,
  Z_EVER_STORED_BYTES,
  Z_HISTOGRAM,
  Z_STORED_BYTES,
  heapClient,
} from './zv-heap';

/** Mean stored bytes of a page, 0 for an empty heap. Read without the lock: a hint. */
export function zvMeanBytes(heap: usize): u32 {
  const blocks = load<u32>(heap + Z_BLOCKS);
  return blocks == 0 ? 0 : <u32>(load<u64>(heap + Z_STORED_BYTES) / blocks);
}

/** Adds a heap's figures to a statistics row and its two histograms (src/zcache/client-counters.ts). */
export function zvStatistics(heap: usize, row: usize, now: usize, ever: usize): void {
  const guard = zvLock(heapClient(heap));
  lock(guard);
  addTo(row + 14 * 8, load<u32>(heap + Z_BLOCKS));
  addTo(row + 16 * 8, load<u64>(heap + Z_STORED_BYTES));
  addTo(row + 18 * 8, load<u64>(heap + Z_EVER_BLOCKS));
  addTo(row + 19 * 8, load<u64>(heap + Z_EVER_STORED_BYTES));
  for (let i: u32 = 0; i < HISTOGRAM_BINS; i++) {
    addTo(now + (i << 3), load<u32>(heap + Z_HISTOGRAM + (i << 2)));
    addTo(ever + (i << 3), load<u64>(heap + Z_EVER_HISTOGRAM + (i << 3)));
  }
  unlock(guard);
}
