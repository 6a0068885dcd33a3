// Named stores carried over by a file: restored whole under a name, or not at all.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Oid, open, restoreStore, type Store, saveStore } from '../../src/zcache/index.ts';
import { inventoryOf } from '../../src/zcache/save/inventory.ts';

/** A disk for files, and a directory in memory for stores. */
let files = '';
let directory = '';
beforeAll(() => {
  files = mkdtempSync(join(tmpdir(), 'tmem-restore-'));
});
afterAll(() => rmSync(files, { recursive: true, force: true }));
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/tmem-restore-');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sizes = { memory: '16 MiB', threads: 3 };
const pageOf = (i: number, version: number) =>
  Buffer.from(`page ${i} version ${version} `.repeat(1 + (i % 150)));

/** 500 persistent and 500 ephemeral pages. */
function putPages(store: Store, version: number): void {
  const client = store.client('app', { weight: 5, cap: '12 MiB' });
  const kept = client.pool('kept', { kind: 'persistent' });
  const cache = client.pool('cache', { kind: 'ephemeral' });
  for (let i = 0; i < 500; i++) {
    kept.put(Oid.fromNumbers(1, i % 3), i, pageOf(i, version));
    cache.put(Oid.fromNumbers(2), i, pageOf(i, version));
  }
}

const out = Buffer.alloc(4096);
const contentOf = (store: Store) => ({
  ...inventoryOf(store),
  pools: inventoryOf(store).pools.map(({ about, pool }) => ({
    about,
    pages: [...pool.walk()]
      .map(({ oid, index }) => `${oid} ${index} ${out.toString('hex', 0, pool.peek(oid, index, out))}`)
      .sort(),
  })),
});

/** A file of a store that had no name. */
async function savedFile(version = 0): Promise<string> {
  const path = join(files, `version-${version}`);
  using store = open(sizes);
  putPages(store, version);
  await saveStore(store, path, { ephemeral: true });
  return path;
}

test('a store comes back under its name, or under another one beside it, with all it had', async () => {
  const path = join(files, 'named');
  const store = open({ ...sizes, name: 'web', directory, codec: 'lzo', lockTimeoutMs: 777 });
  putPages(store, 0);
  const [before, { settings }] = [contentOf(store), store];
  await saveStore(store, path, { ephemeral: true });
  const beside = await restoreStore(path, { directory, name: 'beside' });
  expect(beside).toMatchObject({ name: 'beside', clients: 1, pools: 2, pages: 1000, dropped: 0 });
  expect(contentOf(store)).toEqual(before);
  store.close();
  for (const name of readdirSync(directory).filter((name) => name.includes('web')))
    rmSync(join(directory, name));
  expect(await restoreStore(path, { directory })).toMatchObject({ name: 'web', pages: 1000 });
  for (const name of ['web', 'beside']) {
    using again = open({ name, directory });
    expect(again.isNew).toBe(false);
    expect(contentOf(again)).toEqual(before);
    expect(again.settings).toEqual(settings);
  }
});

test('a file that was cut off or altered anywhere creates nothing', async () => {
  const path = await savedFile();
  const whole = readFileSync(path);
  const bad = join(files, 'bad');
  const cuts = [0, 10, 16, 300, whole.length >> 1, whole.length - 33, whole.length - 1];
  const altered = [3, 30, 300, whole.length >> 1, whole.length - 40, whole.length - 1].map((at) => {
    const bytes = Buffer.from(whole);
    bytes[at] ^= 0x10;
    return bytes;
  });
  for (const bytes of [...cuts.map((length) => whole.subarray(0, length)), ...altered]) {
    writeFileSync(bad, bytes);
    await expect(restoreStore(bad, { directory, name: 'web' })).rejects.toMatchObject({
      code: 'TMEM_ERR_SAVED_FILE',
    });
    expect(readdirSync(directory)).toEqual([]);
  }
  await expect(restoreStore(files, { directory, name: 'web' })).rejects.toMatchObject({
    code: 'TMEM_ERR_SAVED_FILE',
  });
  await expect(restoreStore(join(files, 'none'), { directory, name: 'web' })).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

test('a store that exists is left as it is', async () => {
  const path = await savedFile();
  using store = open({ ...sizes, name: 'web', directory });
  putPages(store, 7);
  const [before, names] = [contentOf(store), readdirSync(directory)];
  await expect(restoreStore(path, { directory, name: 'web' })).rejects.toMatchObject({
    code: 'TMEM_ERR_STORE_EXISTS',
  });
  expect(contentOf(store)).toEqual(before);
  expect(readdirSync(directory)).toEqual(names);
});

test('too little memory for the persistent pages creates nothing; other sizes are possible', async () => {
  const path = join(files, 'large');
  {
    using store = open({ memory: '64 MiB' });
    const pool = store.client('app').pool('kept', { kind: 'persistent', pam: 'raw' });
    for (let i = 0; i < 6000; i++) pool.put(Oid.fromNumbers(1), i, pageOf(i, 0));
    await saveStore(store, path);
  }
  await expect(restoreStore(path, { directory, name: 'web', memory: '16 MiB' })).rejects.toMatchObject({
    code: 'TMEM_ERR_RESTORE',
  });
  expect(readdirSync(directory)).toEqual([]);
  const restored = await restoreStore(path, { directory, name: 'web', memory: '40 MiB', threads: 5 });
  expect(restored).toMatchObject({ memoryBytes: 40 * 2 ** 20, pages: 6000 });
  using store = open({ name: 'web', directory });
  expect(store.settings).toMatchObject({ memory: 40 * 2 ** 20, threads: 5 });
});

test('a restore that is ended, or has no name for its store, creates nothing', async () => {
  const path = await savedFile();
  await expect(restoreStore(path, { directory })).rejects.toMatchObject({ code: 'TMEM_ERR_STORE_NAME' });
  await expect(restoreStore(path, { directory, name: '../web' })).rejects.toMatchObject({
    code: 'TMEM_ERR_STORE_NAME',
  });
  const signal = AbortSignal.abort();
  await expect(restoreStore(path, { directory, name: 'web', signal })).rejects.toThrow(/aborted/);
  expect(readdirSync(directory)).toEqual([]);
});

test('a file that is exchanged for another whole one while it is restored creates nothing', async () => {
  const path = join(files, 'exchanged');
  const [first, second] = [await savedFile(1), await savedFile(2)];
  copyFileSync(first, path);
  // Published while the store is filled, between the two looks at the file.
  const exchange = () => copyFileSync(second, path);
  subscribe('tmem:client:created', exchange);
  try {
    await expect(restoreStore(path, { directory, name: 'web' })).rejects.toMatchObject({
      code: 'TMEM_ERR_SAVED_FILE',
    });
  } finally {
    unsubscribe('tmem:client:created', exchange);
  }
  expect(readdirSync(directory)).toEqual([]);
});
