import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Plan, pagesOf } from '../../src/cli/read/plan.ts';
import { RANGE_BYTES, REQUEST_BYTES, type Request, Sequence } from '../../src/cli/read/sequence.ts';

function planOf(sizes: readonly number[]): Plan {
  let pages = 0;
  const files = sizes.map((bytes, i) => {
    const file = { path: `file ${i}`, bytes, firstPage: pages };
    pages += pagesOf(bytes);
    return file;
  });
  return {
    files,
    pages,
    bytes: sizes.reduce((sum, each) => sum + each, 0),
    skipped: { count: 0, listed: [] },
  };
}

function take(sequence: Sequence, count: number): Request[] {
  return Array.from({ length: count }, () => sequence.next());
}

const sizes = fc.array(fc.integer({ min: 1, max: 5 * RANGE_BYTES }), { minLength: 1, maxLength: 30 });
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('the same seed gives the same requests, another seed or thread gives others', () => {
  const plan = planOf([10 * RANGE_BYTES, 3 * RANGE_BYTES]);
  const requests = take(new Sequence(plan, 7, 0, 0.9), 200);
  expect(take(new Sequence(plan, 7, 0, 0.9), 200)).toEqual(requests);
  expect(take(new Sequence(plan, 8, 0, 0.9), 200)).not.toEqual(requests);
  expect(take(new Sequence(plan, 7, 1, 0.9), 200)).not.toEqual(requests);
});

test('every request lies within its file, begins at a multiple of its size and is short only at the end', () => {
  fc.assert(
    fc.property(sizes, seeds, fc.double({ min: 0, max: 3, noNaN: true }), (files, seed, skew) => {
      for (const { file, position, length } of take(new Sequence(planOf(files), seed, 0, skew), 50)) {
        expect(position % REQUEST_BYTES).toBe(0);
        expect(length).toBeGreaterThan(0);
        expect(length === REQUEST_BYTES || position + length === files[file]).toBe(true);
        expect(position + length).toBeLessThanOrEqual(files[file]);
      }
    }),
  );
});

test('without skew every request of every file comes up', () => {
  const files = [1, REQUEST_BYTES + 1, RANGE_BYTES, 2 * RANGE_BYTES];
  const seen = new Set(
    take(new Sequence(planOf(files), 1, 0, 0), 2000).map((each) => `${each.file}:${each.position}`),
  );
  expect(seen.size).toBe(1 + 2 + 4 + 8);
});

test('frequencies follow the law: rank r is picked in proportion to 1 / (r + 1) ^ skew', () => {
  const ranges = 50;
  const picks = 100_000;
  const counts = new Array<number>(ranges).fill(0);
  for (const { position } of take(new Sequence(planOf([ranges * RANGE_BYTES]), 5, 0, 1), picks)) {
    counts[Math.floor(position / RANGE_BYTES)]++;
  }
  const harmonic = counts.reduce((sum, _, rank) => sum + 1 / (rank + 1), 0);
  const ranked = counts.toSorted((a, b) => b - a);
  for (const rank of [0, 1, 2, 9]) {
    const expected = picks / harmonic / (rank + 1);
    // Five standard deviations of a count.
    expect(Math.abs(ranked[rank] - expected)).toBeLessThan(5 * Math.sqrt(expected));
  }
});

test('threads agree on which ranges are popular', () => {
  const plan = planOf([100 * RANGE_BYTES]);
  const favourite = (thread: number) => {
    const counts = new Map<number, number>();
    for (const { position } of take(new Sequence(plan, 3, thread, 1.2), 3000)) {
      const range = Math.floor(position / RANGE_BYTES);
      counts.set(range, (counts.get(range) ?? 0) + 1);
    }
    return [...counts].sort(([, a], [, b]) => b - a)[0][0];
  };
  expect(favourite(1)).toBe(favourite(0));
});
