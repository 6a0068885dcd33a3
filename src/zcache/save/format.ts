/**
 * The saved store: what a file of it holds, and its bytes (docs/formats/saved-store.md). Independent of the layout of
 * arenas, so that it outlives a change of it.
 *
 *   head | settings block | client blocks | pool blocks | page blocks | end block | SHA-256 of everything before
 *
 * Rule: whatever the bytes say, reading them allocates no more than a block and what the file itself is long, and ends
 * in the store that was saved or in TMEM_ERR_SAVED_FILE.
 */

import { TmemError } from '../../errors.ts';
import type { Oid, PoolCodec } from '../../tmem/index.ts';
import type { PoolKind } from '../statistics.ts';

/** As PNG's: a first byte above 127, and line ends of both kinds, tell of a transfer that took it for text. */
export const MAGIC = Buffer.from('\x89tmem\r\n\x1a', 'latin1');
export const FORMAT_VERSION = 1;
/** Magic, version, CRC-32 of both. */
export const HEAD_BYTES = 16;

/** Kind, packing, zeroes, records, content bytes, stored bytes, CRC-32 of all that and of what is stored. */
export const BLOCK_HEAD_BYTES = 20;
/** Most bytes of a block's content: the unit of compression, and of the memory that reading and writing take. */
export const BLOCK_CONTENT_BYTES_MAX = 2 ** 20;
/** Window of the compressed content: no larger than a block, so that a frame cannot ask for more memory. */
export const WINDOW_LOG = 20;

export const BLOCK_KINDS = { settings: 1, clients: 2, pools: 3, pages: 4, end: 5 } as const;
export type BlockKind = keyof typeof BLOCK_KINDS;

export const PACKINGS = { plain: 0, zstd: 1 } as const;

export const DIGEST = 'sha256';
export const DIGEST_BYTES = 32;

/** Pool, length, index, oid; the page follows. */
export const PAGE_HEAD_BYTES = 32;

export const CLIENTS_MAX = 1023;
export const POOLS_MAX = 65_535;
/** A pool's number is below POOLS_MAX. */
export const NO_POOL = 0xffff;
export const SETTINGS_BYTES_MAX = 65_536;

export interface SavedClient {
  readonly name: string;
  readonly weight: number;
  readonly capBytes: number | null;
  readonly frozen: boolean;
}

export interface SavedPool {
  /** Position of its owner among the clients. */
  readonly client: number;
  readonly name: string;
  readonly kind: PoolKind;
  readonly codec: PoolCodec;
  readonly pam: 'zbud' | 'zv' | 'raw';
  readonly shared: string | null;
  /** Positions of the clients that may join besides the owner, ascending; only of shared pools. */
  readonly granted: readonly number[];
  readonly limitPages: number | null;
  /** Position of the pool that takes what goes over the limit; it is lower than this pool's own. */
  readonly demoteTo: number | null;
}

/** A store as a file describes it. Persistent pools stand before ephemeral ones. */
export interface SavedStore {
  /** Name it had; empty when it had none. */
  readonly name: string;
  readonly frozen: boolean;
  /** Whether pages of ephemeral pools were saved, too. */
  readonly ephemeral: boolean;
  /** What `open` took, in full. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly clients: readonly SavedClient[];
  readonly pools: readonly SavedPool[];
}

export interface SavedPage {
  /** Position among the pools; pages come in ascending order of it. */
  readonly pool: number;
  readonly oid: Oid;
  readonly index: number;
  readonly bytes: Uint8Array;
}

export interface SavedCounts {
  readonly pages: number;
  /** Bytes of the pages, uncompressed. */
  readonly pageBytes: number;
  readonly blocks: number;
}

/** The file is not one, or not any more, what was saved. */
export function refused(what: string, cause?: unknown): TmemError {
  return new TmemError(
    'TMEM_ERR_SAVED_FILE',
    `saved store: ${what}; nothing was restored, use another copy of the file`,
    cause === undefined ? undefined : { cause },
  );
}
