// get into a Buffer, random order over the whole content, LZ4, zv, the pages stay. Control: liblz4 decompressing the
// same pages, which lie packed in memory, in the same order, cold.

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { median, rounded, threadCpuNs } from '../support/measure.ts';
import { visitOrder } from '../support/order.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { CONTENT_PAGES, makeOids, ORDER_SEED, type Scene, verifyContent } from './scene.ts';

const ROUNDS = 7;
const WARM_UP_ROUNDS = 2;
/** Holds the content at any ratio below 70 %. */
const MEMORY = '384 MiB';

export async function measureGet(scene: Scene): Promise<Figures> {
  const order = visitOrder(CONTENT_PAGES, ORDER_SEED);
  const oids = makeOids(CONTENT_PAGES);
  const rounds = WARM_UP_ROUNDS + ROUNDS;
  collectGarbage();
  using store = open({ memory: MEMORY });
  const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
  for (let page = 0; page < CONTENT_PAGES; page++) {
    const outcome = pool.put(
      oids[page >>> 6],
      page & 63,
      scene.content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
    );
    if (outcome !== 'stored') throw new Error(`page ${page}: ${outcome}`);
  }
  verifyContent(pool, scene, oids);
  const out = Buffer.allocUnsafeSlow(PAGE_BYTES);
  const native: number[] = [];
  const ours: number[] = [];
  const control = scene.control('decompress', rounds);
  try {
    for (let round = 0; round < rounds; round++) {
      const theirs = (await control.round()).nsPerPage;
      let bytes = 0;
      const spent = threadCpuNs(() => {
        for (let i = 0; i < order.length; i++) bytes += pool.get(oids[order[i] >>> 6], order[i] & 63, out);
      });
      if (bytes !== order.length * PAGE_BYTES) throw new Error('a get missed');
      if (round < WARM_UP_ROUNDS) continue;
      native.push(theirs);
      ours.push(spent / order.length);
    }
  } finally {
    control.close();
  }
  scene.say(`get: ${median(ours).toFixed(0)} ns a page, liblz4 decompress ${median(native).toFixed(0)}`);
  return { get_vs_liblz4_decompress: rounded(median(native) / median(ours)) };
}
