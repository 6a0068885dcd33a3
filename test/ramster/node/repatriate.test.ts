// Repatriate: pages come home when it has been quiet, little by little, and only while there is room.
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../sim/memory.ts';
import { Fetch } from '../../../src/ramster/owner/fetch.ts';
import { Remotify } from '../../../src/ramster/owner/remotify.ts';
import { Repatriate } from '../../../src/ramster/owner/repatriate.ts';
import { Resting } from '../../../src/ramster/owner/resting.ts';
import { heldStores, Scene, type SceneOptions } from './scene.ts';

async function made(away: number, options: SceneOptions = {}) {
  const stores = heldStores(2);
  const scene = new Scene({ ...options, stores });
  const fetch = new Fetch(scene.parts);
  const resting = new Resting(scene.clock, 15_000);
  const remotify = new Remotify(scene.parts, resting);
  const repatriate = new Repatriate(scene.parts, fetch, resting);
  for (let i = 0; i < away; i++) {
    scene.put(i);
    await scene.until(remotify.send(scene.page(i)));
  }
  const { statistics } = scene.parts;
  /** One interval; how many are away then. */
  const step = async (): Promise<number> => {
    await scene.until(repatriate.step());
    return statistics.remote_pers_pages;
  };
  const steps = async (count: number): Promise<number[]> => {
    const counts: number[] = [];
    for (let i = 0; i < count; i++) counts.push(await step());
    return counts;
  };
  return { scene, stores, remotify, repatriate, resting, step, steps, statistics };
}

describe('pages come home', () => {
  test('after three intervals in which not more went away: a twentieth in each', async () => {
    const { steps, statistics } = await made(100);
    // The first interval sees them go.
    expect(await steps(6)).toEqual([100, 100, 100, 95, 90, 85]);
    expect(statistics.pages_repatriated).toBe(15);
  });

  test('all at once when there are twenty or fewer, not when there is one more', async () => {
    expect(await (await made(20)).steps(4)).toEqual([20, 20, 20, 0]);
    expect(await (await made(21)).steps(4)).toEqual([21, 21, 21, 19]);
  });

  test('and begin anew when more went away', async () => {
    const { scene, remotify, steps } = await made(40);
    expect(await steps(4)).toEqual([40, 40, 40, 38]);
    for (let i = 100; i < 105; i++) {
      scene.put(i);
      await scene.until(remotify.send(scene.page(i)));
    }
    expect(await steps(4)).toEqual([43, 43, 43, 40]);
  });

  test('and rest: they are not sent again for three intervals', async () => {
    const { scene, resting, steps } = await made(5);
    await steps(4);
    const home = [0, 1, 2, 3, 4].map((i) => scene.page(i));
    expect(home.every((page) => resting.has(page))).toBe(true);
    await scene.run(15_001);
    expect(home.some((page) => resting.has(page))).toBe(false);
  });

  test('not while the machine is short of memory, nor with less free than homeAbovePercent', async () => {
    const { scene, steps, statistics } = await made(40);
    scene.memory.isPressed = true;
    expect(await steps(6)).toEqual([40, 40, 40, 40, 40, 40]);
    scene.memory.isPressed = false;
    scene.memory.take(scene.memory.totalBytes * 0.8 - scene.memory.usedBytes);
    expect(await steps(3)).toEqual([40, 40, 40]);
    scene.memory.give(scene.memory.totalBytes * 0.2);
    expect((await steps(1))[0]).toBeLessThan(40);
    expect(statistics.pages_repatriated).toBe(2);
  });

  test('no further than there is room', async () => {
    const { scene, steps } = await made(20);
    const { totalBytes, usedBytes } = scene.memory;
    scene.memory.take(totalBytes * 0.75 - usedBytes - PAGE_BYTES);
    const counts = await steps(4);
    // In rounds of 16, between which the room is looked at.
    expect(counts).toEqual([20, 20, 20, 4]);
  });

  test('as far as their holders are there; the others stay where they are', async () => {
    const { scene, stores, steps, statistics } = await made(10);
    for (const store of stores) store.state = 'down';
    expect(await steps(4)).toEqual([10, 10, 10, 10]);
    expect(statistics.pages_repatriated).toBe(0);
    for (const store of stores) store.state = 'up';
    expect(await steps(1)).toEqual([0]);
    expect(scene.lost).toEqual([]);
  });

  test('no more once it is stopped, also in the middle', async () => {
    const { scene, stores, repatriate, steps } = await made(20);
    await steps(3);
    for (const store of stores) store.before = () => scene.sleep(10);
    const last = repatriate.step();
    repatriate.stop();
    await scene.until(last);
    expect(scene.countAway()).toBe(4);
  });
});

describe('resting', () => {
  test('is bounded: the oldest are forgotten first', () => {
    const scene = new Scene();
    const resting = new Resting(scene.clock, 1000);
    for (let i = 0; i < 65_537; i++) resting.add(scene.page(i));
    expect(resting.has(scene.page(0))).toBe(false);
    expect(resting.has(scene.page(1))).toBe(true);
    expect(resting.has(scene.page(65_536))).toBe(true);
  });
});
