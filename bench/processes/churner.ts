// A process that replaces, reads and flushes pages of a named store in random order, many more than it can hold.

import { Oid, open } from '../../src/index.ts';
import { PAGES_AN_OBJECT } from '../store/scene.ts';
import { answer } from '../support/helper.ts';
import { numbersBelow } from '../support/order.ts';
import { loadPages, PAGE_BYTES } from '../support/pages.ts';

export interface ChurnTask {
  name: string;
  /** Objects of 64 pages in a pool of each kind: ephemeral ones are evicted, persistent ones refused. */
  objects: number;
  operations: number;
  seed: number;
  pagesFile: string | undefined;
}

/** One operation of this many flushes a whole object. */
const FLUSH_EVERY = 500;

answer(({ name, objects, operations, seed, pagesFile }: ChurnTask): number => {
  const pages = loadPages(pagesFile);
  const store = open({ name, shrinker: { enabled: false } });
  const client = store.client('churn');
  const pools = (['ephemeral', 'persistent'] as const).map((kind) => client.pool(kind, { kind }));
  const below = numbersBelow(seed);
  const out = Buffer.alloc(PAGE_BYTES);
  let stored = 0;
  for (let i = 0; i < operations; i++) {
    const pool = pools[below(pools.length)]!;
    const oid = Oid.fromNumbers(below(objects));
    const index = below(PAGES_AN_OBJECT);
    if (i % FLUSH_EVERY === 0) pool.flushObject(oid);
    else if (below(2) === 0) pool.getAndKeep(oid, index, out);
    else {
      const at = below(pages.count) * PAGE_BYTES;
      if (pool.put(oid, index, pages.bytes.subarray(at, at + PAGE_BYTES)) === 'stored') stored++;
    }
  }
  return stored;
});
