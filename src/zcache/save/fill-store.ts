/**
 * Puts what a file holds into a new store. Persistent pages come first and must all be taken; the caps of clients and
 * the store's rules about poor compression hold from then on, because those pages were taken under them before, in
 * another order. Ephemeral pages that find no room are dropped.
 */

import { applySettings } from '../apply-settings.ts';
import type { Client } from '../client.ts';
import type { ClientPool } from '../pool.ts';
import { arenasOf, type Store } from '../store.ts';
import { refused, type SavedPage, type SavedPool, type SavedStore } from './format.ts';
import { Room } from './room.ts';

export interface FillResult {
  readonly pages: number;
  /** Ephemeral pages that are not there in the end. */
  readonly dropped: number;
}

/**
 * @param pagesOf - pages the file holds of each pool
 * @throws TmemError TMEM_ERR_RESTORE, TMEM_ERR_NO_SPACE when a persistent page was refused
 */
export async function fillStore(
  store: Store,
  saved: SavedStore,
  pagesOf: readonly number[],
  blocks: AsyncIterable<readonly SavedPage[]>,
  signal?: AbortSignal,
): Promise<FillResult> {
  takeAnyPage(store);
  const clients = saved.clients.map(({ name, weight }) => store.client(name, { weight }));
  const pools = createPools(saved.pools, clients);
  const persistentPools = saved.pools.filter(({ kind }) => kind === 'persistent').length;
  const persistentPages = sum(pagesOf.slice(0, persistentPools));
  const room = new Room(store);
  let done = 0;
  const endPersistent = (): void => {
    const isWhole = pools.slice(0, persistentPools).every((pool, i) => pool.pages === pagesOf[i]);
    if (!isWhole) throw refused('it holds a page twice');
    applyRules(store, saved, clients);
  };
  for await (const pages of blocks) {
    signal?.throwIfAborted();
    for (const page of pages) {
      if (done === persistentPages) endPersistent();
      const outcome = pools[page.pool].put(page.oid, page.index, page.bytes);
      if (done < persistentPages && outcome !== 'stored') {
        throw room.refusal(outcome, done, persistentPages);
      }
      done++;
    }
  }
  if (done === persistentPages) endPersistent();
  freeze(store, saved, clients);
  const pages = sum(pools.map((pool) => pool.pages));
  return { pages, dropped: done - pages };
}

function createPools(saved: readonly SavedPool[], clients: readonly Client[]): ClientPool[] {
  const pools: ClientPool[] = [];
  for (const { client, name, kind, pam, codec, shared, limitPages, demoteTo, granted } of saved) {
    const pool = clients[client].pool(name, {
      ...{ kind, pam, codec },
      shared: shared ?? undefined,
      limit: limitPages ?? undefined,
      demoteTo: demoteTo === null ? undefined : pools[demoteTo],
    });
    for (const other of granted) pool.grant(clients[other]);
    pools.push(pool);
  }
  return pools;
}

/** Whether a page may be kept depends on those before it, and on the codec its pool had; these pages were kept. */
function takeAnyPage(store: Store): void {
  for (const arena of arenasOf(store).all) {
    applySettings(arena, {
      ...store.settings,
      incompressible: 'store',
      zvMaxMeanBytes: store.settings.zvMaxPageBytes,
    });
  }
}

function applyRules(store: Store, saved: SavedStore, clients: readonly Client[]): void {
  for (const arena of arenasOf(store).all) applySettings(arena, store.settings);
  for (const [i, { capBytes }] of saved.clients.entries()) if (capBytes !== null) clients[i].setCap(capBytes);
}

function freeze(store: Store, saved: SavedStore, clients: readonly Client[]): void {
  for (const [i, { frozen }] of saved.clients.entries()) if (frozen) clients[i].freeze();
  if (saved.frozen) store.freeze();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
