// The rules by which the host refuses pages: too poorly compressed, over a limit, over the cap, frozen, no memory.

import { describe, expect, test } from 'vitest';
import { Oid, type Pool, type PutOutcome, type StoreOptions } from '../../src/index.ts';
import { halfNoise, noise, numbered, PAGE_BYTES } from '../tmem/page-content.ts';
import { expectAccounted, expectNothingLeft, FRAME_BYTES, fillUp, withStore } from '../tmem/small-store.ts';

const oid = Oid.fromNumbers(5);
const out = new Uint8Array(PAGE_BYTES);
const good = halfNoise(PAGE_BYTES, 600, 1);

function length(pool: Pool, index: number): number {
  return pool.getAndKeep(oid, index, out);
}

/** Puts numbered pages until one is refused; how many were stored and why it ended. */
function putUntilRefused(pool: Pool, bytes: number, most: number): { stored: number; outcome: PutOutcome } {
  for (let stored = 0; stored < most; stored++) {
    const outcome = pool.put(oid, stored, numbered(stored, bytes));
    if (outcome !== 'stored') return { stored, outcome };
  }
  return { stored: most, outcome: 'stored' };
}

describe('pages that compress poorly', () => {
  test.each([
    ['zbud', 3900, 4096],
    ['zv', 3400, 3700],
  ] as const)(
    '%s takes them up to its limit, refuses them above, and empties the handle',
    (pam, under, above) => {
      withStore({ zvMaxMeanBytes: 3584 }, (small) => {
        const client = small.store.client('c');
        for (const kind of ['ephemeral', 'persistent'] as const) {
          const pool = client.pool(kind, { kind, pam });
          expect(pool.put(oid, 0, halfNoise(PAGE_BYTES, under, 3))).toBe('stored');
          expect(pool.put(oid, 0, halfNoise(PAGE_BYTES, above, 3))).toBe('compresses-poorly');
          expect(length(pool, 0)).toBe(0);
          expect(pool.stats().refusals.compress_poor).toBe(1);
          expect(pool.stats().traffic.put_to_flush).toBe(1);
        }
        expectAccounted(small);
        expectNothingLeft(small, [client]);
      });
    },
  );

  test.each([1, 2, 20, 60, 1000])('zbud takes %i bytes of noise, which one frame holds', (bytes) => {
    withStore({}, (small) => {
      const pool = small.store.client('c').pool('p', { kind: 'ephemeral', pam: 'zbud' });
      expect(pool.put(oid, 0, noise(bytes, 4))).toBe('stored');
      expect(length(pool, 0)).toBe(bytes);
    });
  });

  test('zv refuses a page above the mean limit only while the mean is above it, too', () => {
    withStore({ zvMaxMeanBytes: 2000 }, (small) => {
      const pool = small.store.client('c').pool('p', { kind: 'persistent', pam: 'zv' });
      const poor = halfNoise(PAGE_BYTES, 3000, 2);
      expect(pool.put(oid, 0, poor)).toBe('stored'); // no mean yet
      expect(pool.put(oid, 1, poor)).toBe('compresses-poorly');
      expect(pool.stats().refusals).toMatchObject({ mean_compress_poor: 1, compress_poor: 0 });
      for (let i = 2; i < 6; i++) expect(pool.put(oid, i, good)).toBe('stored');
      expect(pool.put(oid, 1, poor)).toBe('stored'); // the mean is below
      // Refused when its turn comes, the handle is empty.
      for (let i = 10; pool.put(oid, i, poor) === 'stored'; i++) expect(i).toBeLessThan(40);
      expect(pool.put(oid, 0, poor)).toBe('compresses-poorly');
      expect(length(pool, 0)).toBe(0);
      expectAccounted(small);
    });
  });

  test('zvMaxPageBytes is where zv draws the line', () => {
    withStore({ zvMaxPageBytes: 1000, zvMaxMeanBytes: 1000 }, (small) => {
      const pool = small.store.client('c').pool('p', { kind: 'persistent' });
      expect(pool.put(oid, 0, halfNoise(PAGE_BYTES, 900, 2))).toBe('stored');
      expect(pool.put(oid, 1, halfNoise(PAGE_BYTES, 1100, 2))).toBe('compresses-poorly');
    });
  });

  test.each(['zbud', 'zv'] as const)("with incompressible: 'store' %s keeps them raw", (pam) => {
    withStore({ incompressible: 'store', zvMaxMeanBytes: 100 }, (small) => {
      const client = small.store.client('c');
      for (const kind of ['ephemeral', 'persistent'] as const) {
        const pool = client.pool(kind, { kind, pam });
        const frames = client.stats().frames.raw_curr_pages;
        for (let i = 0; i < 5; i++) expect(pool.put(oid, i, noise(PAGE_BYTES - i, i))).toBe('stored');
        expect(client.stats().frames.raw_curr_pages).toBe(frames + 5);
        for (let i = 0; i < 5; i++) {
          expect(length(pool, i)).toBe(PAGE_BYTES - i);
          expect(Buffer.compare(out.subarray(0, PAGE_BYTES - i), noise(PAGE_BYTES - i, i))).toBe(0);
        }
      }
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });
});

describe('the limit of persistent pages', () => {
  const percent = 1;
  const options: Partial<StoreOptions> = { persistentLimitPercent: percent };
  const limit = Math.floor((8 * 2 ** 20 * percent) / 100 / PAGE_BYTES);

  test('is exact over all pools and clients, and ephemeral pages do not count', () => {
    withStore(options, (small) => {
      const clients = ['a', 'b'].map((name) => small.store.client(name));
      const pools = clients.map((client) => client.pool('p', { kind: 'persistent' }));
      const other = clients[0]!.pool('e', { kind: 'ephemeral' });
      let stored = 0;
      for (let i = 0; i < 2 * limit; i++) {
        expect(other.put(oid, i, good)).toBe('stored');
        const outcome = pools[i % 2]!.put(oid, i, i % 3 === 0 ? new Uint8Array(PAGE_BYTES) : good);
        expect(outcome).toBe(i < limit ? 'stored' : 'over-limit');
        if (outcome === 'stored') stored++;
      }
      expect(stored).toBe(limit);
      expect(small.store.stats().refusals.policy_percent_exceeded).toBe(limit);
      // Each page that goes makes room for one.
      expect(pools[0]!.flushPage(oid, 0)).toBe(true);
      expect(pools[1]!.put(oid, 10_000, good)).toBe('stored');
      expect(pools[1]!.put(oid, 10_001, good)).toBe('over-limit');
      expectAccounted(small);
      expect(pools[1]!.put(oid, 10_001, good)).toBe('over-limit');
      expect(pools[0]!.flushObject(oid)).toBeGreaterThan(1);
      expect(pools[1]!.put(oid, 10_001, good)).toBe('stored');
      expectNothingLeft(small, clients);
    });
  });

  test('counts a page that is replaced, changed or exchanged once: a full store can be written to', () => {
    withStore(options, (small) => {
      const pool = small.store.client('a').pool('p', { kind: 'persistent' });
      for (let i = 0; i < limit; i++) expect(pool.put(oid, i, good)).toBe('stored');
      expect(pool.put(oid, 3, numbered(3, 500))).toBe('stored');
      expect(pool.writeAt(oid, 4, 100, noise(100, 1))).toBe('stored');
      expect(pool.exchange(oid, 5, numbered(5, 500), out).outcome).toBe('stored');
      expect(pool.pages).toBe(limit);
      expect(pool.put(oid, limit, good)).toBe('over-limit');
      expectAccounted(small);
    });
  });

  test('has room again as soon as a pool was destroyed', () => {
    withStore(options, (small) => {
      const client = small.store.client('a');
      const pool = client.pool('p', { kind: 'persistent' });
      for (let i = 0; i < limit; i++) expect(pool.put(oid, i, good)).toBe('stored');
      pool.destroy();
      const next = client.pool('q', { kind: 'persistent' });
      for (let i = 0; i < limit; i++) expect(next.put(oid, i, good)).toBe('stored');
      expect(next.put(oid, limit, good)).toBe('over-limit');
    });
  });
});

describe("a client's cap", () => {
  test.each(['persistent', 'ephemeral'] as const)('is never exceeded by %s pages', (kind) => {
    withStore({}, (small) => {
      const cap = 40;
      const client = small.store.client('c', { cap: cap * FRAME_BYTES });
      const pool = client.pool('p', { kind });
      for (let i = 0; i < 200; i++) {
        const outcome = pool.put(Oid.fromNumbers(i % 7), i, numbered(i, 1500));
        expect(client.stats().frames.curr_frames).toBeLessThanOrEqual(cap);
        if (kind === 'ephemeral') expect(outcome).toBe('stored');
        else expect(['stored', 'over-cap']).toContain(outcome);
      }
      const { over_cap, failed_pers_puts } = client.stats().refusals;
      if (kind === 'persistent') expect(over_cap).toBeGreaterThan(0);
      expect(failed_pers_puts).toBe(over_cap);
      expect(client.stats().cap_bytes).toBe(cap * FRAME_BYTES);
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });

  test('refuses an exchange that needs more index with the same reason as a put', () => {
    withStore({}, (small) => {
      const client = small.store.client('c', { cap: 6 * FRAME_BYTES });
      const pool = client.pool('p', { kind: 'persistent', pam: 'raw' });
      let index = 0;
      while (pool.put(oid, index, good) === 'stored') index++;
      expect(pool.put(oid, index, good)).toBe('over-cap');
      expect(pool.exchange(oid, index, good, out).outcome).toBe('over-cap');
      expectAccounted(small);
    });
  });

  test('when lowered evicts what is ephemeral at once, and keeps what is persistent', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const ephemeral = client.pool('e', { kind: 'ephemeral' });
      const persistent = client.pool('p', { kind: 'persistent' });
      for (let i = 0; i < 60; i++) {
        expect(ephemeral.put(oid, i, numbered(i, 1500))).toBe('stored');
        expect(persistent.put(oid, i, numbered(i, 1500))).toBe('stored');
      }
      client.setCap(50 * FRAME_BYTES);
      expect(client.stats().frames.curr_frames).toBeLessThanOrEqual(50);
      client.setCap(FRAME_BYTES);
      expect(ephemeral.pages).toBe(0);
      expect(persistent.pages).toBe(60);
      expect(persistent.put(oid, 0, numbered(0, 1500))).toBe('over-cap');
      client.setCap(null);
      expect(persistent.put(oid, 0, numbered(0, 1500))).toBe('stored');
      expectAccounted(small);
    });
  });
});

describe('freeze', () => {
  test.each(['store', 'client'] as const)('of the %s turns each put into a flush; the rest works', (what) => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const other = small.store.client('other').pool('p', { kind: 'ephemeral' });
      const pool = client.pool('p', { kind: 'persistent' });
      for (let i = 0; i < 4; i++) expect(pool.put(oid, i, good)).toBe('stored');
      const target = what === 'store' ? small.store : client;
      target.freeze();
      expect(pool.put(oid, 0, good)).toBe('frozen');
      expect(pool.put(oid, 9, good)).toBe('frozen');
      expect(pool.exchange(oid, 1, good, out)).toMatchObject({ length: PAGE_BYTES, outcome: 'frozen' });
      expect(pool.writeAt(oid, 2, 0, good)).toBe('frozen');
      expect([0, 1, 2, 3].map((i) => length(pool, i))).toEqual([0, 0, PAGE_BYTES, PAGE_BYTES]);
      expect(pool.flushPage(oid, 3)).toBe(true);
      expect(client.pool('q', { kind: 'ephemeral' }).put(oid, 0, good)).toBe('frozen');
      expect(other.put(oid, 0, good)).toBe(what === 'store' ? 'frozen' : 'stored');
      expect(pool.stats().refusals.frozen).toBe(4);
      expect(pool.stats().traffic.put_to_flush).toBe(2);
      expect(what === 'store' ? small.store.stats().frozen : client.stats().frozen).toBe(true);
      target.thaw();
      expect(length(pool, 0)).toBe(0);
      expect(pool.put(oid, 0, good)).toBe('stored');
      expectAccounted(small);
    });
  });
});

