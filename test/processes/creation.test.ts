// Named stores come into being all at once or not at all, and are found by name from then on.

import { readdirSync, statfsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openDraft } from '../../src/zcache/index.ts';
import { needsRoot, newScene, SHM } from './scene.ts';
import { tools } from './tools.ts';

const { poolOf, putPages, getPages, codeOf } = tools;

/** Files of a scene in its directory. */
function filesOf(name: string, directory = SHM): string[] {
  return readdirSync(directory).filter((file) => file.startsWith(`tmem.${name}`));
}

describe('creating', () => {
  test('by eight processes at once: one creates, seven attach, and all work on one store', async () => {
    const scene = newScene();
    const children = await scene.children(8);
    const startMs = Date.now() + 100;
    const opened = await Promise.all(
      children.map((child, at) =>
        child.run(
          async ({ open, poolOf, putPages, state }, place, startMs, at) => {
            // Not before the others are told, too.
            await new Promise((resolve) => setTimeout(resolve, startMs - Date.now()));
            state.store = open({ ...place, memory: '16 MiB', threads: 9 });
            state.pool = poolOf(state.store);
            return { isNew: state.store.isNew, stored: putPages(state.pool, at * 50, 50) };
          },
          scene.place,
          startMs,
          at,
        ),
      ),
    );
    expect(opened.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(opened.every(({ stored }) => stored === 50)).toBe(true);
    for (const child of children.slice(0, 2)) {
      const found = await child.run(({ getPages, state }) => getPages(state.pool, 0, 400));
      expect(found).toEqual({ right: 400, missing: 0, wrong: 0 });
    }
    expect(filesOf(scene.name)).toHaveLength(1);
  });

  test('shows nobody a file before it is whole: who looks all the time finds none or a ready store', async () => {
    const scene = newScene();
    const [watcher, maker] = await scene.children(2);
    const looks = watcher!.run(async ({ open, codeOf }, place) => {
      const seen = new Set<string>();
      for (let looks = 0; looks < 20_000 && !seen.has('attached'); looks++) {
        const code = codeOf(() => open(place).close());
        seen.add(code ?? 'attached');
        if (looks === 0) process.send?.({ told: 'looking' });
      }
      return [...seen];
    }, scene.place);
    await watcher!.told('looking');
    await maker!.run(({ open, state }, place) => {
      state.store = open({ ...place, memory: '64 MiB' });
    }, scene.place);
    expect((await looks).sort()).toEqual(['TMEM_ERR_NO_STORE', 'attached']);
  });
});

describe('a draft', () => {
  test('is seen by nobody until it is published, and then with its pages', () => {
    const scene = newScene();
    const draft = openDraft({ ...scene.place, memory: '16 MiB' });
    putPages(poolOf(draft.store), 0, 100);
    expect(filesOf(scene.name)).toEqual([]);
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_NO_STORE');
    draft.publish();
    draft.store.close();
    expect(getPages(poolOf(scene.open()), 0, 100)).toEqual({ right: 100, missing: 0, wrong: 0 });
  });

  test('whose process is killed leaves nothing', async (context) => {
    needsRoot(context);
    const scene = newScene();
    scene.mount('size=64m');
    const child = await scene.child();
    await child.run(({ openDraft, putPages, poolOf }, place) => {
      putPages(poolOf(openDraft({ ...place, memory: '32 MiB', prefault: true }).store), 0, 100);
    }, scene.place);
    const taken = () => statfsSync(scene.directory).blocks - statfsSync(scene.directory).bfree;
    expect(taken()).toBeGreaterThan(8000);
    await child.kill();
    expect(readdirSync(scene.directory)).toEqual([]);
    expect(taken()).toBeLessThan(10);
  });

  test('of a name that is taken meanwhile is not published', () => {
    const scene = newScene();
    const draft = openDraft({ ...scene.place, memory: '16 MiB' });
    const store = scene.open({ memory: '16 MiB' });
    expect(store.isNew).toBe(true);
    expect(codeOf(() => draft.publish())).toBe('TMEM_ERR_STORE_EXISTS');
    expect(codeOf(() => openDraft({ ...scene.place, memory: '16 MiB' }))).toBe('TMEM_ERR_STORE_EXISTS');
    draft.store.close();
  });
});
