// Locks and recoveries across processes: who waits for a stopped process is told so in time, who waits for a dead one
// goes on, and a recovery is finished by others when its leader dies.

import { describe, expect, test } from 'vitest';
import { expectAccounted } from '../tmem/small-store.ts';
import { accountable, type Child, newScene, type Scene, until } from './scene.ts';
import { tools } from './tools.ts';

const { poolOf, putPages, getPages, codeOf, arenasOf } = tools;
const LOCK_TIMEOUT_MS = 200;
/** An operation that would wait for a dead process until the lock's time is over would take longer. */
const LONG_MS = 20_000;

/** Opens the scene's store in a child, which then ends in the middle of an operation, under the lock of the frames. */
async function childThatEnds(scene: Scene, how: 'SIGSTOP' | 'SIGKILL'): Promise<Child> {
  const child = await scene.child();
  await child.run(({ open, poolOf, state }, place) => {
    state.pool = poolOf(open(place));
  }, scene.place);
  child.begin(({ state, putPages, beforeCall, tell }, how) => {
    beforeCall('allocate', () => {
      tell('inside');
      process.kill(process.pid, how);
    });
    putPages(state.pool, 10_000, 2000);
  }, how);
  if (how === 'SIGKILL') await child.exit;
  else await child.told('inside');
  return child;
}

describe('a process that is stopped', () => {
  test('in the middle of an operation is not taken for dead: who needs its lock is told it is busy', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', lockTimeoutMs: LOCK_TIMEOUT_MS });
    const pool = poolOf(store);
    const other = poolOf(scene.open());
    putPages(pool, 0, 10);
    const child = await childThatEnds(scene, 'SIGSTOP');
    expect(codeOf(() => putPages(pool, 100, 1000))).toBe('TMEM_ERR_BUSY');
    // What the thread left half done can be recovered only when the other goes on: until then it is told the same.
    expect(codeOf(() => getPages(pool, 0, 1))).toBe('TMEM_ERR_BUSY');
    // Threads that need nothing of it work.
    expect(getPages(other, 0, 10)).toEqual({ right: 10, missing: 0, wrong: 0 });
    child.signal('SIGCONT');
    await child.kill();
    const isWhole = (): boolean => store.stats().store.threads_attached === 2;
    await until(() => codeOf(() => store.stats()) === undefined && isWhole(), 'the store is whole again');
    expect(store.stats().store).toMatchObject({ lock_timeouts: 1 });
    expect(putPages(pool, 100, 1000)).toBe(1000);
    expectAccounted(accountable(store));
  });

  test('between operations is in nobody’s way', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', lockTimeoutMs: LOCK_TIMEOUT_MS });
    const child = await scene.child();
    await child.run(({ open, poolOf, putPages, state }, place) => {
      state.pool = poolOf(open(place));
      return putPages(state.pool, 0, 100);
    }, scene.place);
    child.signal('SIGSTOP');
    expect(putPages(poolOf(store), 100, 1000)).toBe(1000);
    expectAccounted(accountable(store));
    expect(store.stats().store.threads_attached).toBe(2);
    child.signal('SIGCONT');
    const found = await child.run(({ state, getPages }) => getPages(state.pool, 0, 1100));
    expect(found).toEqual({ right: 1100, missing: 0, wrong: 0 });
  });
});

describe('a process that is killed', () => {
  test('in the middle of an operation is noticed by those who need its lock, long before they give up', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', lockTimeoutMs: LONG_MS });
    const pool = poolOf(store);
    putPages(pool, 0, 10);
    await childThatEnds(scene, 'SIGKILL');
    const before = performance.now();
    expect(putPages(pool, 100, 1000)).toBe(1000);
    expect(performance.now() - before).toBeLessThan(LONG_MS / 4);
    expect(store.stats().store.threads_recovered).toBe(1);
    expect(store.stats().store.threads_attached).toBe(1);
    expectAccounted(accountable(store));
    expect(getPages(pool, 100, 1000)).toEqual({ right: 1000, missing: 0, wrong: 0 });
  });

  test('by itself, with nobody left, is recovered by the next who attaches', async () => {
    const scene = newScene();
    const pages = 300;
    const first = await scene.child();
    await first.run(
      ({ open, poolOf, putPages, state }, place, pages) => {
        state.store = open({ ...place, memory: '16 MiB' });
        return putPages(poolOf(state.store), 0, pages);
      },
      scene.place,
      pages,
    );
    await first.kill();
    await childThatEnds(scene, 'SIGKILL');
    const store = scene.open();
    expect(store.stats().store).toMatchObject({ threads_recovered: 1, threads_attached: 1 });
    expect(getPages(poolOf(store), 0, pages)).toEqual({ right: pages, missing: 0, wrong: 0 });
    expectAccounted(accountable(store));
  });
});

