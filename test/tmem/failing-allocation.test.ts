// Memory exhausted at every single allocation: for each operation that needs memory, the first, second, ... n-th
// allocation fails, until it needs no more. Each time the refusal is clean.

import { describe, expect, test } from 'vitest';
import { Oid, type Pool, type PoolOptions, type PutOutcome } from '../../src/index.ts';
import { filled, halfNoise, noise, PAGE_BYTES, repeated } from './page-content.ts';
import {
  allocations,
  contents,
  drain,
  expectAccounted,
  expectNothingLeft,
  failAllocation,
  type SmallStore,
  withStore,
} from './small-store.ts';

const oid = Oid.fromNumbers(1);
const out = new Uint8Array(PAGE_BYTES);
/** More allocations than any operation needs; a test that gets here has lost count. */
const ALLOCATIONS_MAX = 200;

const POOLS: Record<string, Omit<PoolOptions, 'demoteTo'>> = {
  'ephemeral zbud': { kind: 'ephemeral', pam: 'zbud' },
  'ephemeral zv': { kind: 'ephemeral', pam: 'zv' },
  'ephemeral without a codec': { kind: 'ephemeral', codec: 'none' },
  'ephemeral raw': { kind: 'ephemeral', pam: 'raw' },
  'persistent zbud': { kind: 'persistent', pam: 'zbud' },
  'persistent zv': { kind: 'persistent', pam: 'zv' },
  'persistent without a codec': { kind: 'persistent', codec: 'none' },
  'persistent raw': { kind: 'persistent', pam: 'raw' },
};

const CONTENT: Record<string, Uint8Array> = {
  compressible: halfNoise(PAGE_BYTES, 500, 7),
  zero: filled(PAGE_BYTES, 0),
  'one repeated value': repeated(PAGE_BYTES, 7),
  incompressible: noise(PAGE_BYTES, 7),
  short: halfNoise(77, 20, 7),
};

interface Case {
  readonly options: Omit<PoolOptions, 'demoteTo'>;
  /** What is in the pool before. */
  readonly before: (pool: Pool) => void;
  /** The operation; its outcome. */
  readonly act: (pool: Pool) => PutOutcome | 'miss';
  /** What a refusal leaves: everything as it was, or the handle empty. */
  readonly refused: 'unchanged' | 'emptied';
  readonly index: number;
}

function trial(small: SmallStore, given: Case, n: number): boolean {
  const client = small.store.client('trial');
  const pool = client.pool('pages', given.options);
  given.before(pool);
  const pages = contents(small.store);
  const nodes = pool.stats().index.curr_objnode_count;
  const frames = client.stats().frames.curr_frames;
  failAllocation(small, n);
  const outcome = given.act(pool);
  const tried = allocations(small);
  failAllocation(small, 0);
  expect(tried).toBeLessThan(ALLOCATIONS_MAX);
  if (outcome === 'stored') {
    expect(contents(small.store).size).toBeGreaterThan(0);
  } else {
    expect(outcome).toBe('no-memory');
    expect(tried).toBeGreaterThanOrEqual(n);
    const key = `trial/pages/${oid}/${given.index}`;
    if (given.refused === 'emptied') pages.delete(key);
    drain(small);
    expect(contents(small.store)).toEqual(pages);
    if (given.refused === 'unchanged' || !pages.has(key)) {
      expect(pool.stats().index.curr_objnode_count, 'no half-built index').toBeLessThanOrEqual(nodes);
      // The heap's control frame, made on first use, stays.
      expect(client.stats().frames.curr_frames).toBeLessThanOrEqual(frames + 1);
    }
  }
  expectAccounted(small);
  expectNothingLeft(small, [client]);
  return tried >= n;
}

/** Fails the first allocation, then the second, ... until the operation does not come that far. */
function failEach(given: Case): number {
  return withStore({ incompressible: 'store' }, (small) => {
    let n = 1;
    while (trial(small, given, n)) n++;
    return n - 1;
  });
}

function putAll(pool: Pool, indexes: readonly number[], page: Uint8Array): void {
  for (const index of indexes) expect(pool.put(oid, index, page)).toBe('stored');
}

const upTo = (count: number, stride = 1): number[] => Array.from({ length: count }, (_, i) => i * stride);

