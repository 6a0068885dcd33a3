// A named store is one store for all who open it: processes, threads, and those who come after everybody left.

import { once } from 'node:events';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { StoreToken } from '../../src/index.ts';
import { newScene } from './scene.ts';
import { type Tools, tools } from './tools.ts';

const { poolOf, putPages, getPages, codeOf, arenasOf } = tools;
const ALL = (pages: number) => ({ right: pages, missing: 0, wrong: 0 });

/** What a function gives in a worker thread that attached by a token, or by name. */
async function inThread<Result>(
  how: { token: StoreToken } | { place: { name: string; directory: string } },
  call: (tools: Tools) => Result,
): Promise<Result> {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: { ...how, source: call.toString() },
  });
  try {
    const [result] = await once(worker, 'message');
    return result as Result;
  } finally {
    await worker.terminate();
  }
}

describe('a named store', () => {
  test('is the same for another process and for worker threads, by token and by name', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    const pool = poolOf(store);
    expect(store).toMatchObject({ isNew: true, name: scene.name });
    putPages(pool, 0, 10);
    const child = await scene.child();
    const seen = await child.run(({ open, poolOf, putPages, getPages }, place) => {
      const store = open(place);
      const found = getPages(poolOf(store), 0, 10);
      putPages(poolOf(store), 10, 10);
      return { isNew: store.isNew, memory: store.settings.memory, found };
    }, scene.place);
    expect(seen).toEqual({ isNew: false, memory: 16 * 2 ** 20, found: ALL(10) });
    const byToken = await inThread({ token: store.share() }, ({ state, poolOf, putPages, getPages }) => {
      putPages(poolOf(state.store), 20, 10);
      return { name: state.store.name, found: getPages(poolOf(state.store), 0, 20) };
    });
    expect(byToken).toEqual({ name: scene.name, found: ALL(20) });
    const byName = await inThread({ place: scene.place }, ({ state, poolOf, putPages, getPages }) => {
      putPages(poolOf(state.store), 30, 10);
      return getPages(poolOf(state.store), 0, 30);
    });
    expect(byName).toEqual(ALL(30));
    expect(getPages(pool, 0, 40)).toEqual(ALL(40));
  });

  test('may be opened twice in one thread, and closing one view leaves the other', () => {
    const scene = newScene();
    const first = scene.open({ memory: '16 MiB' });
    const second = scene.open();
    putPages(poolOf(first), 0, 10);
    expect(getPages(poolOf(second), 0, 10)).toEqual(ALL(10));
    expect(first.stats().store.threads_attached).toBe(2);
    first.close();
    putPages(poolOf(second), 10, 10);
    expect(second.stats().store.threads_attached).toBe(1);
    expect(getPages(poolOf(scene.open()), 0, 20)).toEqual(ALL(20));
  });

  test('is warm after every process ended: clients, pools, pages and counters are found by name', async () => {
    const scene = newScene();
    const [closing, killed] = await scene.children(2);
    await closing!.run(({ open, poolOf, putPages }, place) => {
      const store = open({ ...place, memory: '16 MiB' });
      store.client('api', { weight: 300, cap: '4 MiB' });
      putPages(poolOf(store, 'kept'), 0, 200);
      putPages(poolOf(store, 'cached', { kind: 'ephemeral', codec: 'lzo' }), 0, 200, 2);
      store.close();
    }, scene.place);
    await closing!.kill();
    await killed!.run(({ open, poolOf, putPages }, place) => {
      putPages(poolOf(open(place), 'kept'), 200, 200);
    }, scene.place);
    await killed!.kill();
    const store = scene.open();
    expect(store.isNew).toBe(false);
    const names = store
      .stats()
      .clients.map(({ name, weight, pools }) => [name, weight, pools.map((pool) => pool.name).sort()]);
    expect(names).toEqual([
      ['api', 300, []],
      ['web', 100, ['cached', 'kept']],
    ]);
    expect(codeOf(() => store.client('api', { weight: 100 }))).toBe('TMEM_ERR_NAME_MISMATCH');
    expect(codeOf(() => poolOf(store, 'cached', { kind: 'ephemeral', codec: 'lz4' }))).toBe(
      'TMEM_ERR_NAME_MISMATCH',
    );
    expect(getPages(poolOf(store, 'kept'), 0, 400)).toEqual(ALL(400));
    expect(getPages(poolOf(store, 'cached', { kind: 'ephemeral' }), 0, 200, 2)).toEqual(ALL(200));
    const puts = store.stats().clients[1]!.pools.map((pool) => pool.content.curr_pages);
    expect(puts.sort()).toEqual([200, 400]);
  });

  test('keeps each version of a page that is put again by whichever process', async () => {
    const scene = newScene();
    const pool = poolOf(scene.open({ memory: '16 MiB' }));
    const child = await scene.child();
    await child.run(({ open, poolOf, state }, place) => {
      state.pool = poolOf(open(place));
    }, scene.place);
    for (let version = 1; version < 20; version += 2) {
      putPages(pool, 0, 20, version);
      const seen = await child.run(({ getPages, putPages, state }, version) => {
        const found = getPages(state.pool, 0, 20, version);
        putPages(state.pool, 0, 20, version + 1);
        return found;
      }, version);
      expect(seen).toEqual(ALL(20));
      expect(getPages(pool, 0, 20, version + 1)).toEqual(ALL(20));
    }
  });
});

