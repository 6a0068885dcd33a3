// Thread slots of a named store: as many as it was created with, each as long as its thread lives, used again after.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { newScene } from './scene.ts';
import { type Tools, tools } from './tools.ts';

const { poolOf, putPages, getPages, codeOf } = tools;
const THREAD = new URL('./thread.ts', import.meta.url);

describe('thread slots', () => {
  test('run out with an error that names the way out, over processes and threads together', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 3 });
    const child = await scene.child();
    await child.run(({ open, state }, place) => {
      state.store = open(place);
      state.second = open(place);
    }, scene.place);
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_TOO_MANY_THREADS');
    expect(codeOf(() => tools.attach(store.share()))).toBe('TMEM_ERR_TOO_MANY_THREADS');
    expect(() => scene.open()).toThrow(/all 3 thread slots.*close the store where threads end/s);
    await child.run(({ state }) => state.store.close());
    scene.open().close();
    await child.kill();
    const others = [scene.open(), scene.open()];
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_TOO_MANY_THREADS');
    expect(store.stats().store.threads_attached).toBe(3);
    for (const other of others) other.close();
    expect(tools.listStores().find(({ name }) => name === scene.name)).toMatchObject({
      threads: 3,
      attached: 1,
    });
  });

  test('of killed processes are used again and again, and what was put stays', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 2 });
    for (let round = 0; round < 5; round++) {
      const child = await scene.child();
      await child.run(
        ({ open, poolOf, putPages }, place, round) => void putPages(poolOf(open(place)), round * 20, 20),
        scene.place,
        round,
      );
      await child.kill();
    }
    expect(getPages(poolOf(store), 0, 100)).toEqual({ right: 100, missing: 0, wrong: 0 });
    // None of them was in the middle of anything.
    expect(store.stats().store.threads_recovered).toBe(0);
  });

  test('of workers that were terminated are free again, although their process lives', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 2 });
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(THREAD, {
        workerData: { token: store.share(), source: '() => void setInterval(() => {}, 1000)' },
      });
      await once(worker, 'message');
      expect(codeOf(() => scene.open())).toBe('TMEM_ERR_TOO_MANY_THREADS');
      await worker.terminate();
      scene.open().close();
    }
  });

  test('of workers that keep their descriptors are buried all the same, but free when the process ends', async () => {
    const scene = newScene();
    const pool = poolOf(scene.open({ memory: '16 MiB', threads: 3 }));
    putPages(pool, 0, 10);
    const child = await scene.child();
    await child.run(
      ({ open, state }, place, thread) => {
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        state.store = open(place);
        // It is stopped for good while it holds the lock under which frames get their memory.
        const endless = ({ state, poolOf, putPages, beforeCall }: Tools) => {
          const parent = process.getBuiltinModule('node:worker_threads').parentPort;
          beforeCall('allocate', () => {
            parent?.postMessage('stopped');
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
          });
          putPages(poolOf(state.store), 1000, 1000);
        };
        const worker = new Worker(new URL(thread), {
          workerData: { token: state.store.share(), source: endless.toString() },
          trackUnmanagedFds: false,
        });
        return new Promise((resolve, reject) => {
          worker.on('error', reject);
          worker.on('message', () => resolve(worker.terminate()));
        });
      },
      scene.place,
      THREAD.href,
    );
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_TOO_MANY_THREADS');
    // Who needs that lock gets it: the worker's parent saw it end.
    expect(putPages(pool, 10, 600)).toBe(600);
    expect(getPages(pool, 0, 610)).toEqual({ right: 610, missing: 0, wrong: 0 });
    await child.kill();
    scene.open().close();
  });
});
