/** Cases of the conformance suite: pools, their kinds, owners, and lists. */

import type { StoreCase } from './conformance.ts';
import {
  claim,
  expectBytes,
  expectListed,
  expectMiss,
  expectPage,
  listAll,
  pageOf,
  pageText,
  store as storePages,
} from './conformance-tools.ts';
import type { HeldPage, TravellingPage } from './remote-store.ts';

/** More than any batch has. */
const LISTED = 2500;

const CHANGES_A_BATCH = 50;

const ephemeral = (page: TravellingPage): TravellingPage => ({ ...page, kind: 'ephemeral' });

export const poolCases: StoreCase[] = [
  {
    name: 'an ephemeral page is itself or a miss, and free and destroy end it',
    async check({ store }) {
      const pages = Array.from({ length: 200 }, (_, i) => ephemeral(pageOf(4, 1 + i * 3)));
      await storePages(store, pages);
      let found = 0;
      for (const page of pages) {
        const bytes = await store.get(page.pool, page.id, false);
        if (bytes === undefined) continue;
        expectBytes(page, bytes);
        found++;
      }
      claim(found > 0, 'of 200 ephemeral pages none is there, in a store that was empty');
      await store.free(pages.slice(0, 100));
      for (const page of pages.slice(0, 100)) await expectMiss(store, page);
      await store.destroyPool(4);
      for (const page of pages) await expectMiss(store, page);
    },
  },
  {
    name: 'a pool has the kind of its first put: the other kind is refused and changes nothing',
    async check({ store }) {
      const persistent = pageOf(1, 1);
      const passing = ephemeral(pageOf(2, 1));
      await storePages(store, [persistent, passing]);
      const outcomes = [
        await store.put(ephemeral(pageOf(1, 2))),
        await store.put(ephemeral(persistent)),
        await store.put(pageOf(2, 2)),
      ];
      claim(
        outcomes.every((outcome) => outcome === 'refused'),
        `puts of the other kind answer '${outcomes.join("', '")}'`,
      );
      await expectPage(store, persistent);
      await expectMiss(store, { pool: 1, id: 2 });
      await expectMiss(store, { pool: 2, id: 2 });
      await storePages(store, [pageOf(1, 3), ephemeral(pageOf(2, 3))]);
    },
  },
  {
    name: 'destroyPool ends every page of the pool and no other; of one that is not there it succeeds',
    async check({ store }) {
      const doomed = Array.from({ length: 700 }, (_, i) => pageOf(1, 1 + i));
      const kept = [pageOf(0, 1), pageOf(2, 1), pageOf(10, 1), pageOf(11, 700)];
      await storePages(store, [...doomed, ...kept]);
      await store.destroyPool(1);
      await store.destroyPool(1);
      await store.destroyPool(77);
      for (const page of doomed) await expectMiss(store, page);
      for (const page of kept) await expectPage(store, page);
      await expectListed(store, kept);
    },
  },
  {
    name: 'the list of an empty store is empty, also after everything was freed',
    async check({ store }) {
      await expectListed(store, []);
      const pages = Array.from({ length: 100 }, (_, i) => pageOf(i % 2, 1 + i));
      await storePages(store, pages);
      await store.free(pages);
      await expectListed(store, []);
    },
  },
  {
    name: 'the list names every page, in batches, each once when nothing changes',
    async check({ store }) {
      const pages = Array.from({ length: LISTED }, (_, i) => pageOf(i % 3, 1 + i * 5, 1 + (i % 64)));
      await storePages(store, pages);
      await expectListed(store, pages);
      const first = await store.list(undefined);
      claim(first.next !== undefined, `a list of ${LISTED} pages comes in one piece`);
      const once = await store.list(first.next);
      const again = await store.list(first.next);
      const texts = (held: readonly HeldPage[]): string => held.map(pageText).sort().join();
      claim(texts(once.pages) === texts(again.pages), 'a cursor used twice leads to different pages');
    },
  },
  {
    name: 'a list while pages come and go names all that stay, and none that went before',
    async check({ store }) {
      const staying = Array.from({ length: LISTED }, (_, i) => pageOf(i % 3, 1 + i * 2, 1 + (i % 64)));
      const going = Array.from({ length: LISTED / 5 }, (_, i) => pageOf(i % 3, 2 + i * 10, 50));
      const before = Array.from({ length: 100 }, (_, i) => pageOf(i % 3, 1_000_001 + i, 50));
      await storePages(store, [...staying, ...going, ...before]);
      await store.free(before);
      let changes = 0;
      const listed = await listAll(store, async () => {
        const at = changes * CHANGES_A_BATCH;
        changes++;
        const freed = going.slice(at, at + CHANGES_A_BATCH);
        await store.free(freed);
        if (changes > 20) return;
        await storePages(
          store,
          Array.from({ length: CHANGES_A_BATCH }, (_, i) => pageOf(i % 3, 2_000_000 + at + i, 60)),
        );
      });
      const names = new Set(listed.map(pageText));
      const missing = staying.find((page) => !names.has(pageText(page)));
      claim(missing === undefined, `${missing && pageText(missing)} stayed and was not listed`);
      const dead = before.find((page) => names.has(pageText(page)));
      claim(dead === undefined, `${dead && pageText(dead)} was freed before and is listed`);
    },
  },
  {
    name: 'two owners see nothing of each other, whatever their pools and ids are',
    needs: 'neighbour',
    async check({ store, neighbour }) {
      const other = await neighbour();
      const mine = [pageOf(1, 1, 500), pageOf(1, 2, 500)];
      const theirs = [{ ...pageOf(1, 1, 700), kind: 'ephemeral' as const }, pageOf(2, 1, 700)];
      await storePages(store, mine);
      await expectMiss(other, { pool: 1, id: 1 });
      await storePages(other, theirs);
      for (const page of mine) await expectPage(store, page);
      await expectMiss(other, { pool: 1, id: 2 });
      await expectListed(store, mine);
      await other.free(mine);
      await other.destroyPool(1);
      for (const page of mine) await expectPage(store, page);
      await expectListed(store, mine);
      await store.destroyPool(2);
      await expectPage(other, theirs[1] as TravellingPage);
      await expectListed(other, [theirs[1] as TravellingPage]);
    },
  },
];
