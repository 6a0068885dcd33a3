// Random operations on several pools of one small store, compared with a Map a pool.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Client, StoreOptions } from '../../src/index.ts';
import { PoolModel } from './model.ts';
import { type Bench, checkAll, perform } from './operations.ts';
import { type Operation, operations } from './random-operations.ts';
import { expectAccounted, expectNothingLeft, fillUp, type SmallStore, withStore } from './small-store.ts';

const UUIDS = ['f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf7'];

/** One pool of each sort that behaves differently. */
const POOLS = [
  { kind: 'ephemeral', pam: 'zbud', codec: 'lz4' },
  { kind: 'ephemeral', pam: 'zv', codec: 'lzo' },
  { kind: 'ephemeral', pam: 'raw' },
  { kind: 'ephemeral', pam: 'zbud', codec: 'lzo', shared: UUIDS[0] },
  { kind: 'persistent', pam: 'zv', codec: 'lz4' },
  { kind: 'persistent', pam: 'zbud', codec: 'lzo' },
  { kind: 'persistent', pam: 'raw' },
  { kind: 'persistent', pam: 'zv', codec: 'lzo', shared: UUIDS[1] },
  { kind: 'ephemeral', codec: 'none' },
  { kind: 'persistent', pam: 'zv', codec: 'none' },
] as const;

function benchOn(small: SmallStore, client: Client, tight: boolean): Bench {
  const reopen = (at: number) => {
    const pool = client.pool(`pool ${at}`, POOLS[at]!);
    expect(pool.pages).toBe(0);
    return new PoolModel(pool, tight);
  };
  return { small, client, tight, reopen, frozen: false, models: POOLS.map((_, at) => reopen(at)) };
}

function run(bench: Bench, list: readonly Operation[]): void {
  for (const op of list) perform(bench, op);
  checkAll(bench);
  expectAccounted(bench.small);
  checkAll(bench);
  // Whatever happened, there is no ephemeral page that reclaim cannot reach.
  bench.small.store.shrink(bench.small.freshFrames);
  for (const model of bench.models) model.doubt();
  for (const { pool } of bench.models) if (pool.kind === 'ephemeral') expect(pool.pages).toBe(0);
  checkAll(bench);
}

const ROOMY: Partial<StoreOptions>[] = [
  {},
  { incompressible: 'store' },
  { verify: false, reclaimOrder: 'unbuddied-first' },
  { memory: '24 MiB', arenas: 3 },
];

describe('a store with room for everything', () => {
  for (const [i, options] of ROOMY.entries()) {
    test(`does what maps would do, settings ${i}`, () => {
      fc.assert(
        fc.property(operations, (list) => {
          withStore(options, (small) => {
            const client = small.store.client('model');
            run(benchOn(small, client, false), list);
            small.store.thaw();
            expectNothingLeft(small, [client]);
          });
        }),
        { numRuns: 25, endOnFailure: true },
      );
    });
  }
});

describe('a store that is full', () => {
  test.each([24, 40, 80])('loses ephemeral pages only, and never lies, with %i frames', (frames) => {
    fc.assert(
      fc.property(operations, (list) => {
        withStore({ incompressible: frames === 40 ? 'store' : 'refuse' }, (small) => {
          const client = small.store.client('model');
          const bench = benchOn(small, client, true);
          const ballast = fillUp(small, frames);
          run(bench, list);
          small.store.thaw();
          expectNothingLeft(small, [client, ballast]);
        });
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });

  test('counts what a capped client may hold exactly, whatever it does', () => {
    fc.assert(
      fc.property(operations, fc.integer({ min: 16, max: 48 }), (list, cap) => {
        withStore({}, (small) => {
          const client = small.store.client('model', { cap: cap * 4096 });
          const bench = benchOn(small, client, true);
          for (const op of list) {
            perform(bench, op);
            expect(client.stats().frames.curr_frames).toBeLessThanOrEqual(cap);
          }
          run(bench, []);
          small.store.thaw();
          expectNothingLeft(small, [client]);
        });
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });
});
