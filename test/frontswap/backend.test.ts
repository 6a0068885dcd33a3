// The rules that every backend of frontswap keeps, whatever the pages lie in.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type FrontswapBackend,
  type FrontswapPool,
  MapFrontswapBackend,
  ZcacheFrontswapBackend,
} from '../../src/frontswap/index.ts';
import { Oid, open } from '../../src/zcache/index.ts';

interface Bench {
  backend: FrontswapBackend;
  /** From now on stores are refused. */
  refuse(): void;
  end(): void;
}

const benches: Record<string, () => Bench> = {
  Maps: () => {
    let refusing = false;
    return {
      backend: new MapFrontswapBackend(() => refusing),
      refuse: () => {
        refusing = true;
      },
      end() {},
    };
  },
  zcache: () => {
    const store = open({ memory: '16 MiB', debug: true });
    return {
      backend: new ZcacheFrontswapBackend(store),
      refuse: () => store.freeze(),
      end: () => store.close(),
    };
  },
};

const oid = Oid.fromNumbers(0x35);

function page(fill: number): Uint8Array {
  return Uint8Array.from({ length: 4096 }, (_, i) => (i % 16 === 0 ? fill : i));
}

describe.each(Object.keys(benches))('a backend of %s', (name) => {
  let bench: Bench;
  let pool: FrontswapPool;
  const out = new Uint8Array(4096);

  beforeEach(() => {
    bench = benches[name]!();
    pool = bench.backend.init(3);
  });
  afterEach(() => bench.end());

  test('keeps an accepted page through loads', () => {
    expect(pool.store(oid, 5, page(1))).toBe(true);
    for (let i = 0; i < 3; i++) {
      expect(pool.load(oid, 5, out.fill(0))).toBe(4096);
      expect(out).toEqual(page(1));
    }
  });

  test('gives the page away when asked to', () => {
    pool.store(oid, 5, page(1));
    expect(pool.loadAndFree(oid, 5, out)).toBe(4096);
    expect(out).toEqual(page(1));
    expect(pool.load(oid, 5, out)).toBe(0);
  });

  test('has the page stored last, and none after a refused store', () => {
    pool.store(oid, 5, page(1));
    pool.store(oid, 5, page(2));
    pool.load(oid, 5, out);
    expect(out).toEqual(page(2));
    bench.refuse();
    expect(pool.store(oid, 5, page(3))).toBe(false);
    expect(pool.load(oid, 5, out)).toBe(0);
  });

  test('invalidates a page, and an area', () => {
    for (const index of [0, 1, 0xffff_ffff]) pool.store(oid, index, page(index & 0xff));
    expect(pool.invalidatePage(oid, 1)).toBe(true);
    expect(pool.invalidatePage(oid, 1)).toBe(false);
    expect(pool.load(oid, 1, out)).toBe(0);
    expect(pool.load(oid, 0xffff_ffff, out)).toBe(4096);
    expect(pool.invalidateArea()).toBe(2);
    expect(pool.load(oid, 0, out)).toBe(0);
  });

  test('walks over what is there', () => {
    for (const index of [0, 7, 70_000]) pool.store(oid, index, page(1));
    pool.invalidatePage(oid, 7);
    const places = [...pool.walk()].map(({ oid: { w0 }, index }) => [w0, index]);
    expect(places.sort((a, b) => a[1]! - b[1]!)).toEqual([
      [0x35, 0],
      [0x35, 70_000],
    ]);
  });

  test('keeps areas apart, and finds them again', () => {
    pool.store(oid, 5, page(1));
    expect(bench.backend.init(4).load(oid, 5, out)).toBe(0);
    expect(bench.backend.init(3).load(oid, 5, out)).toBe(4096);
    expect(bench.backend.initMetadata().load(oid, 5, out)).toBe(0);
  });

  test('keeps short pages of metadata', () => {
    bench.backend.initMetadata().store(oid, 0, Uint8Array.of(1, 2, 3));
    expect(bench.backend.initMetadata().load(oid, 0, out)).toBe(3);
    expect(out.subarray(0, 3)).toEqual(Uint8Array.of(1, 2, 3));
  });
});
