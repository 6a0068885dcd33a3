// A file system of named stores that is full: puts are refused or evict, nothing else fails, and nobody is killed for
// touching memory that is not there.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Child, needsRoot, newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, openDraft, listStores } = tools;
const MIB = 2 ** 20;
const SIZES = { threads: 2, pools: 8, clients: 4, stagingPages: 8 } as const;

/** Fills the scene's file system to the last byte; how to empty it again. */
function fill(scene: Scene): () => void {
  const ballast = join(scene.directory, 'ballast');
  expect(() => writeFileSync(ballast, Buffer.alloc(64 * MIB))).toThrow('ENOSPC');
  return () => rmSync(ballast);
}

/** Puts pages until none of a hundred is stored; how many were. */
function putAll(child: Child, pool: string, kind: 'persistent' | 'ephemeral'): Promise<number> {
  return child.run(
    ({ poolOf, putPages, state }, pool, kind) => {
      let stored = 0;
      for (let first = 0; first < 20_000; first += 100) {
        const now = putPages(poolOf(state.store, pool, { kind }), first, 100);
        stored += now;
        if (now === 0) break;
      }
      return stored;
    },
    pool,
    kind,
  );
}

describe('a full file system', () => {
  beforeEach(needsRoot);

  test('refuses persistent pages, keeps and gives those it has, and takes more when there is space again', async () => {
    const scene = newScene();
    scene.mount('size=24m');
    const child = await scene.child();
    await child.run(
      ({ open, poolOf, putPages, state }, options) => {
        state.store = open(options);
        state.pool = poolOf(state.store);
        putPages(state.pool, 0, 1000);
      },
      { ...scene.place, ...SIZES, memory: '24 MiB' },
    );
    const empty = fill(scene);
    const stored = await putAll(child, 'more', 'persistent');
    // What had memory already is used up.
    expect(stored).toBeLessThan(1000);
    const right = { right: 1000, missing: 0, wrong: 0 };
    expect(await child.run(({ getPages, state }) => getPages(state.pool, 0, 1000))).toEqual(right);
    // A refused put leaves nothing of the page that was there before.
    const seen = await child.run(({ poolOf, putPages, getPages, state, oidOf }) => {
      const noise = crypto.getRandomValues(new Uint8Array(3000));
      const outcome = poolOf(state.store).put(oidOf(0), 0, noise);
      return { outcome, again: putPages(state.pool, 1, 10, 2), found: getPages(state.pool, 1, 10, 2) };
    });
    expect(seen.found).toEqual({ right: seen.again, missing: 10 - seen.again, wrong: 0 });
    // Everything else works, too, and gives memory back to the full file system.
    const given = await child.run(({ poolOf, flushPages, state }) => {
      flushPages(state.pool, 500, 500);
      state.store.stats();
      state.store.shrink(10);
      for (const { index } of poolOf(state.store, 'more').walk()) void index;
      poolOf(state.store, 'more').destroy();
      return state.store.giveBack(10_000);
    });
    expect(given).toBeGreaterThan(50);
    empty();
    expect(await putAll(child, 'again', 'persistent')).toBeGreaterThan(3000);
    expect(await child.run(({ getPages, state }) => getPages(state.pool, 100, 400))).toEqual({
      right: 400,
      missing: 0,
      wrong: 0,
    });
  });

  test('makes ephemeral pages go in place of growing', async () => {
    const scene = newScene();
    scene.mount('size=24m');
    const child = await scene.child();
    await child.run(
      ({ open, state }, options) => {
        state.store = open(options);
      },
      { ...scene.place, ...SIZES, memory: '24 MiB' },
    );
    const before = await child.run(({ poolOf, putPages, state }) =>
      putPages(poolOf(state.store, 'cache', { kind: 'ephemeral' }), 0, 500),
    );
    expect(before).toBe(500);
    fill(scene);
    const after = await child.run(({ poolOf, putPages, getPages, state }) => {
      const pool = poolOf(state.store, 'cache', { kind: 'ephemeral' });
      return {
        stored: putPages(pool, 500, 3000),
        last: getPages(pool, 3400, 100),
        all: getPages(pool, 0, 3500),
      };
    });
    expect(after.stored).toBe(3000);
    expect(after.last).toEqual({ right: 100, missing: 0, wrong: 0 });
    expect(after.all).toMatchObject({ wrong: 0 });
    expect(after.all.right).toBeLessThan(1000);
  });

  test('is met by several processes at once, and all of them live through it', async () => {
    const scene = newScene();
    scene.mount('size=20m');
    const children = await scene.children(2);
    const stored = await Promise.all(
      children.map((child, at) =>
        child.run(
          ({ open, poolOf, putPages, getPages, flushPages }, options, at) => {
            const store = open(options);
            const pool = poolOf(store, `pool-${at}`);
            let wrong = 0;
            for (let round = 0; round < 2; round++) {
              for (let first = 0; first < 6000; first += 100) if (putPages(pool, first, 100) === 0) break;
              wrong += getPages(pool, 0, 6000).wrong;
              flushPages(pool, 2000, 4000);
              store.giveBack(300);
            }
            return { wrong, kept: getPages(pool, 0, 1000).right };
          },
          { ...scene.place, ...SIZES, threads: 3, memory: '20 MiB' },
          at,
        ),
      ),
    );
    expect(stored.map(({ wrong }) => wrong)).toEqual([0, 0]);
    expect(stored.some(({ kept }) => kept > 500)).toBe(true);
    expect(tools.checkStore(scene.name, scene.place)).toMatchObject({ sound: true, findings: [] });
  });
});

describe('a file system that is too small', () => {
  beforeEach(needsRoot);

  test('for the memory asked for is told at once, with how to get more, and nothing is made', () => {
    const scene = newScene();
    scene.mount('size=24m');
    for (const open of [tools.open, openDraft]) {
      const call = () => open({ ...scene.place, memory: '25 MiB' });
      expect(codeOf(call)).toBe('TMEM_ERR_NO_SPACE');
      expect(call).toThrow(/25 MiB.*24 MiB.*--shm-size/s);
    }
    expect(listStores(scene.directory)).toEqual([]);
  });

  test('for the tables now is told, and nothing is made', () => {
    const scene = newScene();
    scene.mount('size=24m');
    const empty = fill(scene);
    const call = () => scene.open({ ...SIZES, memory: '24 MiB' });
    expect(codeOf(call)).toBe('TMEM_ERR_NO_SPACE');
    expect(call).toThrow(/KiB of the store's tables/);
    expect(listStores(scene.directory)).toEqual([]);
    empty();
    expect(call().isNew).toBe(true);
  });

  test('to have all of it at once is told by prefault, and nothing is made', () => {
    const scene = newScene();
    scene.mount('size=24m');
    writeFileSync(join(scene.directory, 'ballast'), Buffer.alloc(8 * MIB));
    const call = (prefault: boolean) => scene.open({ ...SIZES, memory: '24 MiB', prefault });
    expect(codeOf(() => call(true))).toBe('TMEM_ERR_NO_SPACE');
    expect(listStores(scene.directory)).toEqual([]);
    expect(call(false).isNew).toBe(true);
    expect(codeOf(() => call(true))).toBe('TMEM_ERR_NO_SPACE');
  });
});
