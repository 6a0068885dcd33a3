// Listing and removing named stores from outside, and what those who still have a removed store are told.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { copyFileSync, existsSync, statSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TmemEvents } from '../../src/zcache/index.ts';
import { newScene, until } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, listStores, removeStore, poolOf, putPages, getPages, attach } = tools;

describe('listStores', () => {
  test('says of each store what it holds, who is attached now, and since when it is there', async () => {
    const scene = newScene();
    scene.directory = scene.subdirectory();
    const beforeMs = Date.now();
    const big = scene.open({ name: 'big', memory: '32 MiB', threads: 7, arenas: 2 });
    const small = scene.open({ name: 'a-small', memory: '16 MiB', threads: 3 });
    putPages(poolOf(big), 0, 1000);
    const child = await scene.child();
    await child.run(({ open }, directory) => void open({ name: 'big', directory }), scene.directory);
    small.close();
    const [first, second, ...others] = listStores(scene.directory);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ name: 'a-small', state: 'ready', threads: 3, attached: 0 });
    expect(second).toMatchObject({ name: 'big', state: 'ready', threads: 7, attached: 2 });
    const { size, blocks } = statSync(scene.path('big'));
    expect([second!.path, second!.memoryBytes, second!.residentBytes]).toEqual([
      scene.path('big'),
      size,
      blocks * 512,
    ]);
    expect(second!.createdMs).toBeGreaterThanOrEqual(beforeMs);
    expect(second!.createdMs).toBeLessThanOrEqual(Date.now());
    await child.kill();
    expect(listStores(scene.directory)[1]).toMatchObject({ attached: 1 });
    // Looking takes no slot. That of the killed process is free when somebody needs it.
    expect(big.stats().store.threads_attached).toBeLessThanOrEqual(2);
  });
});

describe('removeStore', () => {
  test('refuses while a thread is attached, of this process or of another', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    const child = await scene.child();
    await child.run(({ open, state }, place) => {
      state.store = open(place);
    }, scene.place);
    expect(codeOf(() => removeStore(scene.name))).toBe('TMEM_ERR_STORE_IN_USE');
    store.close();
    expect(codeOf(() => removeStore(scene.name))).toBe('TMEM_ERR_STORE_IN_USE');
    const inChild = await child.run(
      ({ removeStore, codeOf }, name) => codeOf(() => removeStore(name)),
      scene.name,
    );
    expect(inChild).toBe('TMEM_ERR_STORE_IN_USE');
    await child.run(({ state }) => state.store.close());
    removeStore(scene.name);
    expect(existsSync(scene.path())).toBe(false);
    expect(codeOf(() => removeStore(scene.name))).toBe('TMEM_ERR_NO_STORE');
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_NO_STORE');
  });

  test('removes a store whose processes were all killed', async () => {
    const scene = newScene();
    const child = await scene.child();
    await child.run(({ open }, place) => void open({ ...place, memory: '16 MiB' }), scene.place);
    await child.kill();
    removeStore(scene.name);
    expect(existsSync(scene.path())).toBe(false);
  });

  test('by force leaves those who have it what they have, and tells them', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    const token = store.share();
    putPages(poolOf(store), 0, 100);
    const heard: string[] = [];
    const listener = (event: unknown) => heard.push((event as TmemEvents['tmem:store:gone']).path);
    subscribe('tmem:store:gone', listener);
    onTestFinished(() => void unsubscribe('tmem:store:gone', listener));
    const child = await scene.child();
    await child.run(({ open, poolOf, state, tell }, place) => {
      process.getBuiltinModule('node:diagnostics_channel').subscribe('tmem:store:gone', () => tell('gone'));
      state.pool = poolOf(open(place));
    }, scene.place);
    removeStore(scene.name, { force: true });
    expect(codeOf(() => attach(token))).toBe('TMEM_ERR_STORE_GONE');
    // The two still share what they have.
    expect(putPages(poolOf(store), 100, 100)).toBe(100);
    const seen = await child.run(({ getPages, state }) => getPages(state.pool, 0, 200));
    expect(seen).toEqual({ right: 200, missing: 0, wrong: 0 });
    await child.told('gone');
    await until(() => heard.length > 0, 'this process is told');
    expect(heard).toEqual([scene.path()]);
    // Whoever comes now makes another store.
    const next = scene.open({ memory: '16 MiB' });
    expect(next.isNew).toBe(true);
    expect(getPages(poolOf(next), 0, 200)).toEqual({ right: 0, missing: 200, wrong: 0 });
    expect(codeOf(() => attach(token))).toBe('TMEM_ERR_STORE_GONE');
    putPages(poolOf(next), 0, 200, 2);
    expect(getPages(poolOf(store), 0, 200)).toEqual({ right: 200, missing: 0, wrong: 0 });
  });

  test('removes damaged stores and those of other layouts, too', () => {
    const scene = newScene();
    scene.open({ memory: '16 MiB' }).close();
    const other = scene.path().replace(/v\d+$/, 'v1');
    copyFileSync(scene.path(), other);
    removeStore(scene.name);
    expect([existsSync(scene.path()), existsSync(other)]).toEqual([false, true]);
    removeStore(scene.name);
    expect(existsSync(other)).toBe(false);
  });
});

describe('a store that was removed and made again by the same name', () => {
  test('has none of the old pages, even where memory is used again', async () => {
    const scene = newScene();
    for (let version = 1; version <= 6; version++) {
      const store = scene.open({ memory: '16 MiB' });
      expect(store.isNew).toBe(true);
      expect(getPages(poolOf(store), 0, 500, version - 1)).toEqual({ right: 0, missing: 500, wrong: 0 });
      putPages(poolOf(store), 0, 500, version);
      store.close();
      removeStore(scene.name);
    }
  });

  test('or pools and clients of it, gives none of the old pages to any process', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', arenas: 2 });
    const child = await scene.child();
    await child.run(({ open, poolOf, state }, place) => {
      state.store = open(place);
      state.pool = poolOf(state.store);
    }, scene.place);
    for (let version = 1; version <= 6; version += 2) {
      putPages(poolOf(store), 0, 300, version);
      if (version % 4 === 1) poolOf(store).destroy();
      else store.client('web').remove();
      const seen = await child.run(({ poolOf, putPages, getPages, state }, version) => {
        const stale = getPages(state.pool, 0, 300, version);
        state.pool = poolOf(state.store);
        const found = getPages(state.pool, 0, 300, version);
        putPages(state.pool, 150, 300, version + 1);
        return { stale, found };
      }, version);
      const none = { right: 0, missing: 300, wrong: 0 };
      expect(seen).toEqual({ stale: none, found: none });
      expect(getPages(poolOf(store), 0, 450, version + 1)).toEqual({ right: 300, missing: 150, wrong: 0 });
      poolOf(store).flush();
    }
  });
});
