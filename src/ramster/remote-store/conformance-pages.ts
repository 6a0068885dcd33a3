/** Cases of the conformance suite: pages that are put, got and freed. */

import { PAGE_ID_MAX } from '../page-id.ts';
import { nodeNumber } from '../place.ts';
import type { StoreCase } from './conformance.ts';
import {
  claim,
  expectBytes,
  expectListed,
  expectMiss,
  expectPage,
  outcomeOf,
  pageOf,
  store as storePages,
} from './conformance-tools.ts';
import { FREE_MOST, type TravellingPage } from './remote-store.ts';

const PAGE_BYTES = 4096;
const POOL_MAX = 2 ** 32 - 1;

/** Lengths that go together. */
const AT_A_TIME = 256;

const MANY = 600;

export const pageCases: StoreCase[] = [
  {
    name: 'a store that is up says who it is, which memory it has, and how much it takes',
    async check({ store }) {
      claim(store.state === 'up', `its state is '${store.state}'`);
      const { node, memory, freeBytes, latencyMs } = store;
      claim(node === 0 || node === nodeNumber(store.name), `node ${node} is not the number of its name`);
      claim(memory !== undefined && memory >>> 0 === memory, `memory ${memory} is no u32`);
      claim(Number.isFinite(freeBytes) && freeBytes > 0, `it has ${freeBytes} free bytes, and nothing in it`);
      claim(Number.isFinite(latencyMs) && latencyMs >= 0, `its latency is ${latencyMs} ms`);
      claim(!store.draining, 'it is leaving');
    },
  },
  {
    name: 'what was put is got, byte for byte, at every length from 1 to 4096',
    async check({ store }) {
      for (let first = 1; first <= PAGE_BYTES; first += AT_A_TIME) {
        const pages = Array.from({ length: AT_A_TIME }, (_, i) => pageOf(1, first + i, first + i));
        await storePages(store, pages);
        await Promise.all(pages.map((page) => expectPage(store, page)));
        await store.free(pages);
      }
    },
  },
  {
    name: 'a page is a copy: what it was put from and what a get returned may change',
    async check({ store }) {
      const page = pageOf(1, 7, 1000);
      const memory = new Uint8Array(3000).fill(0xee);
      memory.set(page.bytes, 1000);
      await storePages(store, [{ ...page, bytes: memory.subarray(1000, 2000) }]);
      memory.fill(0);
      const first = await store.get(1, 7, false);
      claim(first !== undefined, 'the page is a miss');
      expectBytes(page, first);
      first.fill(0xaa);
      await expectPage(store, page);
    },
  },
  {
    name: 'what was never put is a miss',
    async check({ store }) {
      const page = pageOf(1, 1);
      await expectMiss(store, page);
      await storePages(store, [page]);
      await expectMiss(store, { pool: 1, id: 2 });
      await expectMiss(store, { pool: 2, id: 1 });
      claim((await store.get(2, 1, true)) === undefined, 'a get that frees finds what was never put');
      await expectPage(store, page);
    },
  },
  {
    name: 'ids and pools are told apart up to the largest',
    async check({ store }) {
      const ids = [
        1,
        2,
        63,
        64,
        65,
        2 ** 32 - 1,
        2 ** 32,
        2 ** 32 + 1,
        2 ** 33,
        PAGE_ID_MAX - 1,
        PAGE_ID_MAX,
      ];
      const pools = [0, 1, 2 ** 31, POOL_MAX];
      const pages = pools.flatMap((pool) => ids.map((id) => pageOf(pool, id)));
      await storePages(store, pages);
      for (const page of pages) await expectPage(store, page);
      await expectListed(store, pages);
    },
  },
  {
    name: 'a get that frees finds the page once, one that does not finds it again',
    async check({ store }) {
      const [taken, kept] = [pageOf(3, 10), pageOf(3, 11)];
      await storePages(store, [taken, kept]);
      await expectPage(store, taken, true);
      await expectMiss(store, taken);
      await expectPage(store, kept);
      await expectPage(store, kept);
      await expectListed(store, [kept]);
    },
  },
  {
    name: 'a put of an id that is there succeeds, and makes no second page',
    async check({ store }) {
      const page = pageOf(1, 5);
      for (let time = 0; time < 3; time++) await storePages(store, [page]);
      await expectPage(store, page);
      await expectListed(store, [page]);
      await store.free([page]);
      await expectMiss(store, page);
    },
  },
  {
    name: 'a free ends the pages it names and no others; of one that is not there it succeeds',
    async check({ store }) {
      const pages = [1, 2, 3, 4].map((id) => pageOf(1, id));
      const [first, second, third, fourth] = pages as [
        TravellingPage,
        TravellingPage,
        TravellingPage,
        TravellingPage,
      ];
      const elsewhere = pageOf(2, 1);
      await storePages(store, [...pages, elsewhere]);
      await store.free([first, third]);
      await store.free([first, third, { pool: 9, id: 9 }]);
      await store.free([]);
      await expectMiss(store, first);
      await expectMiss(store, third);
      for (const page of [second, fourth, elsewhere]) await expectPage(store, page);
      await expectListed(store, [second, fourth, elsewhere]);
    },
  },
  {
    name: 'an id that was freed may be put again',
    async check({ store }) {
      const page = pageOf(1, 5);
      for (let time = 0; time < 3; time++) {
        await storePages(store, [page]);
        await expectPage(store, page);
        await store.free([page]);
        await expectMiss(store, page);
      }
    },
  },
  {
    name: 'one free takes FREE_MOST pages, of several pools',
    async check({ store }) {
      const pages = Array.from({ length: FREE_MOST + 10 }, (_, i) => pageOf(i % 3, 1 + i * 17));
      await storePages(store, pages);
      await store.free(pages.slice(0, FREE_MOST));
      await expectListed(store, pages.slice(FREE_MOST));
    },
  },
  {
    name: 'many calls at a time each get their own answer',
    async check({ store }) {
      const pages = Array.from({ length: MANY }, (_, i) => pageOf(i % 5, 1 + i * 7));
      await storePages(store, pages);
      // Gets, repeated puts and frees of others, all under way at once.
      const freed = pages.filter((_, i) => i % 4 === 0);
      const kept = pages.filter((_, i) => i % 4 !== 0);
      await Promise.all([
        ...kept.map((page) => expectPage(store, page)),
        ...kept.map((page) => storePages(store, [page])),
        ...freed.map((page) => store.free([page])),
        ...kept.toReversed().map((page) => expectPage(store, page)),
      ]);
      for (const page of freed) await expectMiss(store, page);
      await expectListed(store, kept);
    },
  },
  {
    name: 'wrong arguments store nothing and harm nothing',
    async check({ store }) {
      const good = pageOf(1, 1);
      await storePages(store, [good]);
      const wrong: Partial<Record<keyof TravellingPage, unknown>>[] = [
        { bytes: new Uint8Array(0) },
        { bytes: new Uint8Array(PAGE_BYTES + 1) },
        { pool: -1 },
        { pool: 1.5 },
        { pool: 2 ** 32 },
        { id: 0 },
        { id: -1 },
        { id: 1.5 },
        { id: PAGE_ID_MAX + 1 },
        { id: Number.NaN },
        { kind: 'eternal' },
      ];
      for (const change of wrong) {
        const page = { ...pageOf(1, 2), ...change } as TravellingPage;
        const put = await outcomeOf(async () => store.put(page));
        claim(
          'error' in put || put.value !== 'stored',
          `a put of a wrong ${Object.keys(change)} is 'stored'`,
        );
        if (!('pool' in change || 'id' in change)) continue;
        const got = await outcomeOf(async () => store.get(page.pool, page.id, true));
        claim(
          'error' in got || got.value === undefined,
          `a get of a wrong ${Object.keys(change)} finds something`,
        );
      }
      const tooMany = Array.from({ length: FREE_MOST + 1 }, (_, i) => ({ pool: 1, id: i + 1000 }));
      const freed = await outcomeOf(async () => store.free([...tooMany.slice(2), good]));
      claim(!('error' in freed), 'a free of FREE_MOST pages fails');
      const refused = await outcomeOf(async () => store.free(tooMany));
      claim('error' in refused, 'a free of more than FREE_MOST pages succeeds');
      await storePages(store, [good]);
      await expectPage(store, good);
      await expectListed(store, [good]);
    },
  },
];
