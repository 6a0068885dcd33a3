// Remotify: a page leaves when all its copies are acknowledged, and nothing is left behind when it stays.
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../sim/memory.ts';
import { Remotify } from '../../../src/ramster/owner/remotify.ts';
import { Resting } from '../../../src/ramster/owner/resting.ts';
import { contentOf, heldStores, Scene, type SceneOptions } from './scene.ts';

function made(count: number, options: SceneOptions = {}) {
  const stores = heldStores(count);
  const scene = new Scene({ ...options, stores });
  const resting = new Resting(scene.clock, 15_000);
  const remotify = new Remotify(scene.parts, resting);
  /** Copies that there are, after everything that was released is freed. */
  const copiesLeft = async (): Promise<number> => {
    for (let i = 0; i < 3; i++) {
      scene.parts.releases.step();
      await scene.run(10);
    }
    return stores.reduce((sum, { pages }) => sum + pages.size, 0);
  };
  return { scene, stores, remotify, resting, copiesLeft, statistics: scene.parts.statistics };
}

describe('a page that is sent', () => {
  test('has all its copies acknowledged before its record takes its place', async () => {
    const { scene, stores, remotify, statistics } = made(3);
    const page = scene.put(1);
    const seen: (string | undefined)[] = [];
    for (const store of stores) store.before = () => void seen.push(scene.local.look(page)?.kind);
    expect(await scene.until(remotify.send(page))).toBe('sent');
    expect(seen).toEqual(['stored', 'stored']);
    const record = scene.record(page);
    expect(record?.places).toHaveLength(2);
    expect(stores.filter(({ pages }) => pages.has(record?.id as number))).toHaveLength(2);
    expect(statistics).toMatchObject({ remote_pers_pages: 1, pers_pages_remoted: 1 });
  });

  test('is one copy if it is ephemeral, and sealed unless that is switched off', async () => {
    for (const seal of [true, false]) {
      const { scene, stores, remotify, statistics } = made(3, { settings: { seal } });
      const page = scene.put(2, 'ephemeral');
      const found = scene.local.look(page);
      await scene.until(remotify.send(page));
      const copies = stores.flatMap(({ pages }) => [...pages.values()]);
      expect(copies).toHaveLength(1);
      const isPlain = found?.kind === 'stored' && Buffer.compare(found.bytes, copies[0]!.bytes) === 0;
      expect(isPlain).toBe(!seal);
      expect(statistics).toMatchObject({ remote_pers_pages: 0, eph_pages_remoted: 1 });
    }
  });

  test.each(['put', 'flush', 'destroy'] as const)(
    'and changed by a %s meanwhile leaves no copy',
    async (change) => {
      const { scene, stores, remotify, copiesLeft, statistics } = made(2);
      const page = scene.put(1);
      let isFirst = true;
      for (const store of stores) {
        store.before = (call) => {
          if (call !== 'put' || !isFirst) return;
          isFirst = false;
          if (change === 'put') scene.put(1, 'persistent', 99);
          else if (change === 'flush') scene.local.flush(page);
          else scene.local.destroyPool(page.pool);
        };
      }
      expect(await scene.until(remotify.send(page))).toBe('stays');
      expect(await copiesLeft()).toBe(0);
      if (change === 'put') expect(scene.local.get(page)).toEqual(contentOf(99));
      else expect(scene.local.get(page)).toBeUndefined();
      expect(statistics.remote_pers_pages).toBe(0);
      expect(scene.parts.unsettled.watch().size).toBe(0);
    },
  );

  test('stays, and leaves no copy, when there are not enough places', async () => {
    const { scene, stores, remotify, copiesLeft, statistics } = made(2);
    (stores[0] as (typeof stores)[0]).puts = 'full';
    const page = scene.put(1);
    expect(await scene.until(remotify.send(page))).toBe('stays');
    expect(scene.local.get(page)).toEqual(contentOf(1));
    expect(await copiesLeft()).toBe(0);
    expect(statistics).toMatchObject({ pers_pages_remote_failed: 1, pers_pages_remote_nomem: 1 });
  });

  test('names no copy of which it is not known whether it was made, and has that one freed', async () => {
    const { scene, stores, remotify, copiesLeft } = made(3);
    const page = scene.put(1);
    const [lost] = stores as [(typeof stores)[0]];
    lost.puts = 'lost';
    lost.freeBytes *= 2;
    expect(await scene.until(remotify.send(page))).toBe('sent');
    expect(scene.record(page)?.places.map(({ node }) => node)).not.toContain(lost.node);
    expect(await copiesLeft()).toBe(2);
    expect(lost.pages.size).toBe(0);
  });

  test('is sent once, however often that is asked for at a time', async () => {
    const { scene, remotify, copiesLeft } = made(2);
    const page = scene.put(1);
    const all = await scene.until(
      Promise.all([remotify.send(page), remotify.send(page), remotify.send(page)]),
    );
    expect(all).toEqual(['sent', 'stays', 'stays']);
    expect(await scene.until(remotify.send(page))).toBe('stays');
    expect(await copiesLeft()).toBe(2);
  });

  test('has another id each time', async () => {
    const { scene, remotify } = made(2);
    const ids = new Set<number | undefined>();
    for (let i = 0; i < 4; i++) {
      const page = scene.put(1, 'persistent', 1);
      await scene.until(remotify.send(page));
      ids.add(scene.record(page)?.id);
    }
    expect(ids.size).toBe(4);
  });
});

