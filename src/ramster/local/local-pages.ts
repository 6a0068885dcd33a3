/**
 * The node's own pages, as RAMster sees them: what may be sent away, what is away, and how it changes. The store has
 * one implementation (arena-pages.ts), the simulator another.
 *
 * Every call is synchronous. Every change asks for the look it is based on: if anything happened to the handle since,
 * it does nothing and says 'gone' (arena/tmem/remote.ts).
 */

import type { Look, Oid, PoolKind, StoredCodec } from '../../zcache/index.ts';

/** A handle. */
export interface PageRef {
  /** u32 that names the pool in this memory; never used again for another one. */
  readonly pool: number;
  readonly oid: Oid;
  readonly index: number;
}

export type StoredLook = Extract<Look, { kind: 'stored' }>;
export type RemoteLook = Extract<Look, { kind: 'remote' }>;

/** Stored bytes of a page, as they travel. */
export interface StoredBytes {
  readonly codec: StoredCodec;
  readonly bytes: Uint8Array;
}

/** What stays with the pages: who comes back without it comes back without them. */
export interface Identity {
  /** 16 random bytes. */
  readonly memory: Uint8Array;
  /** Raised by one at every start, from 1. */
  readonly incarnation: number;
  /** 32 random bytes: the key with which pages are sealed before they leave. */
  readonly key: Uint8Array;
}

/** A step of going through all records. */
export interface RecordBatch {
  readonly pages: readonly { readonly page: PageRef; readonly record: Uint8Array }[];
  /** Where to go on; undefined: that was the last. */
  readonly next: unknown;
}

export interface LocalRoom {
  /** Bytes this memory may have in all. */
  readonly totalBytes: number;
  /** Bytes that can be had without evicting anything or sending anything away. */
  readonly freeBytes: number;
  /** The machine is short of memory: nothing comes home, and nothing is taken for others. */
  readonly pressed: boolean;
}

export interface LocalPages {
  identity(): Identity;
  /** Undefined: there is no such pool any more. */
  kindOf(pool: number): PoolKind | undefined;
  /** What a handle holds, undefined = a miss. Counts nothing and is no use of the page. */
  look(page: PageRef): Look | undefined;
  /** Puts a record (1 to 60 bytes) in the place of a page, or of another record. */
  sendAway(page: PageRef, found: StoredLook | RemoteLook, record: Uint8Array): 'stored' | 'gone' | 'refused';
  /** Puts a page in the place of its record. 'damaged': the bytes are not the page that the record stands for. */
  bringHome(page: PageRef, found: RemoteLook, stored: StoredBytes): 'stored' | 'gone' | 'refused' | 'damaged';
  /** The page that stored bytes stand for, `found.length` bytes; undefined: damaged. */
  decode(found: RemoteLook, stored: StoredBytes): Uint8Array | undefined;
  /** Removes a record. False: it is not there any more. */
  forget(page: PageRef, found: RemoteLook): boolean;
  /** Takes up to `most` records that left the index in any other way. */
  takeOrphans(most: number): Uint8Array[];
  /**
   * Records ever that there was no room for among the orphans (any number that changes with them): sweeps find those.
   */
  readonly orphansLost: number;
  /** Takes the pools (as in `PageRef`) that were destroyed since the last call, as far as they were noticed. */
  takeDestroyedPools(): number[];
  /**
   * Up to `most` pages of a kind that may be sent, roughly the least recently used first; no records, and nothing
   * small.
   */
  coldest(kind: PoolKind, most: number): PageRef[];
  /** The records after `cursor` (undefined: from the start); about `most`. Tolerates changes in between. */
  records(cursor: unknown, most: number): RecordBatch;
  room(): LocalRoom;
}
