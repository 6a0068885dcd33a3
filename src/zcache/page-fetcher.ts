/**
 * The asynchronous face of pages that are with peers. A front end that may wait is given one (src/ramster has it): when
 * a local call says that a page is away (TMEM_ERR_REMOTE), the front end asks for it here and tries again.
 */

import { type Oid, TmemError } from '../tmem/index.ts';
import type { ClientPool } from './pool.ts';

export interface PageFetcher {
  /**
   * Brings a page home.
   *
   * Resolves to 'local' when the handle holds no remote page any more: it is here, or was an ephemeral one that is
   * gone; ask the store again. Else the page itself is the answer, as it was at some moment after the call; whether it
   * comes home then, as it does when there is room, is nothing to wait for.
   *
   * It ends in bounded time, and needs nothing that its callers hold: a front end may ask under a lock of its own.
   *
   * @throws TmemError TMEM_ERR_PEERS_AWAY: no peer that has it answers now; it may work later.
   *   TMEM_ERR_PAGE_LOST: a persistent page that no peer has any more
   */
  fetch(pool: ClientPool, oid: Oid, index: number): Promise<'local' | Uint8Array>;
}

/** Whether a call met a page that is with a peer, and changed nothing. */
export function isAway(thrown: unknown): boolean {
  return TmemError.is(thrown) && thrown.code === 'TMEM_ERR_REMOTE';
}