/** Indexes that are there before, and the one that makes the tree grow. */
const GROWTH: Record<string, { there: number[]; index: number }> = {
  'a new object': { there: [], index: 3 },
  'a second page': { there: [0], index: 1 },
  'a leaf of 5 that is full': { there: upTo(5), index: 5 },
  'a leaf of 15 that is full': { there: upTo(15), index: 15 },
  'a leaf of 15 whose indexes lie far apart': { there: upTo(15, 2 ** 28), index: 7 },
  'a leaf of 15 whose indexes share high digits': {
    there: upTo(15).map((i) => 2 ** 31 + i),
    index: 2 ** 31 + 99,
  },
  'a root that must grow one level': { there: upTo(16), index: 64 },
  'a root that must grow to the top': { there: upTo(16), index: 2 ** 32 - 1 },
  'a leaf below a node that is full': { there: [...upTo(64), ...upTo(15).map((i) => 64 + i)], index: 100 },
};

describe('a put whose n-th allocation fails, for every n', () => {
  for (const [name, options] of Object.entries(POOLS)) {
    test.each(Object.keys(GROWTH))(`leaves nothing behind: ${name}, %s`, (growth) => {
      const { there, index } = GROWTH[growth]!;
      const least = failEach({
        options,
        before: (pool) => putAll(pool, there, CONTENT.compressible!),
        act: (pool) => pool.put(oid, index, CONTENT.compressible!),
        refused: 'emptied',
        index,
      });
      expect(least).toBeGreaterThan(0);
    });

    test.each(Object.keys(CONTENT))(`leaves nothing behind: ${name}, a page that is %s`, (content) => {
      const least = failEach({
        options,
        before: () => {},
        act: (pool) => pool.put(oid, 0, CONTENT[content]!),
        refused: 'emptied',
        index: 0,
      });
      expect(least).toBeGreaterThan(0);
    });

    test(`empties a handle that held a page: ${name}`, () => {
      failEach({
        options,
        before: (pool) => putAll(pool, upTo(20), CONTENT.zero!),
        act: (pool) => pool.put(oid, 3, CONTENT.incompressible!),
        refused: 'emptied',
        index: 3,
      });
    });
  }
});

describe('other operations whose n-th allocation fails, for every n', () => {
  for (const [name, options] of Object.entries(POOLS)) {
    test.each(Object.keys(CONTENT))(`a refused write at changes nothing: ${name}, %s before`, (content) => {
      failEach({
        options,
        before: (pool) => putAll(pool, [0, 1, 2], CONTENT[content]!),
        act: (pool) => pool.writeAt(oid, 1, 1000, noise(3096, 9)),
        refused: 'unchanged',
        index: 1,
      });
    });

    test(`a refused exchange returns the old page and empties the handle: ${name}`, () => {
      failEach({
        options,
        before: (pool) => putAll(pool, [0, 1, 2], CONTENT.compressible!),
        act: (pool) => {
          const { length, outcome } = pool.exchange(oid, 1, CONTENT.incompressible!, out);
          expect(length).toBe(PAGE_BYTES);
          expect(Buffer.compare(out, CONTENT.compressible!)).toBe(0);
          return outcome;
        },
        refused: 'emptied',
        index: 1,
      });
    });

    test(`a refused exchange on an empty handle leaves it empty: ${name}`, () => {
      failEach({
        options,
        before: (pool) => putAll(pool, upTo(5), CONTENT.compressible!),
        act: (pool) => {
          const { length, outcome } = pool.exchange(oid, 2 ** 20, CONTENT.compressible!, out);
          expect(length).toBe(0);
          return outcome;
        },
        refused: 'emptied',
        index: 2 ** 20,
      });
    });
  }

  test('a pool or client that cannot be made is an error and leaves nothing', () => {
    withStore({}, (small) => {
      failAllocation(small, 1);
      expect(() => small.store.client('a')).toThrow(expect.objectContaining({ code: 'TMEM_ERR_NO_MEMORY' }));
      failAllocation(small, 0);
      const client = small.store.client('a');
      failAllocation(small, 1);
      expect(() => client.pool('p', { kind: 'ephemeral' })).toThrow(
        expect.objectContaining({ code: 'TMEM_ERR_NO_MEMORY' }),
      );
      failAllocation(small, 0);
      expect(client.pool('p', { kind: 'ephemeral' }).put(oid, 0, out)).toBe('stored');
      expectAccounted(small);
      expectNothingLeft(small, [client]);
    });
  });
});
