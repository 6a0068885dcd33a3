// put into a full ephemeral store (zbud): the content is several times what fits, so each put of a page that is not
// there any more evicts others. Control: liblz4 compressing the same pages in the same order.

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { median, rounded, threadCpuNs } from '../support/measure.ts';
import { visitOrder } from '../support/order.ts';
import { CONTENT_PAGES, makeOids, ORDER_SEED, type Scene, viewsOf } from './scene.ts';

const ROUNDS = 5;
const WARM_UP_ROUNDS = 2;
/** A quarter of the content at most, even if all pages pair; well above the processor's caches. */
const MEMORY = '64 MiB';

export async function measurePutFull(scene: Scene): Promise<Figures> {
  const order = visitOrder(CONTENT_PAGES, ORDER_SEED);
  const views = viewsOf(scene.content, order);
  const oids = makeOids(CONTENT_PAGES);
  const rounds = WARM_UP_ROUNDS + ROUNDS;
  const control = scene.control('compress', rounds);
  collectGarbage();
  using store = open({ memory: MEMORY, prefault: true });
  const pool = store.client('bench').pool('pages', { kind: 'ephemeral', codec: 'lz4', pam: 'zbud' });
  const native: number[] = [];
  const ours: number[] = [];
  const pass = () => {
    for (let i = 0; i < order.length; i++) pool.put(oids[order[i] >>> 6], order[i] & 63, views[i]);
  };
  pass();
  try {
    for (let round = 0; round < rounds; round++) {
      const theirs = (await control.round()).nsPerPage;
      const before = store.stats();
      const spent = threadCpuNs(pass) / order.length;
      const after = store.stats();
      const evicted = after.reclaim.evicted_zpages - before.reclaim.evicted_zpages;
      const stored = after.traffic.put_stored - before.traffic.put_stored;
      if (stored !== order.length || evicted < 0.99 * order.length) {
        throw new Error(`of ${order.length} puts ${stored} were stored and evicted ${evicted} pages`);
      }
      if (round < WARM_UP_ROUNDS) continue;
      native.push(theirs);
      ours.push(spent);
    }
  } finally {
    control.close();
  }
  scene.say(
    `put, full zbud store: ${median(ours).toFixed(0)} ns a page, liblz4 compress ${median(native).toFixed(0)}`,
  );
  return { put_full_vs_liblz4_compress: rounded(median(native) / median(ours)) };
}
