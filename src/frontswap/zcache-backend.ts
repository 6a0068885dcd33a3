/**
 * zcache as the backend of frontswap: one client of the store, a persistent pool for each area.
 */

import {
  type Client,
  type Oid,
  type PageFetcher,
  type Pool,
  type Store,
  TmemError,
} from '../zcache/index.ts';
import type { FrontswapBackend, FrontswapPool } from './backend.ts';

/** The client of frontswap pools for which no other is named; its weight and cap are for the user to set. */
const CLIENT_NAME = 'frontswap';

const METADATA_NAME = 'areas';

class ZcachePool implements FrontswapPool {
  readonly fetch: FrontswapPool['fetch'];
  readonly #pool: Pool;

  constructor(pool: Pool, fetcher: PageFetcher | undefined) {
    this.#pool = pool;
    this.fetch = fetcher && ((oid, index) => fetcher.fetch(pool, oid, index));
  }

  store(oid: Oid, index: number, page: Uint8Array): boolean {
    return this.#pool.put(oid, index, page) === 'stored';
  }

  replace(oid: Oid, index: number, page: Uint8Array): boolean {
    return this.#pool.replace(oid, index, page) === 'stored';
  }

  writeAt(oid: Oid, index: number, offset: number, bytes: Uint8Array): boolean | undefined {
    const outcome = this.#pool.writeAt(oid, index, offset, bytes);
    return outcome === 'miss' ? undefined : outcome === 'stored';
  }

  readAt(oid: Oid, index: number, offset: number, out: Uint8Array): number {
    return this.#pool.readAt(oid, index, offset, out);
  }

  load(oid: Oid, index: number, out: Uint8Array): number {
    return this.#pool.getAndKeep(oid, index, out);
  }

  loadAndFree(oid: Oid, index: number, out: Uint8Array): number {
    return this.#pool.getAndFree(oid, index, out);
  }

  invalidatePage(oid: Oid, index: number): boolean {
    return this.#pool.flushPage(oid, index);
  }

  invalidateArea(): number {
    return this.#pool.flush();
  }

  walk(): Iterable<{ readonly oid: Oid; readonly index: number }> {
    return this.#pool.walk();
  }

  isAway(oid: Oid, index: number): boolean {
    return this.#pool.remotePages.look(oid, index)?.kind === 'remote';
  }
}

export class ZcacheFrontswapBackend implements FrontswapBackend {
  /** The client whose pools the areas are. */
  readonly client: Client;

  readonly #fetcher: PageFetcher | undefined;

  /**
   * `fetcher`: has pages that are with peers; without one, who meets them is told so (TMEM_ERR_REMOTE).
   *
   * @throws TmemError of the store, such as TMEM_ERR_TOO_MANY_CLIENTS
   */
  constructor(store: Store, client = store.client(CLIENT_NAME), fetcher?: PageFetcher) {
    this.client = client;
    this.#fetcher = fetcher;
  }

  init(type: number): FrontswapPool {
    return this.#pool(`area-${type}`);
  }

  initMetadata(): FrontswapPool {
    return this.#pool(METADATA_NAME);
  }

  /**
   * Brings metadata home that is with peers: areas are made by calls that cannot wait.
   *
   * @throws as the fetcher; TmemError TMEM_ERR_NO_MEMORY if there is no room for it here
   */
  async fetchMetadata(): Promise<void> {
    const pool = this.#pool(METADATA_NAME);
    for (const { oid, index } of pool.walk()) {
      if (!pool.isAway(oid, index)) continue;
      const page = await pool.fetch?.(oid, index);
      if (page === undefined || page === 'local' || pool.replace(oid, index, page)) continue;
      throw new TmemError(
        'TMEM_ERR_NO_MEMORY',
        `frontswap: client '${this.client.name}': no room for metadata that is with a peer; give the store more memory`,
      );
    }
  }

  #pool(name: string): ZcachePool {
    return new ZcachePool(this.client.pool(name, { kind: 'persistent' }), this.#fetcher);
  }
}
