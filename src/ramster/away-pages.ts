/**
 * Pages wherever they are, for those who may wait: a pool is asked, a page that is away is fetched, and the pool asked
 * again. For a node itself (Ramster) and for other processes on its store (with a SocketFetcher).
 */

import { isAway, type Oid, type PageFetcher, type Pool, TmemError } from '../zcache/index.ts';

/** Times that a page may leave between coming home and being read. */
const ROUNDS_MAX = 8;

export class AwayPages {
  readonly #fetcher: PageFetcher;

  constructor(fetcher: PageFetcher) {
    this.#fetcher = fetcher;
  }

  /**
   * As Pool.get, wherever the page is.
   *
   * @throws TmemError as Pool.get and PageFetcher.fetch; TMEM_ERR_BUSY if the page leaves again and again
   */
  get(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#get(pool, oid, index, out, () => pool.get(oid, index, out), isExclusive(pool));
  }

  /** As Pool.getAndKeep, wherever the page is. */
  getAndKeep(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#get(pool, oid, index, out, () => pool.getAndKeep(oid, index, out), false);
  }

  /** As Pool.getAndFree, wherever the page is. */
  getAndFree(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#get(pool, oid, index, out, () => pool.getAndFree(oid, index, out), true);
  }

  async #get(
    pool: Pool,
    oid: Oid,
    index: number,
    out: Uint8Array,
    ask: () => number,
    isFreed: boolean,
  ): Promise<number> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      try {
        return ask();
      } catch (error) {
        if (!isAway(error)) throw error;
      }
      const { remotePages } = pool;
      const found = remotePages.look(oid, index);
      if (found?.kind !== 'remote') continue;
      checkLength(found.length, index, out);
      const page = await this.#fetcher.fetch(pool, oid, index);
      if (page === 'local') continue;
      checkLength(page.length, index, out);
      // An ephemeral page that comes as the answer is gone already; of others only the one that was looked at goes.
      const isLeft = isFreed && pool.kind === 'persistent';
      if (isLeft && !remotePages.abandon(oid, index, found)) continue;
      out.set(page);
      return page.length;
    }
    throw new TmemError('TMEM_ERR_BUSY', 'a page went away again as often as it was brought home');
  }
}

/** A get of such a pool gives the page away. */
function isExclusive(pool: Pool): boolean {
  return pool.kind === 'ephemeral' && pool.shared === null;
}

function checkLength(length: number, index: number, out: Uint8Array): void {
  if (length <= out.length) return;
  throw new TmemError(
    'TMEM_ERR_PAGE_LENGTH',
    `get: the page at index ${index} is longer than the ${out.length} bytes of the buffer; it stays with the peer`,
  );
}
