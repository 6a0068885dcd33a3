/**
 * zcache as the backend of cleancache: one client of the store, one pool for each source and level.
 *
 * Hot pages are raw frames of their own; what falls out of the hot pool is compressed into the cold one by the
 * store itself, in the same call that put the newer page.
 */

import { type Client, isAway, type Oid, type PageFetcher, type Pool, type Store } from '../zcache/index.ts';
import { AWAY, type CleancacheBackend, type CleancachePool } from './backend.ts';

const PAGE_BYTES = 4096;

/** The client of cleancache pools for which no other is named; its weight and cap are for the user to set. */
const CLIENT_NAME = 'cleancache';

/**
 * Part of the memory that the hot level takes by default. Pages compress to about a half, so that with a quarter
 * hot the cold level still holds one and a half times the memory.
 */
const HOT_SHARE = 1 / 4;

/** In the place of a length, until it is known. */
const UNKNOWN = -2;

class ZcachePool implements CleancachePool {
  readonly pool: Pool;
  readonly fetch: CleancachePool['fetch'];
  /** Whether gets keep pages. */
  readonly #keeps: boolean;

  constructor(pool: Pool, keeps: boolean, fetcher: PageFetcher | undefined) {
    this.pool = pool;
    this.#keeps = keeps;
    this.fetch = fetcher && ((key, index) => this.#fetch(fetcher, key, index));
  }

  put(key: Oid, index: number, page: Uint8Array): boolean {
    return this.pool.put(key, index, page) === 'stored';
  }

  get(key: Oid, index: number, out: Uint8Array): number {
    try {
      return this.#keeps ? this.pool.getAndKeep(key, index, out) : this.pool.get(key, index, out);
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
      if (this.fetch !== undefined) return AWAY;
      this.pool.flushPage(key, index);
      return 0;
    }
  }

  getRange(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[]): number {
    const pages = out.length / PAGE_BYTES;
    for (let i = 0; i < pages; i++) lengths[i] = UNKNOWN;
    try {
      return this.#keeps
        ? this.pool.getRangeAndKeep(key, firstIndex, out, lengths)
        : this.pool.getRange(key, firstIndex, out, lengths);
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
    }
    // Those before the first that is away were copied.
    let found = 0;
    for (let i = 0; i < pages; i++) {
      const room = out.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      if (lengths[i] === UNKNOWN) lengths[i] = this.get(key, firstIndex + i, room);
      if ((lengths[i] as number) > 0) found++;
    }
    return found;
  }

  flushPage(key: Oid, index: number): boolean {
    return this.pool.flushPage(key, index);
  }

  flushObject(key: Oid): number {
    return this.pool.flushObject(key);
  }

  flush(): number {
    return this.pool.flush();
  }

  async #fetch(fetcher: PageFetcher, key: Oid, index: number): Promise<'local' | Uint8Array> {
    const page = await fetcher.fetch(this.pool, key, index);
    if (page !== 'local' && !this.#keeps) this.pool.flushPage(key, index);
    return page;
  }
}

export class ZcacheCleancacheBackend implements CleancacheBackend {
  readonly #store: Store;
  readonly #client: Client;

  readonly #fetcher: PageFetcher | undefined;

  /**
   * `fetcher`: has pages that are with peers; without one they are missed.
   *
   * @throws TmemError of the store, such as TMEM_ERR_TOO_MANY_CLIENTS
   */
  constructor(store: Store, client = store.client(CLIENT_NAME), fetcher?: PageFetcher) {
    this.#store = store;
    this.#client = client;
    this.#fetcher = fetcher;
  }

  initFs(name: string): CleancachePool {
    return new ZcachePool(this.#client.pool(name, { kind: 'ephemeral' }), false, this.#fetcher);
  }

  /** @throws TmemError TMEM_ERR_NOT_GRANTED if the client may not join */
  initSharedFs(uuid: string): CleancachePool {
    return new ZcachePool(this.#client.pool(uuid, { kind: 'ephemeral', shared: uuid }), true, this.#fetcher);
  }

  initHot(name: string, pages: number | undefined, cold: CleancachePool): CleancachePool {
    const limit = pages ?? Math.floor((this.#store.settings.memory * HOT_SHARE) / PAGE_BYTES);
    const demoteTo = (cold as ZcachePool).pool;
    const pool = this.#client.pool(name, { kind: 'ephemeral', pam: 'raw', limit, demoteTo });
    // Private to the client, but its gets keep.
    return new ZcachePool(pool, true, this.#fetcher);
  }
}
