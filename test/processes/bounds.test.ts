// What a named store takes of the machine, measured from outside: never more than `memory`, and what it says itself.

import { readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/index.ts';
import { newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { arenasOf, poolOf, putPages, getPages } = tools;
const FRAME_BYTES = 4096;
const BLOCK_BYTES = 512;

/** Frames of the file that have memory; the store has to say the same. */
function expectBlocksAgree(scene: Scene, store: Store): number {
  const held = (statSync(scene.path()).blocks * BLOCK_BYTES) / FRAME_BYTES;
  const { frames_total, frames_unbacked } = store.stats().store;
  expect(held).toBe(frames_total - frames_unbacked);
  expect(held * FRAME_BYTES).toBeLessThanOrEqual(store.settings.memory);
  return held;
}

describe('the memory of a file', () => {
  test.each([1, 3])('with %i arenas is what the store says, and never above its bound', (arenas) => {
    const scene = newScene();
    const store = scene.open({ memory: '25 MiB', arenas, threads: 3 });
    const empty = expectBlocksAgree(scene, store);
    expect(empty * FRAME_BYTES).toBeLessThan(6 * 2 ** 20);
    const pools = (['zv', 'zbud', 'raw'] as const).map((pam) =>
      poolOf(store, pam, { kind: 'ephemeral', pam }),
    );
    for (let first = 0; first < 8000; first += 500) {
      for (const pool of pools) putPages(pool, first, 500);
      expectBlocksAgree(scene, store);
    }
    const full = expectBlocksAgree(scene, store);
    expect(full * FRAME_BYTES).toBeGreaterThan(0.95 * store.settings.memory);
    // What is free is given back; what was shrunk, too.
    store.shrink(2000);
    const given = store.giveBack(2000);
    expect(given).toBeGreaterThan(1500);
    expect(full - expectBlocksAgree(scene, store)).toBe(given);
    expect(putPages(pools[0]!, 0, 500)).toBe(500);
    for (const pool of pools) pool.destroy();
    // Else it follows in steps.
    for (const { wasm } of arenasOf(store).all) wasm.drainSteps(1_000_000);
    store.giveBack(100_000);
    expect(expectBlocksAgree(scene, store)).toBeLessThan(empty + 300);
    expect(store.stats().store.frames_given_back).toBeGreaterThan(given);
  });

  test('is there from the start with prefault', () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 2, prefault: true });
    expect(expectBlocksAgree(scene, store) * FRAME_BYTES).toBe(16 * 2 ** 20);
  });

  test('that two processes fill at the same time stays within the bound', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 4 });
    const children = await scene.children(2);
    await Promise.all(
      children.map((child, at) =>
        child.run(
          ({ open, poolOf, putPages }, place, at) => {
            const store = open(place);
            const pool = poolOf(store, `pool-${at}`, { kind: 'ephemeral' });
            for (let first = 0; first < 6000; first += 200) {
              putPages(pool, first, 200);
              if (first % 1000 === 0) store.giveBack(200);
            }
          },
          scene.place,
          at,
        ),
      ),
    );
    expectBlocksAgree(scene, store);
  });
});

describe('the memory of a process', () => {
  test('that works in a store grows by no more shared memory than the store may have', async () => {
    const scene = newScene();
    const child = await scene.child();
    await child.run(({ open, poolOf, putPages, state }, place) => {
      state.store = open({ ...place, memory: '32 MiB' });
      for (const pam of ['zv', 'zbud', 'raw'] as const) {
        putPages(poolOf(state.store, pam, { kind: 'ephemeral', pam }), 0, 6000);
      }
    }, scene.place);
    const status = readFileSync(`/proc/${child.process.pid}/status`, 'utf8');
    const sharedKib = Number(/RssShmem:\s+(\d+) kB/.exec(status)?.[1]);
    expect(sharedKib).toBeGreaterThan(24 * 1024);
    expect(sharedKib).toBeLessThanOrEqual(32 * 1024);
    expect(getPages(poolOf(scene.open(), 'raw', { kind: 'ephemeral' }), 0, 6000)).toMatchObject({ wrong: 0 });
  });
});
