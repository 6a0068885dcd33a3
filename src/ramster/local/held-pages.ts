/**
 * What is held for one owner: a client of the store, and a pool of it for every pool of the owner that sent pages.
 *
 *   oid   id / 2^20        index   id % 2^20        consecutive ids share an object
 */

import { type Client, Oid, type Pool, type PoolKind } from '../../zcache/index.ts';
import type { PageId } from '../page-id.ts';
import { encodeCursor, type ListPosition } from './foreign-cursor.ts';
import type { ForeignCounts, ForeignPage } from './foreign-pages.ts';

const FRAME_BYTES = 4096;
const OBJECT_PAGES = 2 ** 20;
const WORD = 2 ** 32;
const POOL_NAME = /^[0-9a-f]{1,8}$/;
/** Steps of a walk in one list: each has up to 64 pages, and few have none. */
const LIST_STEPS_MAX = 1024;

export class HeldPages {
  readonly #client: Client;
  readonly #pools = new Map<number, Pool>();

  constructor(client: Client) {
    this.#client = client;
    for (const pool of client.pools()) {
      if (POOL_NAME.test(pool.name)) this.#pools.set(Number.parseInt(pool.name, 16), pool);
    }
  }

  get frames(): number {
    return this.#client.frames().frames;
  }

  pool(number: number): Pool | undefined {
    return this.#pools.get(number);
  }

  /** Makes a pool: the bytes are the owner's, so nothing is compressed. */
  make(number: number, kind: PoolKind): Pool {
    const pool = this.#client.pool(number.toString(16), { kind, codec: 'none' });
    this.#pools.set(number, pool);
    return pool;
  }

  destroy(number: number): void {
    this.#pools.get(number)?.destroy();
    this.#pools.delete(number);
  }

  remove(): void {
    this.#client.remove();
  }

  counts(): ForeignCounts {
    const counts = { ephemeralPages: 0, persistentPages: 0, bytes: this.frames * FRAME_BYTES };
    for (const { kind, pages } of this.#pools.values()) {
      if (kind === 'ephemeral') counts.ephemeralPages += pages;
      else counts.persistentPages += pages;
    }
    return counts;
  }

  list(from: ListPosition, most: number): { pages: ForeignPage[]; next: Uint8Array | undefined } {
    const pages: ForeignPage[] = [];
    let position = from;
    for (let steps = 0; steps < LIST_STEPS_MAX && pages.length < most; steps++) {
      const [number, pool] = this.#poolFrom(position.pool) ?? [];
      if (number === undefined || pool === undefined) return { pages, next: undefined };
      const { handles, next } = pool.walkStep(number === position.pool ? position.walk : undefined);
      for (const { oid, index } of handles) pages.push({ pool: number, id: idOf(oid, index) });
      position = next === undefined ? { pool: number + 1, walk: undefined } : { pool: number, walk: next };
    }
    return { pages, next: this.#poolFrom(position.pool) && encodeCursor(position) };
  }

  /** The pool with the lowest number of at least this. */
  #poolFrom(least: number): [number, Pool] | undefined {
    let found: [number, Pool] | undefined;
    for (const entry of this.#pools) {
      if (entry[0] >= least && (found === undefined || entry[0] < found[0])) found = entry;
    }
    return found;
  }
}

export function oidOf(id: PageId): Oid {
  const high = Math.floor(id / OBJECT_PAGES);
  return Oid.fromWords([high % WORD, Math.floor(high / WORD), 0, 0, 0, 0]);
}

export function indexOf(id: PageId): number {
  return id % OBJECT_PAGES;
}

function idOf({ w0, w1 }: Oid, index: number): PageId {
  return (w1 * WORD + w0) * OBJECT_PAGES + index;
}
