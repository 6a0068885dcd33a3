// Reads every page of a store that another process filled, twice.

import { open } from '../../src/index.ts';
import { answer } from '../support/helper.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import type { Touched } from './first-touch.ts';
import { handleOf, type Kind, poolOf } from './full-store.ts';

answer(({ name, counts }: { name: string; counts: Record<Kind, number> }): Touched => {
  using store = open({ name, shrinker: { enabled: false } });
  const pools = (['persistent', 'ephemeral'] as const).map((kind) => ({
    pool: poolOf(store, kind),
    handles: Array.from({ length: counts[kind] }, (_, page) => handleOf(page)),
  }));
  const out = Buffer.alloc(PAGE_BYTES);
  const pass = () => {
    const startMs = performance.now();
    let found = 0;
    for (const { pool, handles } of pools) {
      for (const [oid, index] of handles) if (pool.getAndKeep(oid, index, out) > 0) found++;
    }
    return { ms: performance.now() - startMs, found };
  };
  // The code is compiled before anything is measured: misses touch no page.
  for (const { pool, handles } of pools) {
    for (const [oid] of handles.slice(0, 20_000)) pool.getAndKeep(oid, 1_000_000, out);
  }
  const first = pass();
  const warm = pass();
  return { firstMs: first.ms, warmMs: warm.ms, found: warm.found };
});
