// Everything is accounted, at the moments where that is hard: pools that end, stores that are full, trees that are
// large, and what each of them leaves when it is gone.

import { describe, expect, test } from 'vitest';
import { Oid, type PutOutcome } from '../../src/index.ts';
import { seededRandom } from '../codec/sample-pages.ts';
import { numbered, PAGE_BYTES } from './page-content.ts';
import {
  drain,
  expectAccounted,
  expectNothingLeft,
  FRAME_BYTES,
  fillUp,
  freeFrames,
  recover,
  withStore,
} from './small-store.ts';

const oid = Oid.fromNumbers(8);
const out = new Uint8Array(PAGE_BYTES);
const zero = new Uint8Array(PAGE_BYTES);

describe('a pool that ends', () => {
  test('is empty at once, and all its memory comes back in steps', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const before = freeFrames(small.arenas);
      const pool = client.pool('p', { kind: 'persistent', pam: 'zbud' });
      for (let i = 0; i < 500; i++) {
        expect(pool.put(Oid.fromNumbers(i % 20), i * 17, numbered(i, 500))).toBe('stored');
      }
      pool.destroy();
      expect(client.stats().content.curr_pages).toBe(0);
      expect(client.pool('p', { kind: 'persistent', pam: 'zbud' }).get(Oid.fromNumbers(0), 0, out)).toBe(0);
      const [arena] = small.arenas;
      let steps = 0;
      while (arena!.wasm.drainSteps(1) > 0) steps++;
      expect(steps).toBeGreaterThan(20);
      client.pool('p', { kind: 'persistent', pam: 'zbud' }).destroy();
      drain(small);
      expect(freeFrames(small.arenas)).toBe(before);
      expectAccounted(small);
    });
  });

  test('leaves nothing in the sums of its client when a recovery comes in between', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('p', { kind: 'persistent' });
      for (let i = 0; i < 200; i++) pool.put(Oid.fromNumbers(i), 0, i % 2 === 0 ? zero : numbered(i, 500));
      pool.destroy();
      recover(small);
      const { content, index } = client.stats();
      expect(content).toMatchObject({ curr_pages: 0, curr_zbytes: 0, same_filled_pages: 0 });
      expect(index).toMatchObject({ curr_obj_count: 0, curr_objnode_count: 0 });
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  test('makes room for the next one, also at the cap', () => {
    withStore({}, (small) => {
      const client = small.store.client('c', { cap: 8 * FRAME_BYTES });
      const full = client.pool('full', { kind: 'persistent', pam: 'raw' });
      const empty = client.pool('empty', { kind: 'persistent' });
      for (let i = 0; full.put(oid, i, zero) === 'stored'; i++) expect(i).toBeLessThan(8);
      empty.destroy();
      expect(client.pool('next', { kind: 'persistent' }).pages).toBe(0);
      expectAccounted(small);
    });
  });

  test('and its flushed objects may be put into and flushed again at once', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('p', { kind: 'persistent' });
      for (let round = 0; round < 30; round++) {
        for (let i = 0; i < 90; i++) expect(pool.put(oid, i * 70, zero)).toBe('stored');
        expect(round % 2 === 0 ? pool.flushObject(oid) : pool.flush()).toBe(90);
        expect(pool.get(oid, 0, out)).toBe(0);
        expect(pool.pages).toBe(0);
      }
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  test('an object of many thousand pages goes in steps, and can be walked while it grows', () => {
    withStore({ memory: '16 MiB' }, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('p', { kind: 'persistent' });
      const random = seededRandom(3);
      const indexes = new Set<number>();
      for (let i = 0; i < 12_000; i++) {
        const index = i % 3 === 0 ? random(2 ** 32) : i;
        indexes.add(index);
        expect(pool.put(oid, index, zero)).toBe('stored');
      }
      const walked = [...pool.walk()].map(({ index }) => index);
      expect(walked.length).toBe(indexes.size);
      expect(walked.every((index, i) => i === 0 || index > walked[i - 1]!)).toBe(true);
      expect(pool.flushObject(oid)).toBe(indexes.size);
      expect([...pool.walk()]).toEqual([]);
      drain(small);
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });
});

describe('a full store', () => {
  test('opens a client and a pool by evicting ephemeral pages, and says so when there are none', () => {
    withStore({}, (small) => {
      const first = small.store.client('first');
      const cache = first.pool('cache', { kind: 'ephemeral' });
      const ballast = fillUp(small, 30);
      for (let i = 0; freeFrames(small.arenas) > 0; i++) cache.put(oid, i, numbered(i, 3000));
      const second = small.store.client('second');
      const pool = second.pool('pool', { kind: 'persistent', pam: 'raw' });
      for (let i = 0; pool.put(oid, i, zero) === 'stored'; i++) expect(i).toBeLessThan(60);
      expect(cache.pages).toBe(0);
      expect(() => small.store.client('third')).toThrow(
        expect.objectContaining({ code: 'TMEM_ERR_NO_MEMORY' }),
      );
      expect(() => second.pool('more', { kind: 'ephemeral' })).toThrow(
        expect.objectContaining({ code: 'TMEM_ERR_NO_MEMORY' }),
      );
      expectAccounted(small);
      expectNothingLeft(small, [first, second, ballast]);
    });
  });

  test.each(['zbud', 'zv', 'raw'] as const)(
    'reclaim of %s in the middle of a range from staging touches neither pages nor outcomes',
    (pam) => {
      withStore({}, (small) => {
        const client = small.store.client('c');
        const pool = client.pool('e', { kind: 'ephemeral', pam });
        fillUp(small, 60);
        const pages = small.store.staging.subarray(0, 8 * PAGE_BYTES);
        for (let at = 0; at < 400; at += 8) {
          for (let i = 0; i < 8; i++) pages.set(numbered(at + i, 1500), i * PAGE_BYTES);
          const outcomes: PutOutcome[] = [];
          expect(pool.putRange(oid, at, pages, outcomes)).toBe(8);
          expect(outcomes).toEqual(Array(8).fill('stored'));
          const lengths: number[] = [];
          pages.fill(0);
          expect(pool.getRange(Oid.fromNumbers(99), at, pages, lengths)).toBe(0);
          expect(lengths).toEqual(Array(8).fill(0));
        }
        for (const { index } of pool.walk()) {
          expect(pool.getAndKeep(oid, index, out)).toBe(PAGE_BYTES);
          expect(Buffer.compare(out, numbered(index, 1500))).toBe(0);
        }
        expectAccounted(small);
      });
    },
  );

  test.each(['zbud', 'zv', 'raw'] as const)(
    'a client at a tiny cap loses no frame of %s to its own puts',
    (pam) => {
      withStore({}, (small) => {
        for (let cap = 3; cap < 14; cap++) {
          const client = small.store.client('c', { cap: cap * FRAME_BYTES });
          const pool = client.pool('e', { kind: 'ephemeral', pam });
          for (let i = 0; i < 60; i++) {
            const outcome = pool.put(Oid.fromNumbers(i % 9), (i * 65) % 700, numbered(i, (i * 211) % 2500));
            expect(['stored', 'over-cap', 'compresses-poorly']).toContain(outcome);
            expect(client.stats().frames.curr_frames).toBeLessThanOrEqual(cap);
          }
          expectAccounted(small);
          small.store.shrink(1000);
          expect(pool.pages).toBe(0);
          expectNothingLeft(small, [client]);
        }
      });
    },
  );
});

describe('after churn', () => {
  test('of all kinds of pools everything is back to zero', () => {
    withStore({ incompressible: 'store' }, (small) => {
      const random = seededRandom(11);
      const clients = ['a', 'b', 'c'].map((name) => small.store.client(name));
      const pools = clients.flatMap((client) =>
        (['zbud', 'zv', 'raw'] as const).flatMap((pam) => [
          client.pool(`e ${pam}`, { kind: 'ephemeral', pam }),
          client.pool(`p ${pam}`, { kind: 'persistent', pam }),
        ]),
      );
      for (let i = 0; i < 12_000; i++) {
        const pool = pools[random(pools.length)]!;
        const id = Oid.fromNumbers(random(12));
        const index = random(3) === 0 ? random(2 ** 32) : random(200);
        if (random(4) === 0) pool.getAndFree(id, index, out);
        else if (random(40) === 0) pool.flushObject(id);
        else if (pool.kind === 'ephemeral' || pool.pages < 80) {
          expect(pool.put(id, index, random(5) === 0 ? zero : numbered(i, random(4096)))).toBe('stored');
        }
      }
      expect(small.store.stats().moves.evicted_zpages).toBeGreaterThan(0);
      expect(small.store.stats().store.locked_slots_max).toBeLessThanOrEqual(64);
      expectAccounted(small);
      expectNothingLeft(small, clients);
    });
  });
});
