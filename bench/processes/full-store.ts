// A named store of 1 GiB that is full of real pages: half of it persistent ones in zv, the rest ephemeral ones in zbud.

import { Oid, open, type Pool, type Store } from '../../src/index.ts';
import { keepable, PAGES_AN_OBJECT } from '../store/scene.ts';
import { StoreName } from '../support/named.ts';
import { loadPages, PAGE_BYTES, type Pages, withoutSameFilled } from '../support/pages.ts';

const MEMORY = '1 GiB';
/** Persistent pages take about this share of the frames. */
const PERSISTENT_SHARE = 1 / 2;
/** Puts between two looks at how full it is. */
const STEP = 1024;
/** No store of this size holds more pages, at any ratio of real ones. */
const PAGES_MAX = 2_000_000;

export type Kind = 'ephemeral' | 'persistent';

export interface FullStore extends Disposable {
  name: string;
  path: string;
  store: Store;
  pages: Pages;
  /** Pages of each kind that were put: numbers 0 to count - 1. */
  counts: Record<Kind, number>;
}

export function poolOf(store: Store, kind: Kind): Pool {
  return store.client('bench').pool(kind, { kind });
}

/** Handle of a page of a pool. */
export function handleOf(page: number): [oid: Oid, index: number] {
  return [Oid.fromNumbers(Math.floor(page / PAGES_AN_OBJECT)), page % PAGES_AN_OBJECT];
}

export function makeFullStore(file: string | undefined): FullStore {
  const { pages } = keepable(withoutSameFilled(loadPages(file)));
  const name = new StoreName('bench');
  // Nothing but the pages: pressure on the machine is not what is measured.
  const store = open({ name: name.name, memory: MEMORY, shrinker: { enabled: false } });
  const fill = (kind: Kind, isFull: () => boolean): number => {
    const pool = poolOf(store, kind);
    for (let page = 0; page < PAGES_MAX; page++) {
      if (page % STEP === 0 && isFull()) return page;
      const at = (page % pages.count) * PAGE_BYTES;
      if (pool.put(...handleOf(page), pages.bytes.subarray(at, at + PAGE_BYTES)) !== 'stored')
        throw new Error(`page ${page} was refused`);
    }
    throw new Error(`${PAGES_MAX} pages do not fill ${MEMORY}`);
  };
  const free = () => {
    const { frames_free, frames_total } = store.stats().store;
    return frames_free / frames_total;
  };
  const persistent = fill('persistent', () => free() < 1 - PERSISTENT_SHARE);
  const ephemeral = fill('ephemeral', () => store.stats().reclaim.evicted_raw_pages > 0);
  return {
    ...{ name: name.name, path: name.path, store, pages, counts: { persistent, ephemeral } },
    [Symbol.dispose]: () => {
      store.close();
      name[Symbol.dispose]();
    },
  };
}
