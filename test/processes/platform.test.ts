// Where named stores cannot be: each reason has its code, and stores without a name work as before.

import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Child, newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const NO_KOFFI = new URL('./no-koffi.ts', import.meta.url).href;

/** What all that deals with named stores says, and what a store without a name still does. */
function callAll(child: Child, scene: Scene) {
  return child.run((tools, place) => {
    const { open, openDraft, listStores, removeStore, checkStore, codeOf, poolOf, putPages, getPages } =
      tools;
    const options = { ...place, memory: '16 MiB' } as const;
    const named = [
      codeOf(() => open(options)),
      codeOf(() => openDraft({ ...options, name: `${place.name}-b` })),
      codeOf(() => checkStore(place.name, place)),
      codeOf(() => removeStore(place.name, place)),
      codeOf(() => listStores(place.directory)),
    ];
    let message = '';
    try {
      open(options);
    } catch (error) {
      message = (error as Error).message;
    }
    const store = open({ memory: '16 MiB' });
    const stored = putPages(poolOf(store), 0, 500);
    poolOf(store, 'cache', { kind: 'ephemeral' });
    const found = getPages(poolOf(store), 0, 500);
    poolOf(store).flush();
    const { freed } = store.shrink(10);
    return { named, message, stored, found, freed, given: store.giveBack(100) };
  }, scene.place);
}

const PRIVATE_WORKS = { stored: 500, found: { right: 500, missing: 0, wrong: 0 } };

/** A scene whose store exists, so that everything gets as far as it can. */
async function sceneWithStore(): Promise<Scene> {
  const scene = newScene();
  scene.directory = scene.subdirectory();
  const maker = await scene.child();
  await maker.run(({ open }, place) => void open({ ...place, memory: '16 MiB' }), scene.place);
  await maker.kill();
  return scene;
}

describe('without koffi', () => {
  test('named stores say that it is missing; others work, but give nothing back', async () => {
    const scene = await sceneWithStore();
    const seen = await callAll(await scene.child(['--import', NO_KOFFI]), scene);
    expect(seen).toMatchObject({ ...PRIVATE_WORKS, given: 0 });
    expect(new Set(seen.named)).toEqual(new Set(['TMEM_ERR_NO_KOFFI']));
    expect(seen.message).toContain('install it');
    expect(readdirSync(scene.directory)).toHaveLength(1);
  });

  test('because Node.js may load no addons, the way out is named', async () => {
    const scene = await sceneWithStore();
    const child = await scene.child(['--permission', '--allow-fs-read=*', '--allow-fs-write=*']);
    const seen = await callAll(child, scene);
    expect(seen).toMatchObject({ ...PRIVATE_WORKS, given: 0 });
    expect(new Set(seen.named)).toEqual(new Set(['TMEM_ERR_NO_KOFFI']));
    expect(seen.message).toContain('--allow-addons');
    const allowed = await scene.child([
      '--permission',
      '--allow-fs-read=*',
      '--allow-fs-write=*',
      '--allow-addons',
    ]);
    const stored = await allowed.run(({ open, poolOf, putPages }, place) => {
      return putPages(poolOf(open(place)), 0, 10);
    }, scene.place);
    expect(stored).toBe(10);
  });
});

describe('a machine that named stores were not made for', () => {
  test.each([
    ['another processor', { arch: 'riscv64' }],
    ['another system', { platform: 'darwin' }],
    ['a Node.js with the V8 sandbox', { sandbox: true }],
  ] as const)('is told apart: %s', async (_what, machine) => {
    const scene = await sceneWithStore();
    const child = await scene.child();
    await child.run((_tools, machine) => {
      for (const [key, value] of Object.entries(machine)) {
        if (key !== 'sandbox') Object.defineProperty(process, key, { value });
        else Object.defineProperty(process, 'config', { value: { variables: { v8_enable_sandbox: 1 } } });
      }
    }, machine);
    const seen = await callAll(child, scene);
    expect(seen).toMatchObject({ ...PRIVATE_WORKS, given: 0 });
    expect(new Set(seen.named)).toEqual(new Set(['TMEM_ERR_PLATFORM']));
    expect(readdirSync(scene.directory)).toHaveLength(1);
    expect(tools.checkStore(scene.name, scene.place)).toMatchObject({ sound: true, findings: [] });
  });
});
