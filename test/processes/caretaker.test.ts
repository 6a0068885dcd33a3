// What one of all processes does for the others: it finds the dead although nobody waits for them, and another takes
// over when it is dead itself. And what all of them see alike: the counters.

import { describe, expect, test } from 'vitest';
import { CARETAKER_BYTE, SHRINKER_BYTE, StoreFile } from '../../src/arena/index.ts';
import { type Child, newScene, type Scene, until } from './scene.ts';
import { tools } from './tools.ts';

const { arenasOf, flushPages, getPages, poolOf, prometheusText, putPages } = tools;

/** Waits until somebody holds the locks of bytes of the scene's file. */
async function untilHeld(scene: Scene, ...bytes: number[]): Promise<void> {
  const file = StoreFile.open(scene.path())!;
  try {
    await until(() => bytes.every((byte) => file.isLocked(byte)), `bytes ${bytes} are locked`);
  } finally {
    file.close();
  }
}

/** A child that made the scene's store and looks after it. */
async function leadingChild(scene: Scene, shrinker: boolean): Promise<Child> {
  const child = await scene.child();
  const options = { ...scene.place, memory: '16 MiB', shrinker: { enabled: shrinker } } as const;
  await child.run(({ open, poolOf, state }, options) => {
    state.store = open(options);
    state.pool = poolOf(state.store);
  }, options);
  return child;
}

describe('the caretaker', () => {
  test('recovers what a killed process left, although nobody needs it', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    const child = await scene.child();
    await child.dies(({ open, poolOf, putPages, beforeCall }, place) => {
      const pool = poolOf(open(place));
      beforeCall('allocate', () => process.kill(process.pid, 'SIGKILL'));
      putPages(pool, 0, 5000);
    }, scene.place);
    const isDone = () => {
      const { threads_recovered, threads_attached } = store.stats().store;
      return threads_recovered === 1 && threads_attached === 1;
    };
    await until(isDone, 'the slot is free again');
  });

  test('that is killed is followed by another, which finds the dead, its predecessor among them', async () => {
    const scene = newScene();
    const first = await leadingChild(scene, true);
    await untilHeld(scene, CARETAKER_BYTE, SHRINKER_BYTE);
    const store = scene.open();
    await first.dies(({ state, putPages, beforeCall }) => {
      beforeCall('allocate', () => process.kill(process.pid, 'SIGKILL'));
      putPages(state.pool, 0, 5000);
    });
    const other = await scene.child();
    // Only by the follower: this one neither attaches nor waits for anybody.
    await until(() => store.stats().store.threads_recovered === 1, 'the follower recovers');
    expect(store.stats().store.threads_attached).toBe(1);
    await other.run(({ open, state }, place) => {
      state.store = open(place);
    }, scene.place);
    const held = () =>
      other.run(
        ({ state, arenasOf }, bytes) =>
          bytes.map((byte) => arenasOf(state.store).thread!.file.isLocked(byte)),
        [CARETAKER_BYTE, SHRINKER_BYTE],
      );
    await until(async () => (await held()).every(Boolean), 'both locks are this process’s');
    store.close();
    expect(await held()).toEqual([false, false]);
  });

  test('lifts the stop of growth that a killed shrinker left: the next shrinker does', async () => {
    const scene = newScene();
    const first = await leadingChild(scene, true);
    await untilHeld(scene, SHRINKER_BYTE);
    const store = scene.open();
    const [arena] = arenasOf(store).all;
    arena.setWord(arena.layout.H_GROWTH_STOPPED, 1);
    await first.kill();
    await until(() => arena.word(arena.layout.H_GROWTH_STOPPED) === 0, 'growth is allowed again');
    expect(putPages(poolOf(store), 0, 2000)).toBe(2000);
  });

  test('or who opens the store without a shrinker', async () => {
    const scene = newScene();
    const first = await leadingChild(scene, false);
    await first.run(({ state, arenasOf, putPages }) => {
      const [arena] = arenasOf(state.store).all;
      arena.setWord(arena.layout.H_GROWTH_STOPPED, 1);
      return putPages(state.pool, 0, 2000);
    });
    await first.kill();
    const store = scene.open({ shrinker: { enabled: false } });
    expect(putPages(poolOf(store), 0, 2000)).toBe(2000);
    expect(getPages(poolOf(store), 0, 2000)).toEqual({ right: 2000, missing: 0, wrong: 0 });
  });
});

describe('counters', () => {
  test('are the same from every process, whoever did what', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '24 MiB', arenas: 2, threads: 5 });
    const children = await scene.children(2);
    await Promise.all(
      children.map((child, at) =>
        child.run(
          ({ open, poolOf, putPages, getPages, flushPages, state }, place, at) => {
            state.store = open(place);
            for (const name of ['shared', `own-${at}`]) {
              const pool = poolOf(state.store, name, { kind: 'ephemeral' });
              putPages(pool, 0, 400, at);
              getPages(pool, 0, 600, at);
              flushPages(pool, 0, 50);
            }
          },
          scene.place,
          at,
        ),
      ),
    );
    putPages(poolOf(store, 'mine'), 0, 300);
    flushPages(poolOf(store, 'mine'), 0, 100);
    const own = store.stats();
    const texts: string[] = [];
    // One after the other: reading takes locks, and waiting for one is counted.
    for (const child of children) {
      texts.push(await child.run(({ prometheusText, state }) => prometheusText(state.store.stats())));
    }
    expect(texts).toEqual([prometheusText(own), prometheusText(own)]);
    const of = (name: string) => own.clients[0]!.pools.find((pool) => pool.name === name)!;
    expect(own.store.threads_attached).toBe(3);
    expect(of('shared').traffic).toMatchObject({ puts: 800, put_stored: 800 });
    expect(of('own-1').traffic).toMatchObject({ puts: 400, succ_gets: 400, failed_gets: 200 });
    expect(of('mine').content.curr_pages).toBe(200);
  });

  test('of operations live on when the process that did them is killed', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 2 });
    const rounds = 4;
    for (let round = 0; round < rounds; round++) {
      const child = await scene.child();
      await child.run(
        ({ open, poolOf, putPages }, place) => putPages(poolOf(open(place)), 0, 100),
        scene.place,
      );
      await child.kill();
    }
    const [pool] = store.stats().clients[0]!.pools;
    expect(pool).toMatchObject({ content: { curr_pages: 100 } });
    expect(prometheusText(store.stats())).toMatch(new RegExp(`puts_total.* ${rounds * 100}\\n`));
  });
});
