/** Makes copies of a page at several stores, and waits until all are acknowledged. */

import type { Random } from '../clock.ts';
import type { Place } from '../place.ts';
import type { RemoteStore, TravellingPage } from '../remote-store/remote-store.ts';
import { draw } from './placement.ts';
import type { RemoteStores } from './stores.ts';

/** Stores asked in addition when some have no room or do not answer. */
const FURTHER_MAX = 3;

export interface Copies {
  /** Acknowledged, in different stores. */
  readonly places: readonly Place[];
  /** Not acknowledged: there may be a copy or not. */
  readonly uncertain: readonly Place[];
  /** Some store had no room, or there was none to ask. */
  readonly noRoom: boolean;
}

/** Tries to make `count` copies, none at the nodes in `taken`. There may be fewer. */
export async function makeCopies(
  stores: RemoteStores,
  random: Random,
  page: TravellingPage,
  count: number,
  taken: readonly number[],
): Promise<Copies> {
  const candidates = stores.candidates().filter(({ node }) => !taken.includes(node));
  const places: Place[] = [];
  const uncertain: Place[] = [];
  let noRoom = false;
  let further = FURTHER_MAX;

  const one = async (): Promise<void> => {
    for (;;) {
      const store = draw(candidates, random);
      if (store === undefined) {
        noRoom = true;
        return;
      }
      const outcome = await putAt(store, page);
      if (outcome.place !== undefined) (outcome.acknowledged ? places : uncertain).push(outcome.place);
      if (outcome.acknowledged) return;
      noRoom ||= outcome.place === undefined;
      if (further-- <= 0) return;
    }
  };
  if (count === 1) await one();
  else await Promise.all(Array.from({ length: count }, one));
  return { places, uncertain, noRoom };
}

async function putAt(
  store: RemoteStore,
  page: TravellingPage,
): Promise<{ readonly place?: Place; readonly acknowledged: boolean }> {
  const { node, memory } = store;
  if (memory === undefined) return { acknowledged: false };
  const place = { node, memory };
  try {
    const outcome = await store.put(page);
    if (outcome !== 'stored') return { acknowledged: false };
  } catch {
    return { place, acknowledged: false };
  }
  // It came back with another memory meanwhile: nobody knows which of them took the page.
  return { place, acknowledged: store.memory === memory };
}
