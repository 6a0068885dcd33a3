// How long a process takes to open an existing store of 1 GiB that is full of pages: when it has used a store before
// (the package is loaded, the C library too, the code compiled), and from the first line of a fresh process on.

import type { BenchOptions, Figures } from '../run.ts';
import { Helper } from '../support/helper.ts';
import { median, rounded } from '../support/measure.ts';
import { makeFullStore } from './full-store.ts';

/** Fresh processes. */
const ROUNDS = 11;
/** Opens in each of them, after the first. */
const OPENS = 5;
const FILE = new URL('attacher.ts', import.meta.url);

export interface Attached {
  coldMs: number;
  warmMs: number[];
}

export async function measureAttach({ pages, say }: BenchOptions): Promise<Figures> {
  using full = makeFullStore(pages);
  const cold: number[] = [];
  const warm: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const helper = await Helper.start(FILE);
    const { coldMs, warmMs } = await helper.ask<Attached>({ name: full.name, opens: OPENS });
    await helper.kill();
    cold.push(coldMs);
    warm.push(...warmMs);
  }
  say(
    `attaching to 1 GiB: ${median(warm).toFixed(2)} ms (longest ${Math.max(...warm).toFixed(2)}); in a fresh ` +
      `process, loading the package and koffi included, ${median(cold).toFixed(0)} ms`,
  );
  return { attach_ms: rounded(median(warm), 2), attach_cold_ms: rounded(median(cold), 1) };
}