describe('a recovery', () => {
  test('whose leader is killed while it waits for the others is finished by somebody else', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', lockTimeoutMs: LONG_MS });
    const pool = poolOf(store);
    putPages(pool, 0, 500);
    const {
      all: [arena],
    } = arenasOf(store);
    const stopped = await childThatEnds(scene, 'SIGSTOP');
    const leader = await scene.child();
    leader.begin(({ open, arenasOf }, place) => {
      const [arena] = arenasOf(open(place)).all;
      arena.wasm.recoverNow(1, 60_000);
    }, scene.place);
    await until(() => arena.word(arena.layout.H_GATE) !== 0, 'the leader closes the gate');
    await leader.kill();
    stopped.signal('SIGKILL');
    await stopped.exit;
    expect(putPages(pool, 500, 1000)).toBe(1000);
    expect(arena.word(arena.layout.H_GATE)).toBe(0);
    expectAccounted(accountable(store));
    expect(getPages(pool, 0, 1500)).toEqual({ right: 1500, missing: 0, wrong: 0 });
  });

  test('whose leader is killed at any moment leaves nothing that the next one does not find', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '32 MiB' });
    const pool = poolOf(store);
    const pages = 8000;
    expect(putPages(pool, 0, pages)).toBe(pages);
    const {
      all: [arena],
    } = arenasOf(store);
    const leaders = await scene.children(4);
    let unfinished = 0;
    for (const leader of leaders) {
      leader.begin(({ open, arenasOf }, place) => {
        const [arena] = arenasOf(open(place)).all;
        process.send?.({ told: 'recovering' });
        for (;;) arena.wasm.recoverNow(1, 1000);
      }, scene.place);
      await leader.told('recovering');
      await leader.kill();
      if (arena.word(arena.layout.H_GATE) !== 0) unfinished++;
      expect(getPages(pool, 0, pages)).toEqual({ right: pages, missing: 0, wrong: 0 });
    }
    expectAccounted(accountable(store));
    // Nearly all of their time is spent with the gate closed.
    expect(unfinished).toBeGreaterThan(0);
  });
});

describe('waiting for a lock', () => {
  test('of another process ends when that lets go of it', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', lockTimeoutMs: LONG_MS });
    const child = await scene.child();
    await child.run(({ open, poolOf, state }, place) => {
      state.pool = poolOf(open(place));
    }, scene.place);
    const slow = child.run(({ state, putPages, beforeCall, tell }) => {
      beforeCall('allocate', () => {
        tell('inside');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      });
      return putPages(state.pool, 0, 500);
    });
    await child.told('inside');
    expect(putPages(poolOf(store), 500, 500)).toBe(500);
    expect(await slow).toBe(500);
    const { lock_waits, lock_timeouts, threads_recovered } = store.stats().store;
    expect({ waited: lock_waits > 0, lock_timeouts, threads_recovered }).toEqual({
      waited: true,
      lock_timeouts: 0,
      threads_recovered: 0,
    });
    expect(getPages(poolOf(store), 0, 1000)).toEqual({ right: 1000, missing: 0, wrong: 0 });
  });

  test('happens to all of several processes that put into one object, and none of them fails', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    const children = await scene.children(3);
    const rounds = 60;
    const done = await Promise.all(
      children.map((child, at) =>
        child.run(
          ({ open, poolOf, putPages, flushPages }, place, at, rounds) => {
            const pool = poolOf(open(place));
            let stored = 0;
            for (let round = 0; round < rounds; round++) {
              stored += putPages(pool, 0, 64, at + 1);
              flushPages(pool, round % 64, 1);
            }
            return stored;
          },
          scene.place,
          at,
          rounds,
        ),
      ),
    );
    expect(done).toEqual([rounds * 64, rounds * 64, rounds * 64]);
    const found = [1, 2, 3].map((version) => getPages(poolOf(store), 0, 64, version));
    const right = found.reduce((sum, { right }) => sum + right, 0);
    // Each page is the last put of one of them, whole.
    expect(right + found[0]!.missing).toBe(64);
    expectAccounted(accountable(store));
  });
});
