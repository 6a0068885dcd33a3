/**
 * What frontswap asks of a store: persistent pools of whole pages, and nothing more.
 *
 * zcache is one implementation (zcache-backend.ts), plain Maps are another (map-backend.ts). Both pass one suite.
 *
 * Rules of every implementation:
 * - an accepted page stays, byte for byte, until it is flushed or a later store on its place is refused;
 * - a refused store leaves no page in its place, above all not the older one;
 * - a refused replace or writeAt changes nothing;
 * - a call that needs a page which is with a peer throws TMEM_ERR_REMOTE and changes nothing.
 */

import type { Oid } from '../zcache/index.ts';

/** The pages of one swap area. */
export interface FrontswapPool {
  /** Whether the page was accepted. */
  store(oid: Oid, index: number, page: Uint8Array): boolean;
  /** As `store`, but the older page stays when it is refused. */
  replace(oid: Oid, index: number, page: Uint8Array): boolean;
  /** Replaces part of a page that is there; undefined if none is. */
  writeAt(oid: Oid, index: number, offset: number, bytes: Uint8Array): boolean | undefined;
  /** Copies part of a page and keeps it; how many bytes, -1 if there is no page. */
  readAt(oid: Oid, index: number, offset: number, out: Uint8Array): number;
  /** Copies the page to `out` and keeps it; its length, or 0 for a miss. */
  load(oid: Oid, index: number, out: Uint8Array): number;
  /** As `load`, but the page leaves the store. */
  loadAndFree(oid: Oid, index: number, out: Uint8Array): number;
  invalidatePage(oid: Oid, index: number): boolean;
  /** Flushes all pages; how many there were. */
  invalidateArea(): number;
  walk(): Iterable<{ readonly oid: Oid; readonly index: number }>;
  /** Where pages may be with peers and can be had: brings one home, or gives it (see PageFetcher). */
  readonly fetch?: ((oid: Oid, index: number) => Promise<'local' | Uint8Array>) | undefined;
  /** Whether a page is with a peer; only where there is `fetch`. */
  isAway?(oid: Oid, index: number): boolean;
}

export interface FrontswapBackend {
  /** The pool of an area, found again by its type (a number that names the area) after a restart. */
  init(type: number): FrontswapPool;
  /** The pool where the shim keeps what it must know of each area later: one small page an area. */
  initMetadata(): FrontswapPool;
}