describe('under pressure', () => {
  const settings = { sendBelowPercent: 25, sendUntilPercent: 50, homeAbovePercent: 60, inFlightPages: 4 };

  test('persistent pages go first, until enough is free', async () => {
    const { scene, remotify, statistics } = made(3, { settings, memoryPages: 20 });
    for (let i = 0; i < 8; i++) scene.put(i, 'ephemeral');
    for (let i = 0; i < 8; i++) scene.put(i);
    remotify.step();
    await scene.run(100);
    expect(statistics.pers_pages_remoted).toBe(8);
    expect(statistics.eph_pages_remoted).toBe(0);
    expect(scene.memory.freeBytes).toBeGreaterThanOrEqual(scene.memory.totalBytes * 0.5 - PAGE_BYTES);
    scene.local.flushPages(scene.pools.persistent);
  });

  test('nothing is sent while there is room, nor of a kind that is switched off', async () => {
    for (const [put, persistent] of [
      [4, true],
      [18, false],
    ] as const) {
      const { scene, remotify, statistics } = made(3, {
        settings: { ...settings, persistent },
        memoryPages: 20,
      });
      for (let i = 0; i < put; i++) scene.put(i);
      remotify.step();
      await scene.run(100);
      expect(statistics.pers_pages_remoted).toBe(0);
    }
  });

  test('what has just come home is not sent', async () => {
    const { scene, remotify, resting, statistics } = made(3, { settings, memoryPages: 20 });
    for (let i = 0; i < 18; i++) resting.add(scene.put(i));
    remotify.step();
    await scene.run(100);
    expect(statistics.pers_pages_remoted).toBe(0);
    await scene.run(15_000);
    remotify.step();
    await scene.run(100);
    expect(statistics.pers_pages_remoted).toBeGreaterThan(0);
  });

  test('nobody is asked again and again who takes nothing', async () => {
    const { scene, stores, remotify } = made(3, { settings, memoryPages: 20 });
    for (const store of stores) store.puts = 'full';
    for (let i = 0; i < 18; i++) scene.put(i);
    for (let i = 0; i < 100; i++) {
      remotify.step();
      await scene.run(50);
    }
    // Four pages each half second.
    const asked = stores.reduce((sum, { calls }) => sum + calls.length, 0);
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(11 * 4 * 3);
  });

  test('a memory that fails is tried again later, and nothing else happens', async () => {
    const { scene, remotify, statistics } = made(3, { settings, memoryPages: 20 });
    for (let i = 0; i < 18; i++) scene.put(i);
    const { sendAway } = scene.local;
    let failures = 0;
    scene.local.sendAway = () => {
      failures++;
      throw new Error('the store was closed');
    };
    // A rejection that nobody handles would fail this test.
    remotify.step();
    await scene.run(10);
    expect(failures).toBeGreaterThan(0);
    scene.local.sendAway = sendAway;
    await scene.run(600);
    remotify.step();
    await scene.run(100);
    expect(statistics.pers_pages_remoted).toBeGreaterThan(0);
  });
});
