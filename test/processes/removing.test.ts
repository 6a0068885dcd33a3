// Removing and listing stores while others remove and make them, or have put something else in their place.

import { symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { newScene } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, listStores, removeStore } = tools;

test('a store that was made anew while the old one was to be removed is not removed in its place', async () => {
  const scene = newScene();
  const child = await scene.child();
  const result = await child.run(({ open, removeStore, codeOf, poolOf, putPages, getPages, Libc }, place) => {
    const { unlinkSync } = process.getBuiltinModule('node:fs');
    const found: unknown[] = [];
    open({ ...place, memory: '16 MiB' }).close();
    const path = `${place.directory}/tmem.${place.name}.v3`;
    const original = Libc.prototype.lockBytes;
    Libc.prototype.lockBytes = function (...args) {
      Libc.prototype.lockBytes = original;
      unlinkSync(path);
      const store = open({ ...place, memory: '16 MiB' });
      putPages(poolOf(store), 0, 10);
      return original.apply(this, args);
    };
    found.push(codeOf(() => removeStore(place.name, { directory: place.directory })));
    found.push(getPages(poolOf(open(place)), 0, 10));
    return found;
  }, scene.place);
  expect(result).toEqual(['TMEM_ERR_STORE_IN_USE', { right: 10, missing: 0, wrong: 0 }]);
});

test('a symbolic link that leads to itself is listed as not ours, and hides no other store', () => {
  const scene = newScene();
  scene.directory = scene.subdirectory();
  scene.open({ memory: '16 MiB' });
  symlinkSync(`tmem.${scene.name}-loop.v3`, scene.path(`${scene.name}-loop`));
  const states = Object.fromEntries(listStores(scene.directory).map(({ name, state }) => [name, state]));
  expect(states).toEqual({ [scene.name]: 'ready', [`${scene.name}-loop`]: 'not-ours' });
  expect(codeOf(() => removeStore(`${scene.name}-loop`, { directory: scene.directory }))).toBe(
    'TMEM_ERR_STORE_FILE',
  );
});
