// What is in the place of a store's file, and where it would be made: whatever is not wholly ours is refused with a
// code, and left alone.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { needsRoot, newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, openDraft, removeStore, checkStore, listStores, poolOf, putPages, getPages } = tools;
const OTHER_USER = 65_534;

/** Everything that opens a file of a store refuses the scene's, which stays as it is. */
function expectLeftAlone(scene: Scene): void {
  const { place } = scene;
  const before = lstatSync(scene.path());
  expect(codeOf(() => scene.open({ memory: '8 MiB', threads: 2 }))).toBe('TMEM_ERR_STORE_FILE');
  expect(codeOf(() => scene.open())).toBe('TMEM_ERR_STORE_FILE');
  expect(codeOf(() => checkStore(place.name, place))).toBe('TMEM_ERR_STORE_FILE');
  expect(codeOf(() => removeStore(place.name, place))).toBe('TMEM_ERR_STORE_FILE');
  expect(codeOf(() => removeStore(place.name, { ...place, force: true }))).toBe('TMEM_ERR_STORE_FILE');
  const listed = listStores(place.directory).filter(({ name }) => name === place.name);
  expect(listed.map(({ state }) => state)).toEqual(['not-ours']);
  const after = lstatSync(scene.path());
  expect([after.ino, after.size, after.mode, after.mtimeMs]).toEqual([
    before.ino,
    before.size,
    before.mode,
    before.mtimeMs,
  ]);
}

/** A sound store's file, with some pages, that nobody has open. */
function closedStore(): Scene {
  const scene = newScene();
  const store = scene.open({ memory: '8 MiB', threads: 2 });
  putPages(poolOf(store), 0, 10);
  store.close();
  return scene;
}

/** After it was put right again, the store is as it was. */
function expectSound(scene: Scene): void {
  expect(getPages(poolOf(scene.open()), 0, 10)).toEqual({ right: 10, missing: 0, wrong: 0 });
}

describe('in the place of the file', () => {
  test('a directory is left alone', () => {
    const scene = newScene();
    mkdirSync(scene.path());
    expectLeftAlone(scene);
  });

  test('a symbolic link is not followed, even to a sound store of ours', () => {
    const scene = closedStore();
    renameSync(scene.path(), scene.path(`${scene.name}-b`));
    symlinkSync(scene.path(`${scene.name}-b`), scene.path());
    expectLeftAlone(scene);
    expect(scene.open({ name: `${scene.name}-b` }).isNew).toBe(false);
  });

  test('a symbolic link to nothing is not written through', () => {
    const scene = newScene();
    symlinkSync(scene.path(`${scene.name}-b`), scene.path());
    expect(codeOf(() => scene.open({ memory: '8 MiB', threads: 2 }))).toBe('TMEM_ERR_STORE_FILE');
    expect(readdirSync(scene.directory).filter((file) => file.includes(scene.name))).toHaveLength(1);
  });

  test('a fifo does not make anybody wait', () => {
    const scene = newScene();
    expect(spawnSync('mkfifo', ['-m', '600', scene.path()]).status).toBe(0);
    expectLeftAlone(scene);
  });

  test('a socket is left alone', async () => {
    const scene = newScene();
    const server = createServer();
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(scene.path(), resolve));
    expectLeftAlone(scene);
  });

  test.each(['640', '606', '660', '700', '666'])('a file of mode 0%s is left alone', (mode) => {
    const scene = closedStore();
    chmodSync(scene.path(), Number.parseInt(mode, 8));
    expectLeftAlone(scene);
    chmodSync(scene.path(), 0o600);
    expectSound(scene);
  });

  test('a file with a second link is left alone', () => {
    const scene = closedStore();
    const second = scene.path(`${scene.name}-b`);
    linkSync(scene.path(), second);
    expectLeftAlone(scene);
  });

  test('a file of another user is left alone', (context) => {
    needsRoot(context);
    const scene = closedStore();
    chownSync(scene.path(), OTHER_USER, OTHER_USER);
    expectLeftAlone(scene);
    chownSync(scene.path(), 0, 0);
    expectSound(scene);
  });
});