describe('settings of a store that exists', () => {
  test('are those it was created with; what is given has to agree, and each difference is named', () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', threads: 5, codec: 'lzo', lockTimeoutMs: 1234 });
    expect(scene.open().settings).toEqual(store.settings);
    expect(scene.open({ memory: 16 * 2 ** 20, threads: 5, codec: 'lzo' }).settings).toEqual(store.settings);
    const differing = { memory: '32 MiB', threads: 6, codec: 'lz4', lockTimeoutMs: 99, pools: 7 } as const;
    for (const [key, value] of Object.entries(differing)) {
      const open = () => scene.open({ [key]: value });
      expect(codeOf(open)).toBe('TMEM_ERR_NAME_MISMATCH');
      expect(open).toThrow(new RegExp(`${key} is .*, not `));
    }
    expect(() => scene.open({ threads: 6, codec: 'lz4' })).toThrow(
      /threads is 5, not 6, codec is "lzo", not "lz4"/,
    );
    expect(codeOf(() => scene.open({ threads: 1000 }))).toBe('TMEM_ERR_SETTING');
    // What each thread decides for itself need not agree.
    expect(scene.open({ shrinker: { enabled: false }, debug: true }).settings.shrinker.enabled).toBe(false);
    expect(store.stats().store.threads_attached).toBe(4);
  });

  test('are needed to create it: without memory there is no store', () => {
    const scene = newScene();
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_NO_STORE');
    expect(codeOf(() => scene.open({ memory: '8 MiB', threads: 128 }))).toBe('TMEM_ERR_SETTING');
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_NO_STORE');
  });
});

describe('a store of several arenas', () => {
  test('is one file, and the same store for all', async () => {
    const scene = newScene();
    const store = scene.open({ memory: '32 MiB', arenas: 3 });
    const arenas = arenasOf(store).all;
    expect(arenas).toHaveLength(3);
    expect(statSync(scene.path()).size).toBe(arenas.reduce((sum, { bytes }) => sum + bytes.length, 0));
    putPages(poolOf(store), 0, 1500);
    const child = await scene.child();
    const seen = await child.run(({ open, poolOf, getPages, flushPages, arenasOf }, place) => {
      const store = open(place);
      const pool = poolOf(store);
      const found = getPages(pool, 0, 1500);
      flushPages(pool, 0, 500);
      const placed = arenasOf(store).all.map((arena, at) => arena.wasm.pagesOf(pool.arenaIds[at]!));
      return { arenas: store.settings.arenas, found, placed };
    }, scene.place);
    expect(seen).toMatchObject({ arenas: 3, found: ALL(1500) });
    expect(seen.placed.every((pages) => pages > 0)).toBe(true);
    expect(getPages(poolOf(store), 0, 1500)).toEqual({ right: 1000, missing: 500, wrong: 0 });
    expect(codeOf(() => scene.open({ arenas: 2 }))).toBe('TMEM_ERR_NAME_MISMATCH');
  });

  test('above 4 GiB takes no more of the machine than what is put into it', async () => {
    const scene = newScene();
    const child = await scene.child();
    const seen = await child.run(({ open, poolOf, putPages, getPages }, place) => {
      const store = open({ ...place, memory: '5 GiB', threads: 2, pools: 4, clients: 2, stagingPages: 8 });
      const pool = poolOf(store);
      putPages(pool, 0, 3000);
      return { arenas: store.settings.arenas, found: getPages(pool, 0, 3000) };
    }, scene.place);
    expect(seen).toEqual({ arenas: 2, found: ALL(3000) });
    const { size, blocks } = statSync(scene.path());
    expect(size).toBe(5 * 2 ** 30);
    // 9 bytes and a bit of tables for each frame, and less than 12 MiB of pages.
    expect(blocks * 512).toBeLessThan(40 * 2 ** 20);
    expect(getPages(poolOf(scene.open()), 0, 3000)).toEqual(ALL(3000));
  });
});

