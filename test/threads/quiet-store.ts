// A store at a quiet moment: what is in its pools, and where its frames are.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Store } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';

const PAGE_BYTES = 4096;

/** 'pool oid index' to a digest of the page. */
export type Content = Map<string, string>;

/** Every page that a walk finds, read and left there. A page that is found but cannot be read fails the test. */
export function contentOf(pools: { pool: ClientPool; cold?: ClientPool }): Content {
  const found: Content = new Map();
  const out = new Uint8Array(PAGE_BYTES);
  for (const pool of [pools.pool, pools.cold]) {
    if (pool === undefined) continue;
    let pages = 0;
    for (const { oid, index } of pool.walk()) {
      const length = pool.getAndKeep(oid, index, out);
      expect(length, `${pool.name} ${oid} ${index} was in the walk`).toBeGreaterThan(0);
      const digest = createHash('sha1').update(out.subarray(0, length)).digest('hex');
      found.set(`${pool.name} ${oid} ${index}`, `${length} ${digest}`);
      pages++;
    }
    expect(pool.pages, `${pool.name}: the count of pages is that of a walk`).toBe(pages);
  }
  return found;
}

export function sameContent(a: Content, b: Content): boolean {
  return a.size === b.size && [...a].every(([handle, page]) => b.get(handle) === page);
}

/** All that is there now, in numbers: no events, no highest values. Checks what must hold between them. */
export function accounts(store: Store) {
  const stats = store.stats();
  const clients = stats.clients.map((client) => ({
    name: client.name,
    frames: client.frames.curr_frames,
    meta: client.frames.meta_curr_pages,
    zbud: {
      frames: client.zbud.curr_raw_pages,
      pages: client.zbud.curr_zpages,
      bytes: client.zbud.curr_zbytes,
    },
    zv: { frames: client.zv.curr_pages, pages: client.zv.curr_zpages, bytes: client.zv.curr_zbytes },
    raw: client.frames.raw_curr_pages,
    pools: client.pools.map((pool) => ({
      name: pool.name,
      pages: pool.content.curr_pages,
      bytes: pool.content.curr_zbytes,
      objects: pool.index.curr_obj_count,
      nodes: pool.index.curr_objnode_count,
      filled: pool.content.same_filled_pages,
    })),
  }));
  const { frames_total, frames_fixed, frames_free } = stats.store;
  const used = frames_total - frames_fixed - frames_free;
  expect(used, 'every frame that is not free belongs to a client').toBe(
    clients.reduce((sum, client) => sum + client.frames, 0),
  );
  return { used, clients };
}
