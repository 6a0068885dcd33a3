/**
 * Pages held for peers. The store has one implementation (arena-foreign.ts), the simulator another.
 *
 * A foreign pool is made by the first put for (owner, the owner's pool) and has the kind of that put. Ephemeral pages
 * may be evicted at any time, persistent ones stay until they are freed. The bytes are the owner's: they are kept as
 * they came and never looked into. Every call is synchronous.
 */

import type { PoolKind } from '../../zcache/index.ts';
import type { PageId } from '../page-id.ts';

/** Whose pages: a node's name and the memory they belong to. */
export interface Owner {
  readonly name: string;
  /** `memoryNumber` of the owner's memory. */
  readonly memory: number;
}

/** A page held: the owner's pool and id. */
export interface ForeignPage {
  readonly pool: number;
  readonly id: PageId;
}

export interface ForeignCounts {
  readonly ephemeralPages: number;
  readonly persistentPages: number;
  /** Bytes of memory that the owner's pages take. */
  readonly bytes: number;
}

/** Pages that a list may have above what was asked for: it goes in whole steps. */
export const LIST_OVER = 64;

export interface ForeignPages {
  /** `memoryNumber` of the memory the pages lie in. */
  readonly memory: number;
  /**
   * Keeps 1 to 4096 bytes. 'kind': the pool has the other kind. 'full': no room, or the owner's cap is reached;
   * whatever was there under this id is as it was.
   */
  put(owner: Owner, pool: number, kind: PoolKind, id: PageId, bytes: Uint8Array): 'stored' | 'full' | 'kind';
  /** The bytes; undefined = a miss. `free`: the page goes. */
  get(owner: Owner, pool: number, id: PageId, free: boolean): Uint8Array | undefined;
  /** Whether it was there. */
  free(owner: Owner, pool: number, id: PageId): boolean;
  destroyPool(owner: Owner, pool: number): void;
  /** Everything of an owner goes. */
  destroyOwner(owner: Owner): void;
  /** All whose pages are held, also from before a restart. */
  owners(): Owner[];
  counts(owner: Owner): ForeignCounts;
  /**
   * About `most` pages of an owner, LIST_OVER more at most, after `cursor` (undefined: from the start; up to 32 bytes).
   * `next` undefined: that was the last.
   */
  list(
    owner: Owner,
    cursor: Uint8Array | undefined,
    most: number,
  ): { readonly pages: readonly ForeignPage[]; readonly next: Uint8Array | undefined };
  /** Bytes that could be lent still, over all owners. */
  freeBytes(): number;
}