describe('no memory', () => {
  test.each(['zbud', 'zv', 'raw'] as const)(
    'persistent puts evict every ephemeral page (%s) before one is refused',
    (pam) => {
      withStore({ incompressible: 'store' }, (small) => {
        const eater = small.store.client('persistent');
        const client = small.store.client('ephemeral');
        const pool = eater.pool('p', { kind: 'persistent' });
        const food = client.pool('e', { kind: 'ephemeral', pam });
        fillUp(small, 120);
        for (let i = 0; i < 150; i++) expect(food.put(oid, i, numbered(i, 1500))).toBe('stored');
        expect(food.pages).toBeGreaterThan(80);
        const { stored, outcome } = putUntilRefused(pool, 1500, 1000);
        expect(outcome).toBe('no-memory');
        expect(food.pages).toBe(0);
        expect(small.store.stats().store.frames_free).toBe(0);
        // All that was accepted is there.
        for (let i = 0; i < stored; i++) {
          expect(length(pool, i)).toBe(PAGE_BYTES);
          expect(Buffer.compare(out, numbered(i, 1500))).toBe(0);
        }
        expect(eater.stats().reclaim.pers_ate_eph).toBeGreaterThan(0);
        expect(food.put(oid, 0, noise(2000, 1))).toBe('no-memory');
        expect(pool.stats().refusals.failed_get_free_pages + pool.stats().refusals.failed_alloc).toBe(1);
        expectAccounted(small);
      });
    },
  );

  test('a full ephemeral pool takes every put, by evicting older pages', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('e', { kind: 'ephemeral' });
      fillUp(small, 60);
      for (let i = 0; i < 400; i++) {
        expect(pool.put(oid, i, numbered(i, 1500))).toBe('stored');
        expect(length(pool, i)).toBe(PAGE_BYTES);
      }
      expect(pool.pages).toBeLessThan(130);
      expect(client.stats().reclaim.eph_ate_tail).toBeGreaterThan(0);
      expect(pool.stats().moves.evicted_zpages).toBe(400 - pool.pages);
      expectAccounted(small);
    });
  });

  test('zero pages by the thousand stay within the budget', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('e', { kind: 'ephemeral' });
      const zero = new Uint8Array(PAGE_BYTES);
      fillUp(small, 20);
      for (let i = 0; i < 6000; i++) {
        expect(pool.put(Oid.fromNumbers(i % 1500), Math.floor(i / 1500) * 1000, zero)).toBe('stored');
      }
      expect(pool.pages).toBeLessThan(6000);
      expect(client.stats().reclaim.evicted_inline_pages).toBeGreaterThan(0);
      expectAccounted(small);
    });
  });
});
