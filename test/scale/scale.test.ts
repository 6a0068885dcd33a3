// Millions: of pages, of objects, of pages in one object, of oids that somebody chose to make trouble.

import { describe, expect, test } from 'vitest';
import { Oid, open, type Store } from '../../src/index.ts';
import type { ClientPool } from '../../src/zcache/pool.ts';
import { smallPage } from './small-pages.ts';

const MILLION = 1_000_000;
const FRAME_BYTES = 4096;
/** Frames that a client without pages may hold: its own, its pool's, the control area of a zv heap. */
const EMPTY_FRAMES = 3;
/** The largest of these tests takes some 25 s on an idle machine. */
const TIMEOUT_MS = 180_000;

function expectPage(pool: ClientPool, oid: Oid, index: number, page: Uint8Array, out: Uint8Array): void {
  const length = pool.getAndKeep(oid, index, out);
  if (length === page.length && Buffer.compare(out.subarray(0, length), page) === 0) return;
  expect.fail(`page ${index} of ${oid}: ${length} bytes of ${page.length}, or other bytes`);
}

/** Puts help to free what was flushed: after enough of them nothing is left of it. */
function expectFreedByPuts(store: Store, client: string, frames: number): void {
  const pool = store.client(client).pool('helper', { kind: 'persistent' });
  const held = () => store.client(client).stats().frames.curr_frames;
  for (let puts = 0; held() > frames + 2 && puts < 200_000; puts += 1000) {
    for (let i = 0; i < 1000; i++) pool.put(Oid.fromNumbers(1), 0, smallPage(i));
    pool.flush();
  }
  pool.destroy();
  expect(held()).toBeLessThanOrEqual(frames + 1); // the helper's own frame goes later
}

test(
  'ten million small pages of real content in objects of all sizes are there, byte for byte',
  () => {
    using store = open({ memory: '768 MiB', threads: 2, stagingPages: 8 });
    const pool = store.client('scale').pool('pages', { kind: 'persistent', pam: 'zv' });
    const pages = 10 * MILLION;
    // Of 16 pages one is an object of its own, three go to objects of 12,288 pages and twelve to such of 49,152.
    const oidOf = (n: number): Oid => {
      if (n % 16 === 0) return Oid.fromNumbers(n, 1);
      return Oid.fromNumbers(n >>> 16, n % 16 < 4 ? 2 : 3);
    };
    let refused = 0;
    for (let n = 0; n < pages; n++) if (pool.put(oidOf(n), n, smallPage(n)) !== 'stored') refused++;
    expect(refused).toBe(0);
    expect(pool.pages).toBe(pages);
    expect(pool.stats().index.curr_obj_count).toBe(pages / 16 + 2 * Math.ceil(pages / 65_536));
    const out = new Uint8Array(FRAME_BYTES);
    for (let n = 7; n < pages; n += 11) expectPage(pool, oidOf(n), n, smallPage(n), out);
    expect(pool.getAndKeep(oidOf(1), 0, out)).toBe(0);
    pool.flush();
    expect(store.client('scale').stats().frames.curr_frames).toBeLessThanOrEqual(EMPTY_FRAMES);
  },
  TIMEOUT_MS,
);

describe('an object with a million pages', () => {
  test(
    'is read, flushed in one step, and its memory comes back bit by bit',
    () => {
      using store = open({ memory: '160 MiB', threads: 2 });
      const pool = store.client('scale').pool('pages', { kind: 'persistent', pam: 'zv' });
      const oid = Oid.fromNumbers(1);
      // Indexes with gaps, up to the largest.
      const indexOf = (n: number): number => (n < MILLION - 1 ? n * 3 + (n >>> 16) * 100_000 : 0xffff_ffff);
      for (let n = 0; n < MILLION; n++) pool.put(oid, indexOf(n), smallPage(n));
      expect(pool.pages).toBe(MILLION);
      const out = new Uint8Array(FRAME_BYTES);
      for (let n = 0; n < MILLION; n += 37) expectPage(pool, oid, indexOf(n), smallPage(n), out);

      const before = store.client('scale').stats().frames.curr_frames;
      expect(before).toBeGreaterThan(MILLION / 100);
      expect(pool.flushObject(oid)).toBe(MILLION);
      // It took a bounded number of steps: nearly all of the memory is still to be freed.
      expect(store.client('scale').stats().frames.curr_frames).toBeGreaterThan(before * 0.9);
      expect(pool.pages).toBe(0);
      expect(pool.getAndKeep(oid, indexOf(5), out)).toBe(0);
      // A new object of the same name, beside what is left of the old one.
      expect(pool.put(oid, 5, smallPage(8))).toBe('stored');
      expectFreedByPuts(store, 'scale', EMPTY_FRAMES + 3);
      expectPage(pool, oid, 5, smallPage(8), out);
      expect(pool.pages).toBe(1);
    },
    TIMEOUT_MS,
  );
});

