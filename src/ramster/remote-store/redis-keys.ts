/**
 * Names of keys in Redis. `O` is cluster/owner/memory of the owner in hex:
 *
 *   tmem:{O/pool/block}         hash    the pages of 64 ids of a pool: position in the block -> bytes
 *   tmem:{O}:pools              hash    pool -> 'e' or 'p', its kind
 *   tmem:{O}:blocks:pool        zset    numbers of the pool's blocks
 *   tmem:{O/n}:memory           string  16 random bytes as hex: the id of this memory; see `markers`
 *
 * Braces hold what decides the slot in a cluster: a block is in one slot, and blocks are spread over all of them.
 *
 * Pages lie in hashes because then the hash is the index, too: HKEYS of a block says which pages there are, and a put
 * is one command in one round trip. It also takes less memory than a key for each page (85 bytes beside the page
 * instead of 125, measured with Redis 7). A block is small, because Redis evicts and moves whole keys.
 */

import type { PageId } from '../page-id.ts';
import type { HeldPage } from './remote-store.ts';

/** Ids of a block: at most 256 KiB of pages. */
export const BLOCK_IDS = 64;

const SLOTS = 16_384;

/** Markers in a cluster: one in each 256 slots, so that no node with as many in a row goes without. */
const CLUSTER_MARKERS = 64;

export interface Block {
  readonly pool: number;
  readonly block: number;
}

export class RedisKeys {
  readonly #owner: string;
  readonly pools: string;

  /** @param owner - without braces and slashes in its parts */
  constructor(cluster: string, owner: { readonly name: string; readonly memory: number }) {
    this.#owner = `${cluster}/${owner.name}/${owner.memory.toString(16).padStart(8, '0')}`;
    this.pools = `tmem:{${this.#owner}}:pools`;
  }

  pages({ pool, block }: Block): string {
    return `tmem:{${this.#owner}/${pool}/${block}}`;
  }

  blocks(pool: number): string {
    return `tmem:{${this.#owner}}:blocks:${pool}`;
  }

  /** Keys of the markers: a single Redis has one, a cluster one in every part of its slots. */
  markers(isCluster: boolean): string[] {
    if (!isCluster) return [`tmem:{${this.#owner}/0}:memory`];
    const tags = new Map<number, string>();
    for (let n = 0; tags.size < CLUSTER_MARKERS; n++) {
      const tag = `${this.#owner}/${n}`;
      const part = Math.floor((slotOf(tag) * CLUSTER_MARKERS) / SLOTS);
      if (!tags.has(part)) tags.set(part, tag);
    }
    return [...tags.values()].map((tag) => `tmem:{${tag}}:memory`);
  }
}

export function blockOf({ pool, id }: HeldPage): Block {
  return { pool, block: Math.floor(id / BLOCK_IDS) };
}

export function fieldOf(id: PageId): string {
  return String(id % BLOCK_IDS);
}

/** Id of a page; undefined if somebody else wrote this field. */
export function idOf({ block }: Block, field: string): PageId | undefined {
  const position = Number(field);
  if (!Number.isInteger(position) || position < 0 || position >= BLOCK_IDS) return undefined;
  return block * BLOCK_IDS + position;
}

/** Slot of a hash tag in Redis Cluster: CRC-16 (XMODEM) of its bytes. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}
