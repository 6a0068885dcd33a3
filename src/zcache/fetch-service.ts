/**
 * What a fetcher does for those who cannot hand it a pool: other threads (fetch-port.ts) and other processes
 * (src/ramster/fetch-socket). They name a pool by its number, which no other pool has (poolOfNumber).
 */

import { Oid } from '../tmem/index.ts';
import { poolOfNumber } from './away.ts';
import type { PageFetcher } from './page-fetcher.ts';
import type { ClientPool } from './pool.ts';
import type { Store } from './store.ts';

/** Pools that are remembered; beyond, they are looked up again. */
const POOLS_MAX = 1024;

/** Names a page of the store to another thread or process. */
export interface FarHandle {
  /** The pool's id. */
  readonly pool: number;
  /** 24 bytes. */
  readonly oid: Uint8Array;
  readonly index: number;
}

export class FetchService {
  readonly #store: Store;
  readonly #fetcher: PageFetcher;
  readonly #pools = new Map<number, ClientPool>();

  constructor(store: Store, fetcher: PageFetcher) {
    this.#store = store;
    this.#fetcher = fetcher;
  }

  /**
   * As PageFetcher.fetch. Of a pool that is gone every page is 'local': whoever asks the store again is told.
   *
   * @throws TmemError of PageFetcher.fetch; TMEM_ERR_OID, TMEM_ERR_CLOSED
   */
  async fetch({ pool: number, oid, index }: FarHandle): Promise<'local' | Uint8Array> {
    const pool = this.#poolOf(number);
    return pool === undefined ? 'local' : await this.#fetcher.fetch(pool, Oid.fromBytes(oid), index);
  }

  #poolOf(number: number): ClientPool | undefined {
    const known = this.#pools.get(number);
    if (known !== undefined) return known;
    const pool = poolOfNumber(this.#store, number);
    if (pool === undefined) return undefined;
    if (this.#pools.size === POOLS_MAX) this.#pools.clear();
    this.#pools.set(number, pool);
    return pool;
  }
}
