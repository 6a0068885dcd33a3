/**
 * zcache as the backend of frontswap: one client of the store, a persistent pool for each area.
 */

import type { Client, Oid, Pool, Store } from '../zcache/index.ts';
import type { FrontswapBackend, FrontswapPool } from './backend.ts';

/** The client of frontswap pools for which no other is named; its weight and cap are for the user to set. */
const CLIENT_NAME = 'frontswap';

class ZcachePool implements FrontswapPool {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
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
}

export class ZcacheFrontswapBackend implements FrontswapBackend {
  /** The client whose pools the areas are. */
  readonly client: Client;

  /** @throws TmemError of the store, such as TMEM_ERR_TOO_MANY_CLIENTS */
  constructor(store: Store, client = store.client(CLIENT_NAME)) {
    this.client = client;
  }

  init(type: number): FrontswapPool {
    return new ZcachePool(this.client.pool(`area-${type}`, { kind: 'persistent' }));
  }

  initMetadata(): FrontswapPool {
    return new ZcachePool(this.client.pool('areas', { kind: 'persistent' }));
  }
}
