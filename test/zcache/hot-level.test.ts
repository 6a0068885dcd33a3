// A raw pool with a limit is the hot level of a cache: what goes over the limit moves, least recently used first, into
// the pool below it, compressed.

import { describe, expect, test } from 'vitest';
import { type Client, Oid, type Pool } from '../../src/index.ts';
import { expectCode } from '../tmem/operations.ts';
import { noise, numbered, PAGE_BYTES } from '../tmem/page-content.ts';
import { expectAccounted, expectNothingLeft, withStore } from '../tmem/small-store.ts';

const oid = Oid.fromNumbers(4);
const out = new Uint8Array(PAGE_BYTES);
const LIMIT = 10;

function indexesOf(pool: Pool): number[] {
  return [...pool.walk()].map(({ index }) => index).sort((a, b) => a - b);
}

function levels(client: Client): { hot: Pool; cold: Pool } {
  const cold = client.pool('cold', { kind: 'ephemeral' });
  return { cold, hot: client.pool('hot', { kind: 'ephemeral', pam: 'raw', limit: LIMIT, demoteTo: cold }) };
}

describe('a raw pool with a limit', () => {
  test('moves its least recently used page down, with the same bytes', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const { hot, cold } = levels(client);
      for (let i = 0; i < 30; i++) {
        expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
        expect(hot.pages).toBe(Math.min(i + 1, LIMIT));
        expect(hot.pages + cold.pages).toBe(i + 1);
      }
      expect(indexesOf(hot)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
      for (const index of indexesOf(cold)) {
        expect(cold.getAndKeep(oid, index, out)).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, numbered(index, 900))).toBe(0);
      }
      expect(hot.stats().moves.demoted_pages).toBe(20);
      expect(cold.stats().traffic.put_stored).toBe(20);
      expect(client.stats().frames.raw_curr_pages).toBe(LIMIT);
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  // Versions of handles are shared by hash: of this many moves some meet in one. They once left a page in both pools.
  test('moves ten thousand pages, each of which is in one pool afterwards', () => {
    withStore({ memory: '64 MiB' }, (small) => {
      const client = small.store.client('c');
      const { hot, cold } = levels(client);
      const pages = 10_000;
      for (let i = 0; i < pages; i++) {
        expect(hot.put(Oid.fromNumbers(i >> 4), i & 15, numbered(i, 900))).toBe('stored');
      }
      expect(hot.pages).toBe(LIMIT);
      expect(cold.pages).toBe(pages - LIMIT);
      for (let i = 0; i < pages; i++) {
        const handle = [Oid.fromNumbers(i >> 4), i & 15] as const;
        expect(hot.getAndKeep(...handle, out) > 0).toBe(i >= pages - LIMIT);
        if (i < pages - LIMIT) expect(cold.getAndKeep(...handle, out)).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, numbered(i, 900))).toBe(0);
      }
      expectAccounted(small);
    });
  });

  test('keeps the pages that are used', () => {
    withStore({}, (small) => {
      const { hot } = levels(small.store.client('c'));
      for (let i = 0; i < 3; i++) expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
      for (let i = 3; i < 40; i++) {
        for (let used = 0; used < 3; used++) expect(hot.getAndKeep(oid, used, out)).toBe(PAGE_BYTES);
        expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
      }
      expect(indexesOf(hot)).toEqual([0, 1, 2, 33, 34, 35, 36, 37, 38, 39]);
    });
  });

  test('loses a page that the pool below refuses', () => {
    withStore({}, (small) => {
      const { hot, cold } = levels(small.store.client('c'));
      for (let i = 0; i < LIMIT + 3; i++) expect(hot.put(oid, i, noise(PAGE_BYTES, i))).toBe('stored');
      expect(hot.pages).toBe(LIMIT);
      expect(cold.pages).toBe(0);
      expect(cold.stats().refusals.compress_poor).toBe(3);
      expectAccounted(small);
    });
  });

  test('goes on without the pool below when that is destroyed', () => {
    withStore({}, (small) => {
      const { hot, cold } = levels(small.store.client('c'));
      cold.destroy();
      for (let i = 0; i < 3 * LIMIT; i++) expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
      expect(indexesOf(hot)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
      expectAccounted(small);
    });
  });

  test('drops pages over the limit when there is no pool below', () => {
    withStore({}, (small) => {
      const hot = small.store.client('c').pool('hot', { kind: 'ephemeral', pam: 'raw', limit: LIMIT });
      for (let i = 0; i < 3 * LIMIT; i++) expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
      expect(hot.pages).toBe(LIMIT);
      expectAccounted(small);
    });
  });

  test('has its limit for itself: another raw pool of the client is not counted', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const { hot } = levels(client);
      const other = client.pool('other', { kind: 'ephemeral', pam: 'raw' });
      for (let i = 0; i < 2 * LIMIT; i++) expect(other.put(oid, i, numbered(i, 900))).toBe('stored');
      for (let i = 0; i < 2 * LIMIT; i++) expect(hot.put(oid, i, numbered(i, 900))).toBe('stored');
      expect(hot.pages).toBe(LIMIT);
      expect(other.pages).toBe(2 * LIMIT);
    });
  });

  test('stays within the limit through ranges, exchanges and changes', () => {
    withStore({}, (small) => {
      const { hot, cold } = levels(small.store.client('c'));
      const range = small.store.staging.subarray(0, 8 * PAGE_BYTES);
      for (let at = 0; at < 5; at++) {
        for (let i = 0; i < 8; i++) range.set(numbered(at * 8 + i, 900), i * PAGE_BYTES);
        expect(hot.putRange(oid, at * 8, range)).toBe(8);
        expect(hot.pages).toBeLessThanOrEqual(LIMIT);
      }
      for (let i = 100; i < 120; i++) {
        expect(hot.exchange(oid, i, numbered(i, 900), out).outcome).toBe('stored');
        expect(hot.writeAt(oid, i, 0, numbered(i, 900).subarray(0, 100))).toBe('stored');
        expect(hot.pages).toBeLessThanOrEqual(LIMIT);
      }
      expect(hot.pages + cold.pages).toBe(60);
      expectAccounted(small);
    });
  });

  test('is refused where it would mean nothing', () => {
    withStore({}, ({ store }) => {
      const client = store.client('c');
      const cold = client.pool('cold', { kind: 'ephemeral' });
      for (const options of [
        { kind: 'ephemeral', limit: 5 },
        { kind: 'persistent', pam: 'zv', limit: 5 },
        { kind: 'persistent', pam: 'raw', limit: 5 },
        { kind: 'persistent', pam: 'raw', limit: 5, demoteTo: cold },
      ] as const) {
        expectCode('TMEM_ERR_POOL_FLAGS', () => client.pool('hot', options));
      }
    });
  });
});
