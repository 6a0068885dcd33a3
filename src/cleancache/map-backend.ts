/**
 * A cleancache backend of plain Maps: the rules of backend.ts in their shortest form.
 *
 * For tests (ours and those of users), and as the model that other backends are compared with. It compresses
 * nothing, lives on the heap of one thread and is bounded by a number of pages a pool.
 *
 *   pool: Map "oid" -> Map index -> page      least recently used first, by the order of insertion of `#order`
 */

import type { Oid } from '../zcache/index.ts';
import type { CleancacheBackend, CleancachePool } from './backend.ts';

const PAGE_BYTES = 4096;

/** Pages of a pool that was given no other bound: 16 MiB. */
const POOL_PAGES_DEFAULT = 4096;

function textOf(key: Oid): string {
  return `${key.w0},${key.w1},${key.w2},${key.w3},${key.w4},${key.w5}`;
}

class MapPool implements CleancachePool {
  readonly #objects = new Map<string, Map<number, Uint8Array>>();
  /** Every page in order of use: 'oid/index' to where it is. */
  readonly #order = new Map<string, { key: Oid; index: number }>();
  readonly #pages: number;
  readonly #keep: boolean;
  readonly #demoteTo: CleancachePool | undefined;

  constructor(pages: number, keep: boolean, demoteTo?: CleancachePool) {
    this.#pages = pages;
    this.#keep = keep;
    this.#demoteTo = demoteTo;
  }

  put(key: Oid, index: number, page: Uint8Array): boolean {
    this.flushPage(key, index);
    if (page.length < 1 || page.length > PAGE_BYTES) return false;
    const object = textOf(key);
    let pages = this.#objects.get(object);
    if (pages === undefined) {
      pages = new Map();
      this.#objects.set(object, pages);
    }
    pages.set(index, page.slice());
    this.#order.set(`${object}/${index}`, { key, index });
    if (this.#order.size > this.#pages) this.#demoteOldest();
    return true;
  }

  get(key: Oid, index: number, out: Uint8Array): number {
    const object = textOf(key);
    const page = this.#objects.get(object)?.get(index);
    if (page === undefined) return 0;
    out.set(page);
    if (this.#keep) {
      const place = `${object}/${index}`;
      this.#order.delete(place);
      this.#order.set(place, { key, index });
    } else {
      this.flushPage(key, index);
    }
    return page.length;
  }

  getRange(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[]): number {
    let found = 0;
    for (let i = 0; i * PAGE_BYTES < out.length; i++) {
      const room = out.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      const length = this.get(key, firstIndex + i, room);
      lengths[i] = length;
      if (length > 0) found++;
    }
    return found;
  }

  flushPage(key: Oid, index: number): boolean {
    const object = textOf(key);
    if (!this.#order.delete(`${object}/${index}`)) return false;
    const pages = this.#objects.get(object) as Map<number, Uint8Array>;
    pages.delete(index);
    if (pages.size === 0) this.#objects.delete(object);
    return true;
  }

  flushObject(key: Oid): number {
    const object = textOf(key);
    const pages = this.#objects.get(object);
    if (pages === undefined) return 0;
    for (const index of pages.keys()) this.#order.delete(`${object}/${index}`);
    this.#objects.delete(object);
    return pages.size;
  }

  flush(): number {
    const pages = this.#order.size;
    this.#objects.clear();
    this.#order.clear();
    return pages;
  }

  /** How many pages the pool holds now. */
  get size(): number {
    return this.#order.size;
  }

  #demoteOldest(): void {
    for (const { key, index } of this.#order.values()) {
      const page = this.#objects.get(textOf(key))?.get(index) as Uint8Array;
      this.flushPage(key, index);
      this.#demoteTo?.put(key, index, page);
      return;
    }
  }
}

export class MapCleancacheBackend implements CleancacheBackend {
  readonly #pools = new Map<string, MapPool>();
  readonly #pages: number;

  /** `pages`: the most that each pool holds. */
  constructor(pages = POOL_PAGES_DEFAULT) {
    this.#pages = pages;
  }

  initFs(name: string): CleancachePool {
    return this.#open(`fs ${name}`, () => new MapPool(this.#pages, false));
  }

  initSharedFs(uuid: string): CleancachePool {
    return this.#open(`shared ${uuid}`, () => new MapPool(this.#pages, true));
  }

  initHot(name: string, pages: number | undefined, cold: CleancachePool): CleancachePool {
    return this.#open(`hot ${name}`, () => new MapPool(pages ?? this.#pages, true, cold));
  }

  /** Pages in all pools. */
  get size(): number {
    let pages = 0;
    for (const pool of this.#pools.values()) pages += pool.size;
    return pages;
  }

  #open(name: string, make: () => MapPool): MapPool {
    let pool = this.#pools.get(name);
    if (pool === undefined) {
      pool = make();
      this.#pools.set(name, pool);
    }
    return pool;
  }
}
