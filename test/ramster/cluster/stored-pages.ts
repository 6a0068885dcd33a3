// The pages of the tests in a store, as any process that has it open reads and writes them.

import { Oid, type Pool, type PutOutcome, type Store, TmemError } from '../../../src/zcache/index.ts';
import { type Kind, PAGE_BYTES, pageOf, versionOf } from './pages.ts';

/** What a get found: a version of the page, of which every byte is right; or why there is none. */
export type Read = number | 'miss' | 'away' | 'lost' | 'damaged';

/** A node, or whoever else gets pages wherever they are. */
interface Getter {
  get(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number>;
}

/** The client whose pages may be sent. */
export const CLIENT = 'load';
const OBJECT = Oid.fromNumbers(1);

/** How a store is opened; all who open it do so. */
export const STORE_OPTIONS = {
  shrinker: { enabled: false },
  incompressible: 'store',
  threads: 8,
  pools: 64,
  clients: 31,
} as const;

/** A version of each of these pages. */
export type Versions = readonly (readonly [index: number, version: number])[];

export class StoredPages {
  readonly #pools: Record<Kind, Pool>;

  constructor(store: Store) {
    const client = store.client(CLIENT);
    this.#pools = {
      persistent: client.pool('persistent', { kind: 'persistent' }),
      ephemeral: client.pool('ephemeral', { kind: 'ephemeral' }),
    };
  }

  /** All at a time. */
  read(getter: Getter, kind: Kind, indexes: readonly number[]): Promise<Read[]> {
    return Promise.all(indexes.map((index) => this.#read(getter, kind, index)));
  }

  write(kind: Kind, versions: Versions): PutOutcome[] {
    return versions.map(([index, version]) =>
      this.#pools[kind].put(OBJECT, index, pageOf(kind, index, version)),
    );
  }

  /** Gets of pages that are put anew before they have ended. */
  async race(
    getter: Getter,
    kind: Kind,
    versions: Versions,
  ): Promise<{ readonly outcomes: PutOutcome[]; readonly found: Read[] }> {
    const indexes = versions.map(([index]) => index);
    const reads = this.read(getter, kind, indexes);
    const outcomes = this.write(kind, versions);
    return { outcomes, found: await reads };
  }

  flush(kind: Kind, indexes: readonly number[]): void {
    for (const index of indexes) this.#pools[kind].flushPage(OBJECT, index);
  }

  async #read(getter: Getter, kind: Kind, index: number): Promise<Read> {
    const page = Buffer.alloc(PAGE_BYTES);
    try {
      const length = await getter.get(this.#pools[kind], OBJECT, index, page);
      if (length === 0) return 'miss';
      return versionOf(kind, index, page.subarray(0, length)) ?? 'damaged';
    } catch (error) {
      if (TmemError.is(error) && error.code === 'TMEM_ERR_PEERS_AWAY') return 'away';
      if (TmemError.is(error) && error.code === 'TMEM_ERR_PAGE_LOST') return 'lost';
      throw error;
    }
  }
}
