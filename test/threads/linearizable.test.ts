// Threads on few handles of a small, full store: what each of them saw fits one order of all operations, for each
// handle.

import { describe, expect, test } from 'vitest';
import { open } from '../../src/index.ts';
import { contradiction } from './history.ts';
import { firstContradiction, operationsByHandle, tally } from './operation-log.ts';
import { runThreads } from './run-threads.ts';
import type { Mix, PoolPlan, WorkloadPlan } from './workload.ts';

interface Scenario {
  readonly name: string;
  readonly threads: number;
  readonly seeds: readonly number[];
  /** Operations logged by each thread. */
  readonly records: number;
  readonly debug: boolean;
  readonly mix: Mix;
  readonly pool: PoolPlan;
  readonly demoteTo?: PoolPlan;
  readonly pressure?: PoolPlan;
  /** Capped so that the client's own pages are evicted, or refused, all the time. */
  readonly cap?: string;
  /** Operations and results that must have happened, or the test tested nothing. */
  readonly expected: readonly string[];
}

const HANDLES = { objects: 2, indexes: 4 };
/** The client of the checked pages has next to no weight: whoever needs a frame takes theirs first. */
const VICTIM_WEIGHT = 1;

const everything: Mix = {
  ...{ put: 30, keep: 20, free: 6, flushPage: 6, flushObject: 2, flushPool: 1, exchange: 8 },
  ...{ shrink: 1, pressure: 12, neighbour: 8 },
};
const inParts: Mix = { ...everything, writeAt: 20, readAt: 10, free: 3, flushPage: 3 };
const common = ['put yes', 'keep yes', 'keep no', 'free yes', 'free no', 'flushPage yes', 'flushPage no'];
const pressure: PoolPlan = { client: 'pressure', kind: 'ephemeral' };

const scenarios: Scenario[] = [
  {
    name: 'ephemeral zbud pages, evicted all the time',
    ...{ threads: 4, seeds: [1, 2], records: 12_000, debug: false, mix: everything },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    pressure,
    expected: [...common, 'flushObject yes', 'flushPool yes', 'exchange yes', 'put no'],
  },
  {
    name: 'ephemeral zv pages, evicted all the time',
    ...{ threads: 4, seeds: [3, 4], records: 12_000, debug: false, mix: everything },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zv', codec: 'lzo' },
    pressure,
    expected: [...common, 'flushObject yes', 'flushPool yes', 'exchange yes'],
  },
  {
    name: 'ephemeral pages of one client with the pressure, at its cap',
    ...{ threads: 3, seeds: [5], records: 12_000, debug: false, mix: everything, cap: '160 KiB' },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    pressure: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    expected: [...common, 'exchange yes'],
  },
  {
    name: 'persistent zv pages beside a full ephemeral pool',
    ...{ threads: 4, seeds: [6, 7], records: 12_000, debug: false, mix: everything },
    pool: { client: 'checked', kind: 'persistent', pam: 'zv' },
    pressure,
    expected: [...common, 'flushObject yes', 'flushPool yes', 'exchange yes'],
  },
  {
    name: 'persistent pages at the cap of their client, refused often',
    ...{ threads: 4, seeds: [8], records: 12_000, debug: false, mix: everything, cap: '44 KiB' },
    pool: { client: 'checked', kind: 'persistent', pam: 'zbud' },
    pressure,
    expected: [...common, 'put no', 'exchange no'],
  },
  {
    name: 'parts of ephemeral pages',
    ...{ threads: 4, seeds: [9, 10], records: 12_000, debug: false, mix: inParts },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    pressure,
    expected: [...common, 'writeAt yes', 'writeAt miss', 'readAt yes', 'readAt no'],
  },
  {
    name: 'parts of persistent pages at the cap of their client',
    ...{ threads: 4, seeds: [11], records: 12_000, debug: false, mix: inParts, cap: '44 KiB' },
    pool: { client: 'checked', kind: 'persistent', pam: 'zv' },
    pressure,
    expected: [...common, 'writeAt yes', 'writeAt no', 'readAt yes', 'exchange no'],
  },
  {
    name: 'raw pages that fall into a compressed pool',
    ...{ threads: 3, seeds: [12], records: 12_000, debug: false, mix: { ...everything, neighbour: 30 } },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'raw', limit: 12 },
    demoteTo: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    pressure,
    expected: common,
  },
  {
    name: 'ephemeral pages in the build with assertions',
    ...{ threads: 3, seeds: [13], records: 5000, debug: true, mix: everything },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
    pressure,
    expected: common,
  },
  {
    name: 'parts of persistent pages in the build with assertions',
    ...{ threads: 2, seeds: [14], records: 5000, debug: true, mix: inParts, cap: '44 KiB' },
    pool: { client: 'checked', kind: 'persistent', pam: 'zv' },
    pressure,
    expected: ['put yes', 'writeAt yes', 'readAt yes'],
  },
];

describe.each(scenarios)('$name', (scenario) => {
  test.each(scenario.seeds)('every handle has one history for all threads (seed %i)', async (seed) => {
    const { threads, records, debug, mix, pool } = scenario;
    using store = open({ memory: '8 MiB', threads: threads + 1, pools: 16, clients: 8, debug });
    store.client(pool.client, { weight: VICTIM_WEIGHT, cap: scenario.cap });
    const plan: WorkloadPlan = {
      ...{ seed, handles: HANDLES, mix, pool },
      ...{ demoteTo: scenario.demoteTo, pressure: scenario.pressure },
    };
    const { logs, cold } = await runThreads(store, plan, threads, records);
    expect(firstContradiction(logs, HANDLES, { ephemeral: pool.kind === 'ephemeral' })).toBeUndefined();
    const done = tally(logs);
    expect(Object.keys(done)).toEqual(expect.arrayContaining([...scenario.expected]));
    expect(done['put unknown'] ?? 0).toBe(0);
    if (scenario.demoteTo !== undefined) expect(cold).toBeGreaterThan(0);
    if (pool.kind === 'ephemeral') {
      // Pages did vanish: as a pool that must keep them, this one broke its word.
      const histories = operationsByHandle(logs, HANDLES);
      expect(histories.some((one) => contradiction(one, { ephemeral: false }) !== undefined)).toBe(true);
    }
    expect(store.stats().store.lock_timeouts).toBe(0);
  });
});
