/**
 * Cleancache in front of the file of an export: pages read from it are kept in an ephemeral pool, shared by all
 * threads, which gives way to everything else.
 *
 * The pool is found by a UUID made of the export's name. It is emptied when the export is opened: what was in the file
 * when its pages were read is not known to be there still.
 */

import { createHash } from 'node:crypto';
import { ZcacheCleancacheBackend } from '../cleancache/index.ts';
import type { CleanPages } from '../frontswap/index.ts';
import { Oid, type Store } from '../zcache/index.ts';

const IMAGE = Oid.fromNumbers(0);

export interface ImageCache extends CleanPages {
  /** Drops all pages. */
  empty(): void;
}

export function imageCache(store: Store, exportName: string): ImageCache {
  const digits = createHash('sha256').update(exportName).digest('hex');
  const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
  const pool = new ZcacheCleancacheBackend(store).initSharedFs(uuid);
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
  };
}
