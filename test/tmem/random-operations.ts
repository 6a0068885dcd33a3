// Random operations: what fast-check makes up for the model test. operations.ts does them.

import fc from 'fast-check';
import { Oid } from '../../src/index.ts';
import { anyContent, PAGE_BYTES } from './page-content.ts';

/** Neighbours, both ends, and the borders of every level of the index. */
const INDEXES = [
  ...[0, 1, 2, 3, 4, 5, 6, 7, 62, 63, 64, 65, 66, 4094, 4095, 4096, 4097],
  ...[262_143, 262_144, 2 ** 24, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32 - 9, 2 ** 32 - 1],
];
/** Pages of a range; the highest index that a range may start with follows. */
const RANGE_PAGES_MAX = 8;
export const RANGE_FIRST_MAX = 2 ** 32 - RANGE_PAGES_MAX;

export const OIDS = [0, 1, 2].map((n) => Oid.fromNumbers(n, n * 7));

const handle = {
  pool: fc.nat(),
  oid: fc.constantFrom(...OIDS),
  index: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...INDEXES) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 100 }) },
  ),
};
const offset = fc.oneof(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: PAGE_BYTES }));
const range = {
  ...handle,
  pages: fc.integer({ min: 1, max: RANGE_PAGES_MAX }),
  /** Through the staging pages, a buffer of the caller's, or a call with a list of handles. */
  by: fc.constantFrom('staging' as const, 'buffer' as const, 'list' as const),
  keep: fc.boolean(),
};

const operation = fc.oneof(
  { weight: 14, arbitrary: fc.record({ op: fc.constant('put' as const), ...handle, page: anyContent }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constantFrom('get' as const, 'getAndKeep' as const, 'getAndFree' as const),
      ...handle,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('getShort' as const),
      ...handle,
      room: fc.integer({ min: 0, max: 4095 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('readAt' as const),
      ...handle,
      offset,
      room: fc.integer({ min: 0, max: PAGE_BYTES }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('writeAt' as const), ...handle, offset, page: anyContent }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('replace' as const), ...handle, page: anyContent }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('exchange' as const), ...handle, page: anyContent }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('flushPage' as const), ...handle }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flushObject' as const), ...handle }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('putRange' as const),
      ...range,
      content: fc.array(anyContent, { minLength: RANGE_PAGES_MAX, maxLength: RANGE_PAGES_MAX }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('getRange' as const), ...range }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('freeze' as const), store: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('setCodec' as const),
      ...handle,
      codec: fc.constantFrom('lz4' as const, 'lzo' as const, 'none' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('shrink' as const), frames: fc.integer({ min: 0, max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('walk' as const), ...handle }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('recover' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constantFrom('flush' as const, 'destroy' as const), ...handle }),
  },
);

/** fast-check shortens what it generates; a minimal size keeps the runs long enough to fill trees. */
export const operations = fc.array(operation, { minLength: 40, maxLength: 160, size: 'max' });
export type Operation = (typeof operations extends fc.Arbitrary<(infer T)[]> ? T : never) & object;
