/**
 * A remote store: one place outside this node where copies of its pages lie. A peer is one (peer-store.ts), an existing
 * Redis or Valkey another (redis-store.ts), the node's own disk a third (disk-store.ts). All pass one conformance suite
 * (conformance.ts).
 *
 * Rules of every implementation:
 * - what `put` answered 'stored' to is there for `get` until it is freed, its pool destroyed, or the store's memory
 * lost;
 *   ephemeral pages may vanish at any time, and then are a miss;
 * - `get` returns exactly the bytes put under that id, or undefined: it knows that the page is not there;
 * - no call waits longer than the store's deadline: who cannot know throws a RemoteError;
 * - calls may be repeated: a put of an id that is there, and a free of one that is not, succeed.
 */

import type { PoolKind } from '../../zcache/index.ts';
import type { PageId } from '../page-id.ts';

export interface TravellingPage {
  readonly pool: number;
  readonly kind: PoolKind;
  readonly id: PageId;
  /** 1 to 4096 bytes. */
  readonly bytes: Uint8Array;
}

/** 'up': usable. 'suspect': it is late; asked only when nobody else is left. 'down': not asked. */
export type RemoteState = 'up' | 'suspect' | 'down';

export interface HeldPage {
  readonly pool: number;
  readonly id: PageId;
}

export interface RemoteStore {
  readonly name: string;
  /** `nodeNumber` of its name; 0 for the own disk. */
  readonly node: number;
  /** u32 of the memory its pages lie in now; undefined until it was reached for the first time. */
  readonly memory: number | undefined;
  readonly state: RemoteState;
  /** It leaves: no new pages, and those it has should be moved. */
  readonly draining: boolean;
  /** Bytes it said that it can take. */
  readonly freeBytes: number;
  /** Round trip of late, in milliseconds; for choosing whom to ask first. */
  readonly latencyMs: number;
  put(page: TravellingPage): Promise<'stored' | 'full' | 'refused'>;
  get(pool: number, id: PageId, free: boolean): Promise<Uint8Array | undefined>;
  /** Frees pages, at most FREE_MOST; ends when that is acknowledged. */
  free(pages: readonly HeldPage[]): Promise<void>;
  destroyPool(pool: number): Promise<void>;
  /** The pages it holds for this node, a batch from a cursor; `next` undefined: that was the last. */
  list(
    cursor: Uint8Array | undefined,
  ): Promise<{ readonly pages: readonly HeldPage[]; readonly next: Uint8Array | undefined }>;
}

/** Pages of one `free`. */
export const FREE_MOST = 256;

/** The store could not be asked, or did not answer in time: whether it did what was asked is unknown. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
}
