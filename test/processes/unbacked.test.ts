// Frames that have no memory are touched by nobody, whatever the store is doing: in the children here such a touch is
// an error that shows (poison.ts), on a full file system it would be the end of the process.

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newScene } from './scene.ts';
import { tools } from './tools.ts';

const { getPages, poolOf } = tools;

describe('frames without memory', () => {
  test('are what a poisoned process dies of, or is told: the tests below would notice', async () => {
    const scene = newScene();
    const child = await scene.child();
    const touch = child.run(({ poisonUnbacked, open, arenasOf }, place) => {
      const untouchable = poisonUnbacked();
      const [arena] = arenasOf(open({ ...place, memory: '16 MiB', threads: 2 })).all;
      if (untouchable() < 2000) return 'too few';
      return arena.bytes[arena.bytes.length / 2];
    }, scene.place);
    await expect(touch).rejects.toThrow('SIGSEGV');
  });

  test.each([1, 2])('are left alone by every operation of a store of %i arenas', async (arenas) => {
    const scene = newScene();
    const child = await scene.child();
    const done = await child.run(
      ({ poisonUnbacked, open, poolOf, putPages, getPages, flushPages, arenasOf, state }, place, arenas) => {
        state.untouchable = poisonUnbacked();
        const store = open({ ...place, memory: '16 MiB', arenas, threads: 4, clients: 5, pools: 10 });
        state.store = store;
        const kept = poolOf(store, 'kept');
        const zbud = poolOf(store, 'zbud', { kind: 'ephemeral' });
        const zv = poolOf(store, 'zv', { kind: 'ephemeral', pam: 'zv' });
        const raw = poolOf(store, 'raw', { kind: 'ephemeral', pam: 'raw', limit: 300, demoteTo: zbud });
        const found = { right: 0, wrong: 0, given: 0, evicted: 0 };
        const look = (pages: number) => {
          for (const pool of [kept, zbud, zv, raw]) {
            const { right, wrong } = getPages(pool, 0, pages);
            found.right += right;
            found.wrong += wrong;
          }
        };
        for (let round = 1; round <= 4; round++) {
          // More than there is memory for: pages are evicted.
          for (let first = 0; first < 4000; first += 200) {
            for (const pool of [zbud, zv, raw]) putPages(pool, first, 200);
            if (first < 600) putPages(kept, first, 200);
          }
          look(4000);
          flushPages(kept, 100 * round, 100);
          for (const { oid, index } of zv.walk()) if (index % 2 === 0) zv.flushPage(oid, index);
          found.evicted += store.shrink(1000).freed;
          found.given += store.giveBack(700 * round);
          store.stats();
          look(1000);
          for (const arena of arenasOf(store).all) arena.wasm.recoverNow(1, 1000);
          found.given += store.giveBack(200);
          const other = store.client('other');
          putPages(other.pool('short', { kind: 'ephemeral' }), 0, 500);
          other.remove();
          poolOf(store, 'gone', { kind: 'ephemeral' }).destroy();
          look(1000);
        }
        return found;
      },
      scene.place,
      arenas,
    );
    expect(done.wrong).toBe(0);
    expect(done.right).toBeGreaterThan(5000);
    expect(done.evicted).toBeGreaterThan(3000);
    expect(done.given).toBeGreaterThan(3000);
    const untouchable = await child.run(({ state }) => (state.untouchable as () => number)());
    expect(untouchable).toBeGreaterThan(100);
    expect(getPages(poolOf(scene.open(), 'kept'), 0, 600)).toMatchObject({ wrong: 0 });
  });

  test('are left alone by checking, saving, restoring, and by who attaches and recovers', async () => {
    const scene = newScene();
    const saved = join(tmpdir(), `${scene.name}.saved`);
    onTestFinished(() => rmSync(saved, { force: true }));
    const maker = await scene.child();
    await maker.run(({ open, poolOf, putPages, flushPages }, place) => {
      const store = open({ ...place, memory: '16 MiB', threads: 4 });
      putPages(poolOf(store), 0, 3000);
      putPages(poolOf(store, 'cache', { kind: 'ephemeral' }), 0, 4000);
      flushPages(poolOf(store), 0, 2000);
      store.shrink(1000);
      store.giveBack(1500);
    }, scene.place);
    await maker.dies(({ open, poolOf, putPages, beforeCall }, place) => {
      beforeCall('allocate', () => process.kill(process.pid, 'SIGKILL'));
      putPages(poolOf(open(place)), 10_000, 1000);
    }, scene.place);
    const child = await scene.child();
    const found = await child.run(
      async (tools, place, saved) => {
        const { poisonUnbacked, checkStore, open, saveStore, restoreStore, poolOf, getPages } = tools;
        const untouchable = poisonUnbacked();
        const before = checkStore(place.name, place);
        const store = open(place);
        const recovered = store.stats().store.threads_recovered;
        const after = checkStore(place.name, place);
        await saveStore(store, saved, { ephemeral: true });
        const name = `${place.name}-b`;
        await restoreStore(saved, { ...place, name });
        const pages = getPages(poolOf(open({ ...place, name })), 2000, 1000);
        return { before, after, recovered, pages, untouchable: untouchable() };
      },
      scene.place,
      saved,
    );
    expect(found.before.sound).toBe(true);
    expect(found.after).toMatchObject({ sound: true, findings: [] });
    expect(found.recovered).toBe(1);
    expect(found.pages).toEqual({ right: 1000, missing: 0, wrong: 0 });
    expect(found.untouchable).toBeGreaterThan(3000);
  });
});
