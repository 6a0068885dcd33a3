/** Cases of the conformance suite: stores that are full, fall silent, or lose what they had. */

import type { StoreCase } from './conformance.ts';
import {
  claim,
  expectListed,
  expectMiss,
  expectPage,
  outcomeOf,
  pageOf,
  store as storePages,
} from './conformance-tools.ts';
import { RemoteError, type RemoteStore, type TravellingPage } from './remote-store.ts';

const PAGE_BYTES = 4096;
const ROOM_BYTES = 8 * 1024 * 1024;
/** Twice the room, and some. */
const FILLING_PAGES = (2 * ROOM_BYTES) / PAGE_BYTES + 100;

/** One of each call. */
function calls(store: RemoteStore): Record<string, () => Promise<unknown>> {
  return {
    put: () => store.put(pageOf(1, 100)),
    get: () => store.get(1, 1, false),
    free: () => store.free([{ pool: 1, id: 2 }]),
    destroyPool: () => store.destroyPool(9),
    list: () => store.list(undefined),
  };
}

export const troubleCases: StoreCase[] = [
  {
    name: 'a full store says so, keeps what it has, and takes pages again when some were freed',
    needs: 'roomBytes',
    wishes: { roomBytes: ROOM_BYTES },
    async check({ store, until }) {
      const stored: TravellingPage[] = [];
      let refused: TravellingPage | undefined;
      for (let i = 1; i <= FILLING_PAGES && refused === undefined; i++) {
        const page = pageOf(1, i, PAGE_BYTES);
        const outcome = await store.put(page);
        claim(outcome !== 'refused', `put ${i} into a store that fills up answers 'refused'`);
        if (outcome === 'full') refused = page;
        else stored.push(page);
      }
      claim(refused !== undefined, `after ${stored.length} pages it is not full`);
      claim(stored.length > 0, 'it is full before it has a single page');
      await expectMiss(store, refused);
      for (const page of stored) await expectPage(store, page);
      // Whatever a full store answers to a page it has: the page stays.
      const [first] = stored as [TravellingPage];
      await store.put(first);
      await expectPage(store, first);
      await expectListed(store, stored);
      const half = stored.splice(0, Math.ceil(stored.length / 2));
      for (let at = 0; at < half.length; at += 200) await store.free(half.slice(at, at + 200));
      // How much room it has may be known to it a little late.
      await until(
        async () => (await store.put(refused)) === 'stored',
        'a page is stored after half of them were freed',
      );
      await expectPage(store, refused);
      for (const page of stored) await expectPage(store, page);
    },
  },
  {
    name: 'a store that falls silent keeps nobody waiting: every call throws a RemoteError, and it is not up',
    needs: 'silence',
    async check({ store, silence, answer, until }) {
      const [kept, other] = [pageOf(1, 1), pageOf(1, 3)];
      await storePages(store, [kept, other]);
      await silence();
      for (const [name, call] of Object.entries(calls(store))) {
        const outcome = await outcomeOf(call);
        claim('error' in outcome, `${name} succeeds, and nobody answers`);
        const { error } = outcome;
        claim(error instanceof RemoteError, `${name} throws ${String(error)}, expected a RemoteError`);
      }
      claim(store.state !== 'up', 'nobody answers, and it is up');
      const together = await Promise.all(
        Array.from({ length: 100 }, () => outcomeOf(() => store.get(1, 1, false))),
      );
      claim(
        together.every((outcome) => 'error' in outcome && outcome.error instanceof RemoteError),
        'of many calls together not all throw a RemoteError',
      );
      await answer();
      await until(() => store.state === 'up', 'it is up again when it answers');
      await expectPage(store, kept);
      await expectPage(store, other);
    },
  },
  {
    name: 'after a silence calls may be repeated, and it has the memory it had',
    needs: 'silence',
    async check({ store, silence, answer, until }) {
      const { memory } = store;
      const [put, freed] = [pageOf(1, 1), pageOf(1, 2)];
      await storePages(store, [freed]);
      await silence();
      // Nobody knows whether these took effect.
      await outcomeOf(() => store.put(put));
      await outcomeOf(() => store.free([freed]));
      await answer();
      await until(() => store.state === 'up', 'it is up again when it answers');
      claim(store.memory === memory, 'it has another memory, and nothing was lost');
      await storePages(store, [put]);
      await store.free([freed]);
      await expectPage(store, put);
      await expectMiss(store, freed);
      await expectListed(store, [put]);
    },
  },
  {
    name: 'a store that lost its memory has another one, where nothing is, and which can be used',
    needs: 'loseMemory',
    async check({ store, loseMemory, until }) {
      const { memory } = store;
      const pages = [pageOf(1, 1), pageOf(2, 2)];
      await storePages(store, pages);
      await loseMemory();
      await until(() => store.state === 'up' && store.memory !== memory, 'it has another memory');
      for (const page of pages) await expectMiss(store, page);
      await expectListed(store, []);
      // The pools are gone, too, and with them their kinds.
      const anew: TravellingPage[] = [{ ...pageOf(1, 1), kind: 'ephemeral' }, pageOf(2, 3)];
      await storePages(store, anew);
      await expectPage(store, anew[1] as TravellingPage);
    },
  },
];
