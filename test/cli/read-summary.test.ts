import { expect, test } from 'vitest';
import { complaints, type ReadResult, summaryJson, summaryText } from '../../src/cli/read/summary.ts';
import { emptyTally, type Tally } from '../../src/cli/read/tally.ts';

const GOOD: Tally = {
  ...emptyTally(),
  ...{ operations: 100, bytes: 1_638_400, verifiedBytes: 1_638_400 },
  ...{ hotPages: 200, compressedPages: 100, sourcePages: 100, sourceBytes: 409_600 },
};

function result(more: Partial<ReadResult> = {}, tmemTally: Partial<Tally> = {}): ReadResult {
  return {
    ...{ files: 12, dataBytes: 96 * 2 ** 20, skipped: { count: 0, listed: [] } },
    ...{ memoryBytes: 16 * 2 ** 20, hotBytes: 4 * 2 ** 20, threads: 2, seed: 1, skew: 0.9, codec: 'lz4' },
    tmem: {
      ...{ elapsedMs: 2000, tally: { ...GOOD, ...tmemTally }, failures: [] },
      ...{ usedBytes: 15 * 2 ** 20, compressionRatio: 2.5 },
    },
    lru: { elapsedMs: 1000, tally: { ...GOOD, compressedPages: 0, sourcePages: 200 }, failures: [] },
    ...more,
  };
}

test('a clean run is called verified, in text and for machines', () => {
  expect(complaints(result())).toEqual([]);
  expect(summaryText(result())).toMatch(/Every byte was verified\.\n$/);
  expect(summaryJson(result())).toMatchObject({
    ok: true,
    complaints: [],
    tmem: { hitRatio: 0.75 },
    lru: { hitRatio: 0.5 },
  });
});

test.each([
  ['wrong bytes', { wrong: 1, verifiedBytes: 1_622_016 }, /1 reads returned bytes the file does not hold/],
  ['failed reads', { failed: 3 }, /3 reads failed/],
  ['unverified bytes', { verifiedBytes: 1_638_399 }, /1 of 1638400 bytes were not verified/],
  ['nothing read', { operations: 0, bytes: 0, verifiedBytes: 0 }, /nothing was read/],
])('%s are never called a success', (_, tally, message) => {
  const bad = result({}, tally);
  expect(complaints(bad).join('\n')).toMatch(message);
  expect(summaryText(bad)).toMatch(/FAILED:\n {2}tmem: /);
  expect(summaryText(bad)).not.toMatch(/Every byte was verified/);
  expect(summaryJson(bad)).toMatchObject({ ok: false });
});

test('columns are aligned', () => {
  const lines = summaryText(result()).split('\n');
  const from = lines.findIndex((line) => line.includes('LRU of Buffers'));
  const table = lines.slice(from, lines.indexOf('', from));
  expect(table.length).toBeGreaterThan(8);
  expect(new Set(table.map((line) => line.length))).toEqual(new Set([table[0].length]));
});

test('the terms of the comparison are stated', () => {
  expect(summaryText(result())).toMatch(/each of the 2 threads has its own LRU of 8 MiB/);
  expect(summaryText(result({ threads: 1 }))).toMatch(/The LRU has all of the memory to itself/);
  expect(summaryText(result())).not.toMatch(/The data fits/);
  expect(summaryText(result({ dataBytes: 2 ** 20 }))).toMatch(/The data fits into the memory/);
});

test('skipped files are counted and the first are named', () => {
  const skipped = {
    count: 21,
    listed: Array.from({ length: 20 }, (_, i) => ({ path: `/x/${i}`, reason: 'EACCES' })),
  };
  expect(summaryText(result({ skipped }))).toMatch(
    /21 files or directories were skipped[\s\S]*\/x\/19: EACCES\n.*1 more/,
  );
});
