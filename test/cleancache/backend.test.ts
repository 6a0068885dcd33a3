// The rules that every backend of cleancache keeps, whatever the pages lie in.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CleancacheBackend,
  type CleancachePool,
  MapCleancacheBackend,
  ZcacheCleancacheBackend,
} from '../../src/cleancache/index.ts';
import { Oid, open } from '../../src/zcache/index.ts';

interface Bench {
  backend: CleancacheBackend;
  end(): void;
}

const benches: Record<string, () => Bench> = {
  Maps: () => ({ backend: new MapCleancacheBackend(), end() {} }),
  zcache: () => {
    const store = open({ memory: '16 MiB', debug: true });
    return { backend: new ZcacheCleancacheBackend(store), end: () => store.close() };
  },
};

const key = Oid.fromNumbers(7);
const uuid = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';

function page(fill: number, length = 4096): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i % 16 === 0 ? fill : i));
}

describe.each(Object.keys(benches))('a backend of %s', (name) => {
  let bench: Bench;
  let pool: CleancachePool;
  const out = new Uint8Array(4096);

  beforeEach(() => {
    bench = benches[name]!();
    pool = bench.backend.initFs('pages');
  });
  afterEach(() => bench.end());

  test('gives a page back once, with its exact length', () => {
    expect(pool.put(key, 3, page(1, 1234))).toBe(true);
    expect(pool.get(key, 3, out)).toBe(1234);
    expect(out.subarray(0, 1234)).toEqual(page(1, 1234));
    expect(pool.get(key, 3, out)).toBe(0);
  });

  test('gives the page put last', () => {
    pool.put(key, 3, page(1));
    pool.put(key, 3, page(2));
    expect(pool.get(key, 3, out)).toBe(4096);
    expect(out).toEqual(page(2));
  });

  test('finds nothing after a flush of the page, of the object, of the pool', () => {
    for (const flush of [() => pool.flushPage(key, 1), () => pool.flushObject(key), () => pool.flush()]) {
      pool.put(key, 1, page(1));
      expect(Number(flush())).toBe(1);
      expect(pool.get(key, 1, out)).toBe(0);
      expect(Number(flush())).toBe(0);
    }
  });

  test('keeps objects and pools apart', () => {
    const other = bench.backend.initFs('others');
    pool.put(key, 1, page(1));
    expect(other.get(key, 1, out)).toBe(0);
    expect(pool.get(Oid.fromNumbers(8), 1, out)).toBe(0);
    expect(pool.get(key, 1, out)).toBe(4096);
  });

  test('finds a pool again by its name', () => {
    pool.put(key, 1, page(1));
    expect(bench.backend.initFs('pages').get(key, 1, out)).toBe(4096);
  });

  test('answers a range as the gets of its pages', () => {
    pool.put(key, 10, page(10));
    pool.put(key, 12, page(12));
    const range = new Uint8Array(4 * 4096);
    const lengths: number[] = [];
    expect(pool.getRange(key, 9, range, lengths)).toBe(2);
    expect(lengths).toEqual([0, 4096, 0, 4096]);
    expect(range.subarray(4096, 8192)).toEqual(page(10));
    expect(range.subarray(3 * 4096)).toEqual(page(12));
    expect(pool.get(key, 10, out)).toBe(0);
  });

  test('keeps pages of a shared pool through gets', () => {
    const shared = bench.backend.initSharedFs(uuid);
    shared.put(key, 1, page(1));
    expect(shared.get(key, 1, out)).toBe(4096);
    expect(bench.backend.initSharedFs(uuid).get(key, 1, out)).toBe(4096);
  });

  test('keeps hot pages through gets, and moves the least recently used one down', () => {
    const hot = bench.backend.initHot('hot', 2, pool);
    hot.put(key, 1, page(1));
    hot.put(key, 2, page(2));
    expect(hot.get(key, 1, out)).toBe(4096);
    hot.put(key, 3, page(3));
    expect(hot.get(key, 2, out)).toBe(0);
    expect(hot.get(key, 1, out)).toBe(4096);
    expect(hot.get(key, 3, out)).toBe(4096);
    expect(pool.get(key, 2, out)).toBe(4096);
    expect(out).toEqual(page(2));
  });

  test('never gives another page than the one put last', () => {
    const operation = fc.record({
      what: fc.constantFrom('put', 'get', 'flushPage', 'flushObject', 'flush'),
      object: fc.nat(2),
      index: fc.constantFrom(0, 1, 63, 64, 4095, 0xffff_ffff),
      fill: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        pool.flush();
        const model = new Map<string, number>();
        for (const { what, object, index, fill } of operations) {
          const oid = Oid.fromNumbers(object);
          const place = `${object}/${index}`;
          if (what === 'put') {
            pool.put(oid, index, page(fill));
            model.set(place, fill);
          } else if (what === 'get') {
            const length = pool.get(oid, index, out);
            expect(length === 0 || (length === 4096 && model.has(place))).toBe(true);
            if (length > 0) expect(out).toEqual(page(model.get(place)!));
            model.delete(place);
          } else if (what === 'flushPage') {
            pool.flushPage(oid, index);
            model.delete(place);
          } else {
            if (what === 'flush') pool.flush();
            else pool.flushObject(oid);
            for (const held of model.keys()) {
              if (what === 'flush' || held.startsWith(`${object}/`)) model.delete(held);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
