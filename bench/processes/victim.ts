// A process that gets and puts pages of a full store, one after the other, until it is killed.

import { open } from '../../src/index.ts';
import { answer } from '../support/helper.ts';
import { numbersBelow } from '../support/order.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { handleOf, type Kind, poolOf } from './full-store.ts';

export interface VictimTask {
  name: string;
  counts: Record<Kind, number>;
  seed: number;
}

/** For the case that nobody kills it. */
const WORK_MS_MAX = 10_000;
/** Time for the answer to be on its way: the work never lets go of the thread. */
const ANSWER_MS = 5;

answer(({ name, counts, seed }: VictimTask) => {
  const store = open({ name, shrinker: { enabled: false } });
  const kinds = ['persistent', 'ephemeral'] as const;
  const pools = kinds.map((kind) => ({ pool: poolOf(store, kind), pages: counts[kind] }));
  const below = numbersBelow(seed);
  const out = Buffer.alloc(PAGE_BYTES);
  const work = () => {
    const endMs = performance.now() + WORK_MS_MAX;
    while (performance.now() < endMs) {
      for (const { pool, pages } of pools) {
        pool.getAndKeep(...handleOf(below(pages)), out);
        pool.put(...handleOf(below(pages)), out);
      }
    }
  };
  setTimeout(work, ANSWER_MS);
});