describe('a directory', () => {
  const codesIn = (directory: string) => {
    const options = { name: 'a', directory, memory: '8 MiB', threads: 2 } as const;
    const calls = [tools.open, openDraft].map((open) => codeOf(() => open(options)));
    return [...new Set(calls)];
  };

  test.each([
    '',
    '.',
    'relative',
    './shm',
    '~/shm',
    7 as unknown as string,
    '/no/such/directory',
    '/dev/null',
  ])('%j is refused', (directory) => {
    expect(codesIn(directory)).toEqual(['TMEM_ERR_STORE_DIRECTORY']);
    expect(codeOf(() => listStores(directory))).toBe('TMEM_ERR_STORE_DIRECTORY');
  });

  test('that is not in memory is refused, and nothing is made there', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tmem-on-disk-'));
    onTestFinished(() => rmdirSync(directory));
    // Some machines have their temporary files in memory; then this is what the test is not about.
    const isDisk = spawnSync('stat', ['-f', '-c', '%T', directory]).stdout.toString().trim() !== 'tmpfs';
    expect(codesIn(isDisk ? directory : '/proc')).toEqual(['TMEM_ERR_STORE_DIRECTORY']);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('that is mounted read-only is refused, and so is a store in it', async (context) => {
    needsRoot(context);
    const scene = newScene();
    const directory = scene.mount('size=32m');
    // By a process that ends: a mapped file keeps the file system from becoming read-only.
    const child = await scene.child();
    await child.run(({ open, poolOf, putPages }, place) => {
      putPages(poolOf(open({ ...place, memory: '8 MiB', threads: 2 })), 0, 10);
    }, scene.place);
    await child.kill();
    scene.remount('ro');
    expect(codesIn(directory)).toEqual(['TMEM_ERR_STORE_DIRECTORY']);
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_STORE_FILE');
    expect(() => scene.open()).toThrow(/read-only file system/);
    scene.remount('rw');
    expectSound(scene);
  });

  test('that this user may not write to is refused', async (context) => {
    needsRoot(context);
    const scene = newScene();
    const directory = scene.subdirectory();
    chmodSync(directory, 0o555);
    const child = await scene.child();
    const codes = await child.run(
      ({ open, openDraft, codeOf }, directory, user) => {
        process.setuid?.(user);
        const options = { name: 'a', directory, memory: '8 MiB', threads: 2 } as const;
        return [open, openDraft].map((open) => codeOf(() => open(options)));
      },
      directory,
      OTHER_USER,
    );
    expect(codes).toEqual(['TMEM_ERR_STORE_DIRECTORY', 'TMEM_ERR_STORE_DIRECTORY']);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('of all users keeps one user’s stores from the others', async (context) => {
    needsRoot(context);
    const scene = closedStore();
    const child = await scene.child();
    const codes = await child.run(
      ({ open, removeStore, checkStore, listStores, codeOf }, place, user) => {
        process.setuid?.(user);
        return [
          codeOf(() => open(place)),
          codeOf(() => open({ ...place, memory: '8 MiB' })),
          codeOf(() => removeStore(place.name, { ...place, force: true })),
          codeOf(() => checkStore(place.name, place)),
          listStores(place.directory).find(({ name }) => name === place.name)?.state,
        ];
      },
      scene.place,
      OTHER_USER,
    );
    expect(codes).toEqual([...Array(4).fill('TMEM_ERR_STORE_FILE'), 'not-ours']);
    expectSound(scene);
  });

  test('given without a name is refused', () => {
    const options = { directory: '/dev/shm', memory: '8 MiB' } as const;
    expect(codeOf(() => tools.open(options))).toBe('TMEM_ERR_SETTING');
  });

  test('with files of other names beside the store’s leaves them out of the list', () => {
    const scene = newScene();
    scene.directory = scene.subdirectory();
    scene.open({ memory: '8 MiB', threads: 2 });
    for (const file of [
      'x',
      'tmem.',
      'tmem.a',
      'tmem.a.v',
      'tmem.a.vx',
      'tmem..v2',
      'tmem.a.v2~',
      'tmem.a.v12345678901',
    ]) {
      writeFileSync(join(scene.directory, file), 'x');
    }
    expect(listStores(scene.directory).map(({ name, state }) => [name, state])).toEqual([
      [scene.name, 'ready'],
    ]);
  });
});
