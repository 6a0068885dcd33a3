// A place for pages that are sent away, in memory, and the fetcher that has them: as late, as full and as broken as a
// test wants it.

import { type Oid, type PageFetcher, type Pool, TmemError } from '../../src/zcache/index.ts';

/** What becomes of a page that is fetched. */
export type Answer = 'home' | 'page' | 'peers away' | 'lost';

interface FarPage {
  readonly stored: { readonly codec: 'raw' | 'lz4' | 'lzo'; readonly bytes: Uint8Array };
  readonly page: Uint8Array;
}

/** Looks at a handle that keeps changing while it is fetched. */
const LOOKS_MAX = 100;

export class FarPages implements PageFetcher {
  /** What the next fetch of a handle does. */
  answer: (handle: string) => Answer = () => 'home';
  /** What each fetch waits for, twice. */
  wait: () => Promise<unknown> = () => Promise.resolve();
  /** Calls of `fetch`, by handle. */
  readonly fetched: string[] = [];
  readonly #pages = new Map<string, FarPage>();
  #last = 0;

  /** Pages that came here in all. */
  get sent(): number {
    return this.#last;
  }

  /** Takes a page if it is there, and large enough; whether it is here now. */
  take(pool: Pool, oid: Oid, index: number): boolean {
    const { remotePages } = pool;
    const found = remotePages.look(oid, index);
    if (found?.kind !== 'stored') return false;
    const out = new Uint8Array(4096);
    const page = out.subarray(0, pool.peek(oid, index, out));
    const name = `far ${++this.#last}`;
    if (remotePages.sendAway(oid, index, found, Buffer.from(name)) !== 'stored') return false;
    this.#pages.set(name, { stored: found, page });
    return true;
  }

  /** Takes each page for which `wanted` says so; how many. */
  takeSome(pool: Pool, wanted: () => boolean = () => true): number {
    let taken = 0;
    for (const { oid, index } of pool.walk()) if (wanted() && this.take(pool, oid, index)) taken++;
    return taken;
  }

  async fetch(pool: Pool, oid: Oid, index: number): Promise<'local' | Uint8Array> {
    const handle = `${oid.w0}/${index}`;
    this.fetched.push(handle);
    await this.wait();
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const found = pool.remotePages.look(oid, index);
      if (found?.kind !== 'remote') return 'local';
      const far = this.#pages.get(Buffer.from(found.record).toString()) as FarPage;
      const answer = this.answer(handle);
      await this.wait();
      if (answer === 'peers away') throw new TmemError('TMEM_ERR_PEERS_AWAY', 'nobody answers');
      if (answer === 'lost') throw new TmemError('TMEM_ERR_PAGE_LOST', 'nobody has it');
      if (answer === 'page') return far.page;
      const outcome = pool.remotePages.bringHome(oid, index, found, far.stored);
      if (outcome === 'stored') return 'local';
      if (outcome !== 'gone') return far.page;
    }
    throw new Error('the handle never rests');
  }
}
