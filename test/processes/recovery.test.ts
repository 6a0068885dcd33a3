// Whatever processes are killed in the middle of, what they leave is found, finished or undone: every frame is
// accounted for, every page that is there is whole, and what was destroyed does not come back.

import { describe, expect, test } from 'vitest';
import { expectAccounted } from '../tmem/small-store.ts';
import { accountable, newScene, type Scene, until } from './scene.ts';
import { tools } from './tools.ts';

const { arenasOf, checkStore, getPages, poolOf, putPages } = tools;

/** Somebody attaches, which recovers what the dead left; then everything must be accounted for. */
function expectRecovered(scene: Scene): void {
  expectAccounted(accountable(scene.open()));
  expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
}

describe('processes that are killed', () => {
  test.each([1, 2])(
    'at any moment leave a store of %i arenas in which everything is accounted for',
    async (arenas) => {
      const scene = newScene();
      const store = scene.open({ memory: '24 MiB', arenas, threads: 16 });
      const kept = 1000;
      expect(putPages(poolOf(store, 'kept'), 0, kept)).toBe(kept);
      for (let round = 0; round < 3; round++) {
        const victims = await scene.children(2);
        for (const [at, victim] of victims.entries()) {
          victim.begin(
            ({ open, poolOf, putPages, getPages, flushPages, tell }, place, at) => {
              const store = open(place);
              for (let version = 1; ; version++) {
                const pool = poolOf(store, 'both');
                const own = poolOf(store, `own-${at}`, { kind: 'ephemeral', pam: at === 0 ? 'zv' : 'zbud' });
                putPages(pool, 0, 200, version);
                putPages(own, 0, 1500, version);
                getPages(own, 0, 200, version);
                flushPages(pool, 50, 100);
                store.giveBack(100);
                if (version % 2 === 0) own.destroy();
                if (version === 1) tell('working');
              }
            },
            scene.place,
            at,
          );
        }
        await Promise.all(victims.map((victim) => victim.told('working')));
        // While they work; and when the first is gone, the second and this process run into what it left.
        putPages(poolOf(store, 'both'), 0, 300, 1_000_000);
        await victims[0]!.kill();
        putPages(poolOf(store, 'both'), 0, 300, 1_000_000);
        await victims[1]!.kill();
        expectRecovered(scene);
      }
      expect(getPages(poolOf(store, 'kept'), 0, kept)).toEqual({ right: kept, missing: 0, wrong: 0 });
    },
  );

  test('when memory is got for them, or given back, leave no frame between two states', async () => {
    const scene = newScene();
    scene.open({ memory: '16 MiB', threads: 16 });
    const children = await scene.children(6);
    for (const [at, child] of children.entries()) {
      await child.dies(
        ({ open, poolOf, putPages, beforeCall }, place, at) => {
          const store = open(place);
          const die = () => process.kill(process.pid, 'SIGKILL');
          if (at < 3) {
            // In its first call, or a later one.
            let calls = 0;
            beforeCall('allocate', () => void (calls++ === at && die()));
            putPages(poolOf(store, `zv-${at}`), 0, 2000);
            putPages(poolOf(store, `raw-${at}`, { kind: 'ephemeral', pam: 'raw' }), 0, 2000);
          }
          const cache = poolOf(store, 'cache', { kind: 'ephemeral' });
          putPages(cache, 0, 2000);
          cache.flush();
          let calls = 0;
          beforeCall('removePages', () => void (calls++ === at - 3 && die()));
          store.giveBack(4000);
        },
        scene.place,
        at,
      );
      expectRecovered(scene);
    }
  });

  test('and everybody with them, leave a store that the next one recovers before it sees anything', async () => {
    const scene = newScene();
    const child = await scene.child();
    await child.dies(({ open, poolOf, putPages, beforeCall }, place) => {
      const store = open({ ...place, memory: '16 MiB' });
      const pool = poolOf(store);
      putPages(pool, 0, 500);
      let calls = 0;
      beforeCall('allocate', () => void (++calls === 3 && process.kill(process.pid, 'SIGKILL')));
      putPages(pool, 500, 5000);
    }, scene.place);
    const report = checkStore(scene.name);
    expect(report.sound).toBe(true);
    expect(report.findings.join()).toMatch(/recovers/);
    const store = scene.open();
    expect(store.stats().store).toMatchObject({ threads_recovered: 1, threads_attached: 1 });
    expect(getPages(poolOf(store), 0, 500)).toEqual({ right: 500, missing: 0, wrong: 0 });
    expect(getPages(poolOf(store), 500, 5000)).toMatchObject({ wrong: 0 });
    expectRecovered(scene);
  });
});

describe('in a store of several arenas', () => {
  /** A child destroys something in the first arena, and is killed before it comes to the others. */
  async function cutShort(scene: Scene, what: 'pool' | 'client'): Promise<void> {
    const child = await scene.child();
    await child.dies(
      ({ open, poolOf, arenasOf }, place, what) => {
        const store = open(place);
        const pool = poolOf(store);
        const [{ wasm }] = arenasOf(store).all;
        wasm.removePool(pool.arenaIds[0]!);
        if (what === 'client') {
          wasm.drainSteps(100_000);
          if (wasm.forgetClient(pool.client.ids[0]!) !== 1) throw new Error('the client is there still');
        }
        process.kill(process.pid, 'SIGKILL');
      },
      scene.place,
      what,
    );
  }

  test('a destroy that was cut between two of them is finished by the others', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '24 MiB', arenas: 2 });
    const [, second] = arenasOf(store).all;
    const before = poolOf(store);
    putPages(before, 0, 1000);
    expect(second!.wasm.pagesOf(before.arenaIds[1]!)).toBeGreaterThan(100);
    await cutShort(scene, 'pool');
    await until(() => second!.wasm.poolFrame(before.arenaIds[1]!) === 0, 'the caretaker ends the other part');
    expect(store.stats().clients[0]).toMatchObject({ pools: [], content: { curr_pages: 0 } });
    expect(getPages(poolOf(store), 0, 1000)).toEqual({ right: 0, missing: 1000, wrong: 0 });
    expectRecovered(scene);
  });

  test.each(['pool', 'client'] as const)(
    'a %s of which a part was left is new when it is opened again',
    async (what) => {
      const scene = newScene();
      const store = scene.open({ memory: '24 MiB', arenas: 2 });
      putPages(poolOf(store), 0, 1000);
      await cutShort(scene, what);
      const again = poolOf(store);
      expect(again.pages).toBe(0);
      expect(getPages(again, 0, 1000)).toEqual({ right: 0, missing: 1000, wrong: 0 });
      expect(putPages(again, 0, 1000, 2)).toBe(1000);
      expect(getPages(again, 0, 1000, 2)).toEqual({ right: 1000, missing: 0, wrong: 0 });
      expectRecovered(scene);
    },
  );

  test('a client of which a part was left is gone soon, with what it held', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '24 MiB', arenas: 2 });
    const { frames_free } = store.stats().store;
    putPages(poolOf(store), 0, 1000);
    await cutShort(scene, 'client');
    await until(() => store.stats().store.frames_free === frames_free, 'every frame is free again');
    expect(store.stats().clients).toEqual([]);
  });
});
