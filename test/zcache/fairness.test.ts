// Who loses pages when memory is short: the client that is furthest above its share by weight, and of its pages the
// least recently used.

import { describe, expect, test } from 'vitest';
import { type Client, Oid, type Pool, type StoreOptions } from '../../src/index.ts';
import { seededRandom } from '../codec/sample-pages.ts';
import { numbered, PAGE_BYTES } from '../tmem/page-content.ts';
import { expectAccounted, FRAME_BYTES, fillUp, type SmallStore, withStore } from '../tmem/small-store.ts';

const oid = Oid.fromNumbers(3);
const out = new Uint8Array(PAGE_BYTES);
const FRAMES = 400;
const ROUNDS = 1500;
/** Some sizes, so that pages pair in zbud frames. */
const PAGES = Array.from({ length: 8 }, (_, i) => numbered(i, 900 + i * 150));

interface Putter {
  readonly client: Client;
  readonly pool: Pool;
  next: number;
}

function putter(
  { store }: SmallStore,
  name: string,
  weight: number,
  pam: 'zbud' | 'zv' | 'raw' = 'zbud',
): Putter {
  const client = store.client(name, { weight });
  return { client, pool: client.pool('e', { kind: 'ephemeral', pam }), next: 0 };
}

function putNext(putter: Putter, most = Number.POSITIVE_INFINITY): void {
  const page = PAGES[putter.next % PAGES.length]!;
  expect(putter.pool.put(oid, putter.next++ % most, page)).toBe('stored');
}

function frames({ client }: Putter): number {
  return client.stats().frames.curr_frames;
}

describe('shares of the memory', () => {
  test.each([
    { weights: [100, 300], pams: ['zbud', 'zbud'] },
    { weights: [100, 100], pams: ['zbud', 'zv'] },
    { weights: [1, 9], pams: ['zv', 'zv'] },
    { weights: [200, 100, 100], pams: ['zbud', 'raw', 'zv'] },
    { weights: [1_000_000, 250_000], pams: ['raw', 'zbud'] },
  ] as const)('follow the weights $weights within a tenth ($pams)', ({ weights, pams }) => {
    withStore({}, (small) => {
      const putters = weights.map((weight, i) => putter(small, `client ${i}`, weight, pams[i]!));
      fillUp(small, FRAMES);
      const before = putters.reduce((sum, each) => sum + frames(each), 0);
      for (let i = 0; i < ROUNDS; i++) for (const each of putters) putNext(each);
      const total = FRAMES + before;
      const weightSum = weights.reduce<number>((sum, weight) => sum + weight, 0);
      for (const [i, each] of putters.entries()) {
        const share = (total * weights[i]!) / weightSum;
        expect(frames(each)).toBeGreaterThan(share - total / 10);
        expect(frames(each)).toBeLessThan(share + total / 10);
      }
      expectAccounted(small);
    });
  });

  test('do not depend on how eager a client is', () => {
    withStore({}, (small) => {
      const [calm, eager] = [putter(small, 'calm', 100), putter(small, 'eager', 100)];
      fillUp(small, FRAMES);
      for (let i = 0; i < ROUNDS; i++) {
        putNext(calm);
        for (let n = 0; n < 5; n++) putNext(eager);
      }
      expect(frames(calm) / frames(eager)).toBeGreaterThan(0.8);
      expect(frames(calm) / frames(eager)).toBeLessThan(1.25);
    });
  });

  test('that are not used go to whoever uses them, and come back', () => {
    withStore({}, (small) => {
      const [small1, large] = [putter(small, 'small', 100), putter(small, 'large', 100)];
      fillUp(small, FRAMES);
      for (let i = 0; i < 20; i++) putNext(small1);
      for (let i = 0; i < ROUNDS; i++) putNext(large);
      expect(small1.pool.pages).toBe(20); // below its share: nothing of it is evicted
      expect(frames(large)).toBeGreaterThan(FRAMES * 0.8);
      for (let i = 0; i < ROUNDS; i++) putNext(small1);
      expect(frames(small1) / frames(large)).toBeGreaterThan(0.8);
    });
  });

  test('change with setWeight', () => {
    withStore({}, (small) => {
      const [a, b] = [putter(small, 'a', 100), putter(small, 'b', 100)];
      fillUp(small, FRAMES);
      const both = () => {
        for (let i = 0; i < ROUNDS; i++) {
          putNext(a);
          putNext(b);
        }
      };
      both();
      expect(Math.abs(frames(a) - frames(b))).toBeLessThan(FRAMES / 5);
      a.client.setWeight(400);
      both();
      expect(frames(a) / frames(b)).toBeGreaterThan(3);
    });
  });

  test('a cap holds whatever the weight, and the rest is for the others', () => {
    withStore({}, (small) => {
      const [capped, free] = [putter(small, 'capped', 1000), putter(small, 'free', 1)];
      capped.client.setCap(50 * FRAME_BYTES);
      fillUp(small, FRAMES);
      for (let i = 0; i < ROUNDS; i++) {
        putNext(capped);
        putNext(free);
        expect(frames(capped)).toBeLessThanOrEqual(50);
      }
      expect(frames(free)).toBeGreaterThan(FRAMES - 50 - 20);
      expect(capped.client.stats().reclaim.eph_ate_tail).toBeGreaterThan(0);
    });
  });

  test('a client with persistent pages only loses none, whatever its weight', () => {
    withStore({}, (small) => {
      const keeper = small.store.client('keeper', { weight: 1 });
      const kept = keeper.pool('p', { kind: 'persistent' });
      const other = putter(small, 'other', 1_000_000);
      fillUp(small, FRAMES);
      for (let i = 0; i < 150; i++) expect(kept.put(oid, i, numbered(i, 1500))).toBe('stored');
      for (let i = 0; i < ROUNDS; i++) putNext(other);
      small.store.shrink(10_000);
      expect(other.pool.pages).toBe(0);
      for (let i = 0; i < 150; i++) {
        expect(kept.get(oid, i, out)).toBe(PAGE_BYTES);
        expect(Buffer.compare(out, numbered(i, 1500))).toBe(0);
      }
      expect(keeper.stats().reclaim.evicted_zpages).toBe(0);
      expectAccounted(small);
    });
  });
});

