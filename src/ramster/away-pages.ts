/**
 * Pages wherever they are, for those who may wait: a pool is asked, a page that is away is fetched, and the pool asked
 * again. For a node itself (Ramster) and for other processes on its store (with a SocketFetcher).
 */

import { type Oid, PAGE_BYTES, type PageFetcher, type Pool, TmemError } from '../zcache/index.ts';

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
    return this.#get(pool, oid, index, out, 'get');
  }

  /** As Pool.getAndKeep, wherever the page is. */
  getAndKeep(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#get(pool, oid, index, out, 'keep');
  }

  /** As Pool.getAndFree, wherever the page is. */
  getAndFree(pool: Pool, oid: Oid, index: number, out: Uint8Array): Promise<number> {
    return this.#get(pool, oid, index, out, 'free');
  }

  async #get(
    pool: Pool,
    oid: Oid,
    index: number,
    out: Uint8Array,
    how: 'get' | 'keep' | 'free',
  ): Promise<number> {
    const { remotePages } = pool;
    // An ephemeral page that comes as the answer is gone already; of others only the one that was looked at goes.
    const isLeft = how === 'free' && pool.kind === 'persistent';
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const length = pool.getIfHere(oid, index, out, how);
      if (length >= 0) return length;
      // What does not fit is said before the page leaves its peer.
      const found = isLeft || out.length < PAGE_BYTES ? remotePages.look(oid, index) : undefined;
      if (found !== undefined) checkLength(found.length, index, out);
      const page = await this.#fetcher.fetch(pool, oid, index);
      if (page === 'local') continue;
      checkLength(page.length, index, out);
      if (isLeft && (found?.kind !== 'remote' || !remotePages.abandon(oid, index, found))) continue;
      out.set(page);
      return page.length;
    }
    throw new TmemError('TMEM_ERR_BUSY', 'a page went away again as often as it was brought home');
  }
}

function checkLength(length: number, index: number, out: Uint8Array): void {
  if (length <= out.length) return;
  throw new TmemError(
    'TMEM_ERR_PAGE_LENGTH',
    `get: the page at index ${index} is longer than the ${out.length} bytes of the buffer; nothing was changed`,
  );
}
