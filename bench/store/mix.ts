// Puts and gets of whole pages, half and half, at random handles; the source pages are a copy of the thread's own.

import type { Store } from '../../src/index.ts';
import { numbersBelow } from '../support/order.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { makeOids } from './scene.ts';

export interface Mix {
  kind: 'ephemeral' | 'persistent';
  pam: 'zbud' | 'zv';
  /** Distinct source pages. */
  pages: Uint8Array;
  /** The thread's own copies of them take this much. */
  sourcePages: number;
  /** Pages there are handles for. */
  handles: number;
  seed: number;
}

export interface Counted {
  stored: number;
  found: number;
}

/** The operations of one thread. Each returns 1 when its page was stored or found. */
export function makeMix(store: Store, { kind, pam, pages, sourcePages, handles, seed }: Mix) {
  const pool = store.client('bench').pool('pages', { kind, codec: 'lz4', pam });
  const oids = makeOids(handles);
  const source = Buffer.allocUnsafeSlow(sourcePages * PAGE_BYTES);
  for (let at = 0; at < source.length; at += pages.length)
    source.set(pages.subarray(0, source.length - at), at);
  const views = Array.from({ length: sourcePages }, (_, i) =>
    source.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
  );
  const out = Buffer.allocUnsafeSlow(PAGE_BYTES);
  const below = numbersBelow(seed);
  const put = (): number => {
    const handle = below(handles);
    return pool.put(oids[handle >>> 6], handle & 63, views[below(sourcePages)]) === 'stored' ? 1 : 0;
  };
  const get = (): number => {
    const handle = below(handles);
    return pool.get(oids[handle >>> 6], handle & 63, out) === PAGE_BYTES ? 1 : 0;
  };
  const countOnly = (operations: number): Counted => {
    let stored = 0;
    let found = 0;
    for (let i = 0; i < operations; i += 2) {
      stored += put();
      found += get();
    }
    return { stored, found };
  };
  return { pool, oids, source, below, put, get, countOnly };
}
