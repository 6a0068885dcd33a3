/**
 * Cleancache in front of the file of an export: pages read from it are kept in an ephemeral pool, shared by all
 * threads, which gives way to everything else.
 *
 * Each export's cache is a client of its own, with one pool, found by a UUID made of the file's identity. The pool is
 * emptied when the export is opened: what was in the file when its pages were read is not known to be there still.
 */

import { createHash } from 'node:crypto';
import { ZcacheCleancacheBackend } from '../cleancache/index.ts';
import type { CleanPages } from '../frontswap/index.ts';
import { Oid, type Store } from '../zcache/index.ts';

const IMAGE = Oid.fromNumbers(0);

export interface ImageCache extends CleanPages {
  /** Drops all pages and forgets the cache, for all threads. */
  remove(): void;
}

/** `clientName`: the cache's own; `identity`: which file it is in front of. */
export function imageCache(store: Store, clientName: string, identity: string): ImageCache {
  const client = store.client(clientName);
  const pool = new ZcacheCleancacheBackend(store, client).initSharedFs(uuidOf(identity));
  return {
    get: (slot, out) => pool.get(IMAGE, slot, out) > 0,
    put: (slot, page) => {
      pool.put(IMAGE, slot, page);
    },
    drop: (slot) => {
      pool.flushPage(IMAGE, slot);
    },
    empty: () => {
      pool.flush();
    },
    remove: () => client.remove(),
  };
}

function uuidOf(text: string): string {
  const digits = createHash('sha256').update(text).digest('hex');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}
