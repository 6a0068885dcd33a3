/**
 * zcache as the backend of cleancache: one client of the store, one pool for each source and level.
 *
 * Hot pages are raw frames of their own; what falls out of the hot pool is compressed into the cold one by the
 * store itself, in the same call that put the newer page.
 */

import type { Client, Oid, Pool, Store } from '../zcache/index.ts';
import type { CleancacheBackend, CleancachePool } from './backend.ts';

const PAGE_BYTES = 4096;

/** The client of cleancache pools for which no other is named; its weight and cap are for the user to set. */
const CLIENT_NAME = 'cleancache';

/**
 * Part of the memory that the hot level takes by default. Pages compress to about a half, so that with a quarter
 * hot the cold level still holds one and a half times the memory.
 */
const HOT_SHARE = 1 / 4;

class ZcachePool implements CleancachePool {
  readonly pool: Pool;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  put(key: Oid, index: number, page: Uint8Array): boolean {
    return this.pool.put(key, index, page) === 'stored';
  }

  get(key: Oid, index: number, out: Uint8Array): number {
    return this.pool.get(key, index, out);
  }

  getRange(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[]): number {
    return this.pool.getRange(key, firstIndex, out, lengths);
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
}

/** The hot level: private to the client, but its gets keep. */
class KeepingPool extends ZcachePool {
  override get(key: Oid, index: number, out: Uint8Array): number {
    return this.pool.getAndKeep(key, index, out);
  }

  override getRange(key: Oid, firstIndex: number, out: Uint8Array, lengths: number[]): number {
    return this.pool.getRangeAndKeep(key, firstIndex, out, lengths);
  }
}

export class ZcacheCleancacheBackend implements CleancacheBackend {
  readonly #store: Store;
  readonly #client: Client;

  /** @throws TmemError of the store, such as TMEM_ERR_TOO_MANY_CLIENTS */
  constructor(store: Store, client = store.client(CLIENT_NAME)) {
    this.#store = store;
    this.#client = client;
  }

  initFs(name: string): CleancachePool {
    return new ZcachePool(this.#client.pool(name, { kind: 'ephemeral' }));
  }

  /** @throws TmemError TMEM_ERR_NOT_GRANTED if the client may not join */
  initSharedFs(uuid: string): CleancachePool {
    return new ZcachePool(this.#client.pool(uuid, { kind: 'ephemeral', shared: uuid }));
  }

  initHot(name: string, pages: number | undefined, cold: CleancachePool): CleancachePool {
    const limit = pages ?? Math.floor((this.#store.settings.memory * HOT_SHARE) / PAGE_BYTES);
    const demoteTo = (cold as ZcachePool).pool;
    return new KeepingPool(this.#client.pool(name, { kind: 'ephemeral', pam: 'raw', limit, demoteTo }));
  }
}