describe('the order of reclaim', () => {
  const PAMS = ['zbud', 'zv', 'raw'] as const;

  test.each(PAMS)('pages that are used again and again survive in %s', (pam) => {
    withStore({}, (small) => {
      const { pool, ...rest } = putter(small, 'c', 100, pam);
      fillUp(small, FRAMES);
      const each = { pool, ...rest };
      const often = Array.from({ length: 10 }, (_, i) => i);
      for (let i = 0; i < 10; i++) putNext(each);
      for (let i = 0; i < ROUNDS; i++) {
        putNext(each);
        for (const index of often) pool.getAndKeep(oid, index, out);
      }
      const survivors = often.filter((index) => pool.getAndKeep(oid, index, out) > 0);
      expect(survivors.length).toBeGreaterThanOrEqual(9);
      expect(pool.stats().moves.evicted_zpages).toBeGreaterThan(ROUNDS / 4);
    });
  });

  test.each(PAMS)('without use the oldest pages of %s go first', (pam) => {
    withStore({}, (small) => {
      const each = putter(small, 'c', 100, pam);
      fillUp(small, FRAMES);
      // All of them several times: zv's hand goes by place, and frames are filled in its order once it has been round.
      const puts = 2 * ROUNDS;
      for (let i = 0; i < puts; i++) putNext(each);
      const there = [...each.pool.walk()].map(({ index }) => index);
      const younger = there.filter((index) => index >= puts - there.length - 60);
      expect(younger.length / there.length).toBeGreaterThan(0.9);
    });
  });

  test("'unbuddied-first' takes half-filled zbud frames before any full one", () => {
    const options: Partial<StoreOptions> = { reclaimOrder: 'unbuddied-first' };
    withStore(options, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('e', { kind: 'ephemeral' });
      for (let i = 0; i < 20; i++) expect(pool.put(oid, i, numbered(i, 1500))).toBe('stored'); // two a frame
      for (let i = 20; i < 30; i++) expect(pool.put(oid, i, numbered(i, 3000))).toBe('stored'); // one a frame
      small.store.shrink(10);
      const there = [...pool.walk()].map(({ index }) => index).sort((a, b) => a - b);
      expect(there).toEqual(Array.from({ length: 20 }, (_, i) => i));
      expect(client.stats().reclaim).toMatchObject({
        evicted_unbuddied_pages: 10,
        evicted_buddied_pages: 0,
        evicted_raw_pages: 10,
        evicted_zpages: 10,
      });
      expectAccounted(small);
    });
  });

  test("'lru' takes the frame that was used least recently, half-filled or not", () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('e', { kind: 'ephemeral' });
      for (let i = 0; i < 20; i++) expect(pool.put(oid, i, numbered(i, 1500))).toBe('stored');
      for (let i = 20; i < 30; i++) expect(pool.put(oid, i, numbered(i, 3000))).toBe('stored');
      small.store.shrink(5);
      const there = [...pool.walk()].map(({ index }) => index).sort((a, b) => a - b);
      expect(there).toEqual(Array.from({ length: 20 }, (_, i) => i + 10));
      expect(client.stats().reclaim).toMatchObject({ evicted_unbuddied_pages: 0, evicted_buddied_pages: 5 });
    });
  });

  test('shrink frees what it says, until nothing ephemeral is left', () => {
    withStore({}, (small) => {
      const { store } = small;
      const each = putter(small, 'c', 100);
      const random = seededRandom(7);
      for (let i = 0; i < 300; i++) putNext(each);
      for (let asked = random(12); each.pool.pages > 0; asked = 1 + random(12)) {
        const before = store.stats().store.frames_free;
        const { freed, remaining } = store.shrink(asked);
        expect(store.stats().store.frames_free).toBeGreaterThanOrEqual(before + freed);
        expect(freed + remaining).toBeGreaterThanOrEqual(asked);
      }
      expect(store.shrink(1)).toEqual({ freed: 0, remaining: 1 });
      expectAccounted(small);
    });
  });
});