describe('a million objects with one page', () => {
  test(
    'take memory for their pages and little else, and give it all back',
    () => {
      using store = open({ memory: '160 MiB', threads: 2 });
      const pool = store.client('scale').pool('pages', { kind: 'persistent', pam: 'zv' });
      for (let n = 0; n < MILLION; n++) pool.put(Oid.fromNumbers(n, 5), n, smallPage(n));
      const { content, index } = pool.stats();
      expect(content.curr_pages).toBe(MILLION);
      expect(index.curr_obj_count).toBe(MILLION);
      const out = new Uint8Array(FRAME_BYTES);
      for (let n = 0; n < MILLION; n += 37) expectPage(pool, Oid.fromNumbers(n, 5), n, smallPage(n), out);
      let flushed = 0;
      for (let n = 0; n < MILLION; n += 2) flushed += pool.flushObject(Oid.fromNumbers(n, 5));
      expect(flushed).toBe(MILLION / 2);
      expect(pool.pages).toBe(MILLION / 2);
      for (let n = 1; n < MILLION; n += 38) expectPage(pool, Oid.fromNumbers(n, 5), n, smallPage(n), out);
      expect(pool.flush()).toBe(MILLION / 2);
      expect(store.client('scale').stats().frames.curr_frames).toBeLessThanOrEqual(EMPTY_FRAMES);
    },
    TIMEOUT_MS,
  );
});

describe('oids chosen to make trouble', () => {
  const COUNT = 300_000;
  const patterns: [name: string, oidOf: (n: number) => Oid][] = [
    ['that count up', (n) => Oid.fromNumbers(n)],
    ['that differ in the highest bits only', (n) => Oid.fromNumbers(0, 0, BigInt(n) << 45n)],
    [
      'that are multiples of a large power of two',
      (n) => Oid.fromNumbers(BigInt(n) << 40n, 7, BigInt(n) << 32n),
    ],
    [
      'whose words cancel each other out',
      (n) => Oid.fromWords([n, n, ~n, ~n, Math.imul(n, 0x85eb_ca6b), -Math.imul(n, 0x85eb_ca6b)]),
    ],
    [
      'with few bits set',
      (n) => {
        const words = [0, 0, 0, 0, 0, 0];
        for (const bit of [n % 67, 67 + (Math.floor(n / 67) % 67), 134 + (Math.floor(n / 4489) % 58)]) {
          words[bit >>> 5]! |= 1 << (bit & 31);
        }
        words[5]! |= Math.floor(n / (4489 * 58)) << 28;
        return Oid.fromWords(words);
      },
    ],
  ];

  /** Puts, gets and flushes an object a oid; what it took, and how large the index was. */
  function run(oidOf: (n: number) => Oid): { nodes: number; ms: number } {
    using store = open({ memory: '64 MiB', threads: 2 });
    const pool = store.client('scale').pool('pages', { kind: 'persistent' });
    const zeroes = new Uint8Array(8);
    const out = new Uint8Array(FRAME_BYTES);
    const oids = Array.from({ length: COUNT }, (_, n) => oidOf(n));
    const start = performance.now();
    for (const [n, oid] of oids.entries()) {
      zeroes[0] = n;
      zeroes[1] = n >>> 8;
      zeroes[2] = n >>> 16;
      if (pool.put(oid, n, zeroes) !== 'stored') expect.fail(`page ${n} was refused`);
    }
    for (const [n, oid] of oids.entries()) {
      const length = pool.get(oid, n, out);
      if (length !== 8 || (out[0]! | (out[1]! << 8) | (out[2]! << 16)) !== n)
        expect.fail(`page ${n} is another`);
    }
    const ms = performance.now() - start;
    const { index, content } = pool.stats();
    expect(content.curr_pages).toBe(COUNT);
    expect(index.curr_obj_count).toBe(COUNT);
    for (const oid of oids) if (pool.flushObject(oid) !== 1) expect.fail(`${oid} was not there`);
    expect(pool.pages).toBe(0);
    return { nodes: index.curr_objnode_count, ms };
  }

  let state = 1;
  const draw = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0;
    return Math.imul(state ^ (state >>> 13), 0x297a_2d39);
  };
  const random = run(() => Oid.fromWords([draw(), draw(), draw(), draw(), draw(), draw()]));

  test.each(patterns)('%s spread like random ones', (name, oidOf) => {
    const { nodes, ms } = run(oidOf);
    console.log(`oids ${name}: ${(ms / random.ms).toFixed(2)} times as long as random ones`);
    expect(nodes / random.nodes).toBeGreaterThan(0.95);
    expect(nodes / random.nodes).toBeLessThan(1.05);
  });
});

