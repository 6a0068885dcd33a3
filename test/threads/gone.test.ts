// Pools, clients and objects that go while others use them.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Oid, open, type Store, TmemError } from '../../src/index.ts';
import type { GoneCounts, GoneTask } from './gone-worker.ts';
import { accounts } from './quiet-store.ts';

const USER = new URL('./gone-worker.ts', import.meta.url);
const TIMEOUT_MS = 40_000;
const PAGE = new Uint8Array(4096).map((_, i) => (i < 1500 ? (i * 7919) >>> 3 : i & 7));

/** Runs `work` in this thread while others use the pools of the client 'shaky'; what they met. */
async function whileUsed(
  store: Store,
  task: Pick<GoneTask, 'kind' | 'pam' | 'names'>,
  threads: number,
  work: () => void,
  rounds: number,
): Promise<GoneCounts> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const counts: GoneCounts = {};
  const workers = Array.from(
    { length: threads },
    (_, seed) =>
      new Worker(USER, { workerData: { ...task, store: store.share(), seed, stop } satisfies GoneTask }),
  );
  const errors: unknown[] = [];
  const exits = workers.map((worker) => {
    worker.on('error', (error) => errors.push(error));
    worker.on('message', (found: GoneCounts | 'ready') => {
      if (found === 'ready') return;
      for (const [name, count] of Object.entries(found)) counts[name] = (counts[name] ?? 0) + count;
    });
    return new Promise((resolve) => worker.once('exit', resolve));
  });
  try {
    const deadline = performance.now() + TIMEOUT_MS;
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (let round = 0; round < rounds && errors.length === 0; round++) {
      work();
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(performance.now(), 'nothing hangs').toBeLessThan(deadline);
    }
    Atomics.store(stop, 0, 1);
    await Promise.all(exits);
  } finally {
    Atomics.store(stop, 0, 1);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  expect(errors).toEqual([]);
  return counts;
}

function small(debug: boolean): Store {
  return open({ memory: '8 MiB', threads: 5, pools: 8, clients: 4, debug });
}

const kinds = [
  { kind: 'ephemeral', pam: 'zbud', debug: false },
  { kind: 'ephemeral', pam: 'raw', debug: false },
  { kind: 'persistent', pam: 'zv', debug: false },
  { kind: 'ephemeral', pam: 'zv', debug: true },
] as const;

describe.each(kinds)('while others use it ($kind, $pam, debug $debug)', ({ kind, pam, debug }) => {
  test('a pool is destroyed and made anew: its old name finds nothing, and no other pool', async () => {
    using store = small(debug);
    const names = ['x', 'y', 'z'];
    let round = 0;
    const destroyNext = () => {
      store
        .client('shaky')
        .pool(names[round++ % names.length]!, { kind, pam })
        .destroy();
    };
    const met = await whileUsed(store, { kind, pam, names }, 3, destroyNext, 150);
    expect(Object.keys(met)).toEqual(
      expect.arrayContaining(['stored', 'hit', 'miss', 'pool-gone', 'looked afterwards']),
    );
    store.client('shaky').remove();
    expect(accounts(store).used).toBe(0);
  });

  test('a client is removed and made anew', async () => {
    using store = small(debug);
    const removeIt = () => {
      try {
        store.client('shaky').remove();
      } catch (error) {
        // Somebody made a pool of it again at the same time.
        if (!TmemError.is(error) || (error.code !== 'TMEM_ERR_BUSY' && error.code !== 'TMEM_ERR_CLIENT_GONE'))
          throw error;
      }
    };
    const met = await whileUsed(store, { kind, pam, names: ['x', 'y'] }, 3, removeIt, 150);
    expect(Object.keys(met)).toEqual(expect.arrayContaining(['stored', 'hit', 'pool-gone']));
    removeIt();
    expect(accounts(store)).toEqual({ used: 0, clients: [] });
  });

  test('an object is flushed while it is put into and reclaimed', async () => {
    using store = small(debug);
    const pool = store.client('shaky').pool('x', { kind, pam });
    let round = 0;
    let flushed = 0;
    const flushNext = () => {
      flushed += pool.flushObject(Oid.fromNumbers(round++ % 4));
      store.shrink(4);
    };
    const met = await whileUsed(store, { kind, pam, names: ['x'] }, 3, flushNext, 200);
    expect(flushed).toBeGreaterThan(100);
    expect(Object.keys(met)).toEqual(expect.arrayContaining(['stored', 'hit', 'miss']));
    for (let object = 0; object < 4; object++) pool.flushObject(Oid.fromNumbers(object));
    expect(pool.pages).toBe(0);
    const { pages, bytes, objects, nodes, filled } = accounts(store).clients[0]!.pools[0]!;
    expect({ pages, bytes, objects, nodes, filled }).toEqual({
      pages: 0,
      bytes: 0,
      objects: 0,
      nodes: 0,
      filled: 0,
    });
    store.client('shaky').remove();
    expect(accounts(store).used).toBe(0);
  });
});

describe('pages of a pool that was destroyed', () => {
  test.each(['zbud', 'zv', 'raw'] as const)('are reclaimed before anyone freed them (%s)', (pam) => {
    using store = small(true);
    const client = store.client('a');
    const gone = client.pool('gone', { kind: 'ephemeral', pam });
    for (let object = 0; object < 900; object++) gone.put(Oid.fromNumbers(object), object, PAGE);
    gone.destroy();
    const pool = client.pool('pool', { kind: 'ephemeral', pam });
    for (let object = 0; object < 3000; object++) {
      expect(pool.put(Oid.fromNumbers(object), 1, PAGE)).toBe('stored');
    }
    expect(store.shrink(100_000).freed).toBeGreaterThan(100);
    client.remove();
    expect(accounts(store).used).toBe(0);
  });
});
