/** What a node of a cluster asks a store for, beside its pools: pages that are away, and pools by their number. */

import type { Look, StoredPage } from '../tmem/index.ts';
import { decodeStored, orphansLost, takeOrphans } from '../tmem/index.ts';
import type { ClientPool } from './pool.ts';
import { arenasOf, type Store } from './store.ts';

const ID_MASK = 0xffff;

/**
 * The pool with this number, its `id`: a place in the pool table and the generation there, so that no other pool has it
 * before 32767 more were made in that place. Undefined: it is gone.
 */
export function poolOfNumber(store: Store, number: number): ClientPool | undefined {
  const [first] = arenasOf(store).all;
  const address = first.wasm.poolFrame(number) >>> 0;
  if (address === 0) return undefined;
  const owner = first.word(address + first.layout.P_CLIENT);
  const owners = store.clients().filter(({ id }) => (id & ID_MASK) === owner);
  return owners.flatMap((client) => client.pools()).find(({ id }) => id === number);
}

/** Takes up to `most` records of remote pages that left the index, whoever took them out. */
export function takeOrphansOf(store: Store, most: number): Uint8Array[] {
  return takeOrphans(arenasOf(store), most);
}

/** A number that rises with every such record that there was no room for. */
export function orphansLostOf(store: Store): number {
  return orphansLost(arenasOf(store));
}

/** The page that stored bytes stand for; undefined when they are not the one that the record was made for. */
export function decodePage(
  store: Store,
  found: Extract<Look, { kind: 'remote' }>,
  stored: Pick<StoredPage, 'codec' | 'bytes'>,
): Uint8Array | undefined {
  return decodeStored(arenasOf(store), found, stored);
}
