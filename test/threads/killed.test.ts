// Threads are terminated at random moments, between operations and in the middle of them: the others go on, nothing
// stale is ever seen, what was acknowledged stays, and nothing leaks.

import { describe, expect, test } from 'vitest';
import { Arena } from '../../src/arena/index.ts';
import { open, type Store } from '../../src/index.ts';
import { KilledThreads } from './kill-threads.ts';
import { firstContradiction, type ThreadLog, tally } from './operation-log.ts';
import { accounts } from './quiet-store.ts';
import type { Mix, PoolPlan } from './workload.ts';

interface Scenario {
  readonly name: string;
  readonly seed: number;
  readonly threads: number;
  readonly rounds: number;
  readonly kills: number;
  readonly debug: boolean;
  readonly pool: PoolPlan;
  readonly demoteTo?: PoolPlan;
  readonly mix: Mix;
}

const HANDLES = { objects: 4, indexes: 5 };
/** Deaths at most that wait for one in the middle of an operation: far more than ever needed. */
const MORE_KILLS = 200;
const mix: Mix = {
  ...{ put: 30, keep: 15, free: 8, flushPage: 5, flushObject: 2, exchange: 8 },
  ...{ shrink: 1, pressure: 20, neighbour: 10 },
};
const pressure: PoolPlan = { client: 'pressure', kind: 'ephemeral' };

const scenarios: Scenario[] = [
  {
    name: 'persistent zv pages',
    ...{ seed: 21, threads: 4, rounds: 2, kills: 12, debug: false, mix },
    pool: { client: 'checked', kind: 'persistent', pam: 'zv' },
  },
  {
    name: 'parts of persistent zbud pages',
    ...{ seed: 22, threads: 4, rounds: 2, kills: 10, debug: false, mix: { ...mix, writeAt: 15, readAt: 8 } },
    pool: { client: 'checked', kind: 'persistent', pam: 'zbud' },
  },
  {
    name: 'ephemeral zbud pages, evicted all the time',
    ...{ seed: 23, threads: 4, rounds: 2, kills: 10, debug: false, mix: { ...mix, flushPool: 1 } },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'zbud' },
  },
  {
    name: 'raw pages that fall into a compressed pool',
    ...{ seed: 24, threads: 4, rounds: 2, kills: 10, debug: false, mix },
    pool: { client: 'checked', kind: 'ephemeral', pam: 'raw', limit: 12 },
    demoteTo: { client: 'checked', kind: 'ephemeral', pam: 'zv' },
  },
  {
    name: 'persistent zv pages in the build with assertions',
    ...{ seed: 25, threads: 4, rounds: 2, kills: 10, debug: true, mix },
    pool: { client: 'checked', kind: 'persistent', pam: 'zv' },
  },
];

/** Kinds of operations that a thread died in. */
function cutShort(logs: readonly ThreadLog[]): number {
  return Object.keys(tally(logs)).filter((name) => name.endsWith('cut short')).length;
}

/** A second view of the store's only arena, for what the public face does not do. */
function arenaOf(store: Store): Arena {
  const token = store.share() as unknown as { module: WebAssembly.Module; memories: WebAssembly.Memory[] };
  return Arena.attach(token.module, token.memories[0]!) as Arena;
}

describe.each(scenarios)('$name', (scenario) => {
  test('survive the threads that put them', async () => {
    const { seed, threads, rounds, kills, debug, pool, demoteTo } = scenario;
    using store = open({ memory: '8 MiB', threads: threads + 3, pools: 8, clients: 4, debug });
    store.client(pool.client, { weight: 1 });
    const killed = new KilledThreads(
      store,
      { ...{ seed, handles: HANDLES, mix: scenario.mix, pool, pressure }, demoteTo },
      threads,
    );
    const observer = arenaOf(store);
    try {
      for (let round = 0; round < rounds; round++) {
        await killed.start();
        while (killed.kills < kills * (round + 1) && killed.errors.length === 0)
          await killed.killSome(killed.kills % 3 === 2 ? 2 : 1);
        await killed.stop();
        expect(killed.errors).toEqual([]);

        killed.readAll();
        expect(
          firstContradiction(killed.logs, HANDLES, { ephemeral: pool.kind === 'ephemeral' }),
        ).toBeUndefined();
        expect(store.stats().store.threads_attached, 'every slot is free again').toBe(2);
        expect(observer.wasm.recoveryIsNeeded()).toBe(0);
        const quiet = accounts(store);
        observer.wasm.recoverNow(1, 1000);
        expect(accounts(store), 'a second recovery finds the same').toEqual(quiet);
      }
      // Where a thread stands when it dies is chance: some more die until one did in the middle of an operation.
      await killed.start();
      const most = killed.kills + MORE_KILLS;
      while (cutShort(killed.logs) === 0 && killed.kills < most && killed.errors.length === 0)
        await killed.killSome(1);
      await killed.stop();
      expect(killed.errors).toEqual([]);
    } finally {
      await killed.terminate();
    }
    expect(
      firstContradiction(killed.logs, HANDLES, { ephemeral: pool.kind === 'ephemeral' }),
    ).toBeUndefined();
    expect(cutShort(killed.logs), 'operations were cut short').toBeGreaterThan(0);
    // One for each round is the test's own.
    expect(store.stats().store.threads_recovered).toBeGreaterThan(rounds);
    store.client('checked').remove();
    store.client('pressure').remove();
    expect(accounts(store).used).toBe(0);
  });
});