describe('two versions of the layout', () => {
  test('live side by side under one name, each left alone by the other', () => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB' });
    putPages(poolOf(store), 0, 50);
    store.close();
    const { layout } = arenasOf(scene.open()).all[0];
    const other = scene.path().replace(/v\d+$/, 'v1');
    const bytes = readFileSync(scene.path());
    bytes.writeUInt32LE(1, layout.H_VERSION);
    writeFileSync(other, bytes, { mode: 0o600 });
    expect(getPages(poolOf(scene.open()), 0, 50)).toEqual(ALL(50));
    expect(readFileSync(other).equals(bytes)).toBe(true);
    const states = tools.listStores().filter(({ name }) => name === scene.name);
    expect(states.map(({ path, state }) => [path, state])).toEqual([
      [other, 'other-layout'],
      [scene.path(), 'ready'],
    ]);
  });

  test('do not meet: a file whose name and version differ is refused', () => {
    const scene = newScene();
    const { layout } = arenasOf(scene.open({ memory: '16 MiB' })).all[0];
    const copy = `${scene.name}-copy`;
    copyFileSync(scene.path(), scene.path(copy));
    const bytes = readFileSync(scene.path(copy));
    bytes.writeUInt32LE(layout.LAYOUT_VERSION + 1, layout.H_VERSION);
    writeFileSync(scene.path(copy), bytes);
    expect(codeOf(() => scene.open({ name: copy }))).toBe('TMEM_ERR_LAYOUT');
    expect(codeOf(() => scene.open({ name: copy, memory: '16 MiB' }))).toBe('TMEM_ERR_LAYOUT');
  });
});

describe('a name', () => {
  test.each([
    ['', 'empty'],
    ['.', 'a directory'],
    ['..', 'a directory'],
    ['.hidden', 'a dot first'],
    ['-rf', 'a hyphen first'],
    ['a/b', 'a slash'],
    ['../a', 'a way out'],
    ['a\\b', 'a backslash'],
    ['a b', 'a space'],
    ['a\nb', 'a line end'],
    ['a\0b', 'a zero'],
    ['a\u001bb', 'a control character'],
    ['ä', 'a letter beyond ASCII'],
    ['名前', 'letters beyond ASCII'],
    ['a\u200bb', 'an invisible character'],
    ['a'.repeat(65), '65 characters'],
    ['a\n', 'a line end at the end'],
    [7 as unknown as string, 'no text'],
    [null as unknown as string, 'nothing'],
  ])('%j is refused, and nothing is made: %s', (name) => {
    const scene = newScene();
    const directory = scene.subdirectory();
    const options = { name, directory, memory: '16 MiB' } as const;
    const { open, openDraft, removeStore, checkStore } = tools;
    expect(codeOf(() => open(options))).toBe('TMEM_ERR_STORE_NAME');
    expect(codeOf(() => openDraft(options))).toBe('TMEM_ERR_STORE_NAME');
    expect(codeOf(() => removeStore(name, { directory }))).toBe('TMEM_ERR_STORE_NAME');
    expect(codeOf(() => checkStore(name, { directory }))).toBe('TMEM_ERR_STORE_NAME');
    expect(tools.listStores(directory)).toEqual([]);
  });

  test('of 64 characters, of one, and with dots is a name', () => {
    const scene = newScene();
    scene.directory = scene.subdirectory();
    for (const name of ['a'.repeat(64), '0', 'a.b..c', 'web_1-x.v2', 'v2']) {
      scene.open({ name, memory: '16 MiB' });
      expect(scene.open({ name })).toMatchObject({ name, isNew: false });
    }
    expect(tools.listStores(scene.directory)).toHaveLength(5);
  });
});
