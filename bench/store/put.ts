// put into a store that fills up: cold random pages out of a Buffer much larger than the caches, LZ4, zv, beside
// liblz4 compressing the same pages in the same order into one warm buffer.
//
// A new store each round. With `prefault` its memory is resident before the first put; without, each frame's first
// touch (a page fault and zeroes from the system) falls into the put that takes it. Both are reported.

import { type Oid, open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { median, rounded, threadCpuNs } from '../support/measure.ts';
import { visitOrder } from '../support/order.ts';
import { CONTENT_PAGES, makeOids, ORDER_SEED, type Scene, verifyContent, viewsOf } from './scene.ts';

const ROUNDS = 5;
const WARM_UP_ROUNDS = 2;
/** Holds the content at any ratio below 70 %. */
const MEMORY = '384 MiB';

export async function measurePut(scene: Scene): Promise<Figures> {
  const order = visitOrder(CONTENT_PAGES, ORDER_SEED);
  const views = viewsOf(scene.content, order);
  const oids = makeOids(CONTENT_PAGES);
  const rounds = WARM_UP_ROUNDS + ROUNDS;
  const control = scene.control('compress', rounds);
  const ns: Record<'ready' | 'fresh' | 'native', number[]> = { ready: [], fresh: [], native: [] };
  try {
    for (let round = 0; round < rounds; round++) {
      const native = (await control.round()).nsPerPage;
      const ready = fill(scene, order, views, oids, true, round === 0);
      const fresh = fill(scene, order, views, oids, false, false);
      if (round < WARM_UP_ROUNDS) continue;
      ns.native.push(native);
      ns.ready.push(ready);
      ns.fresh.push(fresh);
    }
  } finally {
    control.close();
  }
  const [native, ready, fresh] = [median(ns.native), median(ns.ready), median(ns.fresh)];
  scene.say(
    `put, filling up: ${ready.toFixed(0)} ns a page, ${fresh.toFixed(0)} without prefault, ` +
      `liblz4 compress ${native.toFixed(0)}`,
  );
  return {
    put_vs_liblz4_compress: rounded(native / ready),
    put_without_prefault_vs_liblz4_compress: rounded(native / fresh),
  };
}

/** Nanoseconds a page of filling a new store with the whole content. */
function fill(
  scene: Scene,
  order: Uint32Array,
  views: readonly Buffer[],
  oids: readonly Oid[],
  prefault: boolean,
  verify: boolean,
): number {
  collectGarbage();
  using store = open({ memory: MEMORY, prefault });
  const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
  let stored = 0;
  const spent = threadCpuNs(() => {
    for (let i = 0; i < order.length; i++) {
      const page = order[i];
      if (pool.put(oids[page >>> 6], page & 63, views[i]) === 'stored') stored++;
    }
  });
  if (stored !== order.length) throw new Error(`only ${stored} of ${order.length} pages were stored`);
  if (verify) verifyContent(pool, scene, oids);
  return spent / order.length;
}
