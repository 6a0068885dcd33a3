/**
 * What cleancache asks of a store: pools for clean pages, and nothing more.
 *
 * The two levels a page can be in, seen from a reader:
 *
 *   caller's buffer <- hot (uncompressed, a get keeps) -> cold (compressed, a get removes) -> gone
 *
 * zcache is one implementation (zcache-backend.ts), plain Maps are another (map-backend.ts). Both pass one suite.
 *
 * Rules of every implementation:
 * - a refused put leaves no page under its handle, above all not an older one;
 * - get copies the whole page and returns its exact length, 1 to 4096, or 0 for a miss; `out` has room for 4096;
 * - any page may be gone at any time, but what a get returns is what was put last;
 * - a page that is with a peer, and cannot be fetched, is flushed before it is missed: a miss stays a miss.
 */

import type { Oid } from '../zcache/index.ts';

/** In the place of a length: the page is with a peer, `fetch` may have it. */
export const AWAY = -1;

/** The pages of one source (a file system, a bucket, an image), or one level of a page cache. */
export interface CleancachePool {
  /** Offers a page of 1 to 4096 bytes; false if it was not taken. */
  put(key: Oid, index: number, page: Uint8Array): boolean;
  /** Copies a page to `out`; its length, 0 for a miss, or AWAY. On a private pool the page leaves the store. */
  get(key: Oid, index: number, out: Uint8Array): number;
  /**
   * As `get` for the pages from `firstIndex` on, each copied to its multiple of 4096 in `out`. Writes each length
   * (0 for a miss, or AWAY) to `lengths` and returns how many were found.
   */
  getRange(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[]): number;
  flushPage(key: Oid, index: number): boolean;
  /** Flushes all pages of one file; how many there were. */
  flushObject(key: Oid): number;
  flush(): number;
  /** Where pages may be AWAY. 'local': ask again. Else the page, which a private pool has no more (see PageFetcher). */
  readonly fetch?: ((key: Oid, index: number) => Promise<'local' | Uint8Array>) | undefined;
}

export interface CleancacheBackend {
  /** A private pool, found again by name: a get removes the page, it is in the reader's cache from then on. */
  initFs(name: string): CleancachePool;
  /** One pool for all who give the same UUID: gets keep the page. */
  initSharedFs(uuid: string): CleancachePool;
  /**
   * A pool of uncompressed pages whose gets keep the page. Above `pages` pages the least recently used one moves
   * to `cold`, a pool of the same backend. Undefined: the backend chooses the size.
   */
  initHot(name: string, pages: number | undefined, cold: CleancachePool): CleancachePool;
}
