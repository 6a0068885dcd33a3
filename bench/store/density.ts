// Density: compressed bytes / (4096 * frames held), after the content was replaced ten times over, page by page at
// random. Frames held are all that are not free: pages, index, and the fixed part (tables, locks, thread slots with
// their staging pages, at default settings).

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { rounded } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { CONTENT_PAGES, makeOids, ORDER_SEED, type Scene } from './scene.ts';

/** The churn replaces this many times the content. */
const CHURN = 10;
/** What zbud keeps of a frame for buddies, in chunks of 64 bytes. */
const ZBUD_CHUNKS = 63;
const CHUNK_BYTES = 64;

/** Holds the content without eviction: density is about memory held, not about memory lacking. */
const MEMORY = { zv: '384 MiB', zbud: '640 MiB' };

export function measureDensity(scene: Scene): Figures {
  const limit = zbudLimit(scene.sizes);
  scene.say(`zbud: the best pairing of these pages would reach ${limit.toFixed(3)}`);
  return {
    density_zv: rounded(churned(scene, 'zv'), 4),
    density_zbud: rounded(churned(scene, 'zbud'), 4),
    density_zbud_limit: rounded(limit, 4),
  };
}

function churned(scene: Scene, pam: 'zv' | 'zbud'): number {
  collectGarbage();
  using store = open({ memory: MEMORY[pam] });
  const kind = pam === 'zv' ? 'persistent' : 'ephemeral';
  const pool = store.client('bench').pool('pages', { kind, codec: 'lz4', pam });
  const oids = makeOids(CONTENT_PAGES);
  const { bytes, count } = scene.pages;
  const views = Array.from({ length: count }, (_, i) => bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES));
  let random = ORDER_SEED;
  const below = (bound: number) => {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    return (random >>> 0) % bound;
  };
  const put = (page: number) => {
    const outcome = pool.put(oids[page >>> 6], page & 63, views[below(count)]);
    if (outcome !== 'stored') throw new Error(`density of ${pam}: page ${page}: ${outcome}`);
  };
  for (let page = 0; page < CONTENT_PAGES; page++) put(page);
  for (let i = 0; i < CHURN * CONTENT_PAGES; i++) put(below(CONTENT_PAGES));
  const { store: frames, content, frames: held, zv, zbud } = store.stats();
  if (content.curr_pages !== CONTENT_PAGES) throw new Error(`density of ${pam}: pages were evicted`);
  const all = frames.frames_total - frames.frames_free;
  const share = (part: number) => `${((100 * part) / all).toFixed(2)} %`;
  const pageFrames = pam === 'zv' ? zv.curr_pages : zbud.curr_raw_pages;
  scene.say(
    `density of ${pam}: ${(content.curr_zbytes / 2 ** 20).toFixed(1)} MiB in ${all} frames: ` +
      `${share(pageFrames)} hold pages (${(content.curr_zbytes / PAGE_BYTES / pageFrames).toFixed(4)} full), ` +
      `${share(held.meta_curr_pages)} the index, ${share(frames.frames_fixed)} fixed`,
  );
  return content.curr_zbytes / (all * PAGE_BYTES);
}

/** Density if every page could wait for its best partner: most pairs by taking the largest with the smallest. */
function zbudLimit(sizes: readonly number[]): number {
  const chunks = sizes.map((size) => Math.ceil(size / CHUNK_BYTES)).sort((a, b) => a - b);
  let frames = 0;
  let small = 0;
  for (let large = chunks.length - 1; large >= small; large--) {
    if (small < large && chunks[small] + chunks[large] <= ZBUD_CHUNKS) small++;
    frames++;
  }
  return sizes.reduce((sum, size) => sum + size, 0) / (frames * PAGE_BYTES);
}
