// A Linux guest whose memory goes to a tmem export. Every byte is verified in the guest; a wrong one ends it with an
// error.
import { expect, test } from 'vitest';
import { type SwapLoad, swapOn, swapPrograms } from '../../guest/workloads/swap.ts';
import { needGuest } from './needs.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 300_000;

const PAGE_BYTES = 4096;

test(
  'a guest that uses more memory than it has gets every byte back from a swap export',
  async (context) => {
    const load: SwapLoad = { memoryMib: 128, hogMib: 136, passes: 1, programs: true };
    needGuest(context, swapPrograms('tmem', load));
    const { pagesOut, pagesIn, stats } = await swapOn('tmem', load);
    // What it has beyond its memory was out and in.
    const beyond = ((load.hogMib - load.memoryMib) * 2 ** 20) / PAGE_BYTES;
    expect(pagesOut).toBeGreaterThan(beyond);
    expect(pagesIn).toBeGreaterThan(beyond);
    expect(stats.mem_used_max_bytes).toBeGreaterThan(0);
    // Swapped with discards.
    expect(stats.trims_total).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