describe('ephemeral pages without a frame, by the million, in 8 MiB', () => {
  const shapes: [name: string, place: (n: number) => [Oid, number]][] = [
    ['one an object', (n) => [Oid.fromNumbers(n), 0]],
    ['64 an object', (n) => [Oid.fromNumbers(n >>> 6), n & 63]],
    ['all in one object', (n) => [Oid.fromNumbers(1), n]],
    ['far apart in one object', (n) => [Oid.fromNumbers(1), Math.imul(n, 0x9e37_79b1) >>> 0]],
  ];
  const contents: [name: string, page: (n: number) => Uint8Array][] = [
    ['zeroes', () => new Uint8Array(FRAME_BYTES)],
    [
      'one repeated value',
      (() => {
        const page = new Uint32Array(FRAME_BYTES / 4);
        return (n: number) => {
          for (let i = 0; i < page.length; i += 2) page[i] = n | 0x100;
          return new Uint8Array(page.buffer);
        };
      })(),
    ],
  ];
  test.each(
    contents.flatMap(([content, page]) =>
      shapes.map(([shape, place]) => [content, shape, page, place] as const),
    ),
  )('%s, %s: all are taken, the oldest go, the bound holds', (content, _shape, page, place) => {
    using store = open({ memory: '8 MiB', threads: 2, pools: 16, clients: 8 });
    const pool = store.client('scale').pool('pages', { kind: 'ephemeral' });
    const out = new Uint8Array(FRAME_BYTES);
    const count = content === 'zeroes' ? MILLION : MILLION / 10;
    const zeroes = page(0);
    let refused = 0;
    for (let n = 0; n < count; n++) {
      const [oid, index] = place(n);
      if (pool.put(oid, index, content === 'zeroes' ? zeroes : page(n)) !== 'stored') refused++;
    }
    expect(refused).toBe(0);
    const { content: held, moves } = pool.stats();
    expect(held.curr_pages + moves.evicted_zpages).toBe(count);
    expect(held.curr_pages).toBeGreaterThan(1000);
    const { frames_free, frames_total, frames_fixed } = store.stats().store;
    expect(frames_free).toBeGreaterThanOrEqual(0);
    expect(store.client('scale').stats().frames.curr_frames_max).toBeLessThanOrEqual(
      frames_total - frames_fixed,
    );
    let found = 0;
    for (let n = count - 1; n >= 0; n--) {
      const [oid, index] = place(n);
      const length = pool.get(oid, index, out);
      if (length === 0) continue;
      found++;
      if (found % 97 === 0) expect(Buffer.compare(out.subarray(0, length), page(n))).toBe(0);
    }
    expect(found).toBe(held.curr_pages);
    expect(pool.pages).toBe(0);
  });

  test.each(shapes)('%s: no lock is held over more than 64 slots of the index', (_shape, place) => {
    using store = open({ memory: '8 MiB', threads: 2, pools: 16, clients: 8, debug: true });
    const pool = store.client('scale', { cap: '256 KiB' }).pool('pages', { kind: 'ephemeral' });
    const zeroes = new Uint8Array(FRAME_BYTES);
    for (let n = 0; n < 100_000; n++) {
      const [oid, index] = place(n);
      if (pool.put(oid, index, zeroes) !== 'stored') expect.fail(`page ${n} was refused`);
    }
    expect(pool.stats().moves.evicted_zpages).toBeGreaterThan(10_000);
    const { locked_slots_max } = store.stats().store;
    expect(locked_slots_max).toBeGreaterThan(1);
    expect(locked_slots_max).toBeLessThanOrEqual(64);
  });
});
