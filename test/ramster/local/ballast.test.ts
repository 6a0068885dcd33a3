// A store that is full to its last frame can send, however often it is filled again.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ArenaLocalPages } from '../../../src/ramster/local/arena-pages.ts';
import type { PageRef, StoredLook } from '../../../src/ramster/local/local-pages.ts';
import { Oid, type Pool } from '../../../src/zcache/index.ts';
import { privateStore } from './local-stores.ts';

/** More than the store has room for. */
const PAGES_MAX = 20_000;
const SENT_EACH_ROUND = 500;

/** Puts pages that do not compress until the store takes no more; the number of the next one. */
function fillUp(pool: Pool, first: number): number {
  for (let i = first; i < first + PAGES_MAX; i++)
    if (pool.put(Oid.fromNumbers(1, i >> 10, 0), i & 1023, randomBytes(4096)) !== 'stored') return i;
  return expect.fail('the store is never full');
}

test.each([1, 2])('pages leave a store that is full of them (%i arenas)', (arenas) => {
  const store = privateStore({ memory: '16 MiB', debug: false, arenas });
  const pool = store.client('c').pool('p', { kind: 'persistent', codec: 'none' });
  const local = new ArenaLocalPages(store, { clients: ['c'] });
  let next = 0;
  for (let round = 0; round < 3; round++) {
    next = fillUp(pool, next);
    const sent = new Set<PageRef>();
    while (sent.size < SENT_EACH_ROUND) {
      const pages = local.coldest('persistent', 64);
      expect(pages).not.toEqual([]);
      for (const page of pages) {
        expect(local.sendAway(page, local.look(page) as StoredLook, randomBytes(48))).toBe('stored');
        sent.add(page);
      }
    }
  }
});
